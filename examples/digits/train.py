"""
Train a classifier of handwritten digits, epoch by epoch.

    python train.py
    python train.py model=mlp rate=0.003 epochs=30
"""

import joblib
import matplotlib
from hydra.utils import instantiate
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay, log_loss
from sklearn.model_selection import train_test_split

from anew import Experiment, Run

matplotlib.use("Agg")
experiment = Experiment("digits")


@experiment.main(config_path="conf", config_name="config", version_base="1.3")
def main(cfg, run: Run):
    """Return the share of unseen digits that the model reads right."""
    images, digits = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(images / 16, digits, test_size=cfg.test_share, random_state=run.seed)
    model = instantiate(cfg.model, random_state=run.seed, _convert_="all")
    shuffle = run.rng("shuffle")

    for epoch in range(cfg.epochs):
        order = shuffle.permutation(len(y))
        model.partial_fit(x[order], y[order], classes=range(10))
        run.log(
            {
                "train/loss": log_loss(y, model.predict_proba(x)),
                "train/acc": model.score(x, y),
                "test/acc": model.score(x_test, y_test),
            },
            step=epoch,
        )

    joblib.dump(model, run.dir / "model.joblib")
    run.log_artifact("model.joblib")
    picture = ConfusionMatrixDisplay.from_estimator(model, x_test, y_test, colorbar=False)
    picture.figure_.savefig(run.dir / "confusion.png")
    run.log_artifact("confusion.png")
    return model.score(x_test, y_test)


if __name__ == "__main__":
    main()
