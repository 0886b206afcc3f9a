"""Digits, from two CSV files, with scikit-learn."""

import joblib
import numpy as np
from hydra.utils import instantiate
from preparation import scaled
from sklearn.model_selection import train_test_split

from anew import Experiment, Run

experiment = Experiment("digits")


@experiment.main(config_path="conf", config_name="config")
def main(cfg, run: Run):
    x = scaled(np.loadtxt(f"{cfg.data}/pixels.csv", delimiter=","))
    y = np.loadtxt(f"{cfg.data}/labels.csv", dtype=int)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=cfg.test_share)
    model = instantiate(cfg.model)
    for step in range(3):
        order = np.random.permutation(len(x_train))
        model.fit(x_train[order], y_train[order])
        run.log({"accuracy": model.score(x_test, y_test)}, step=step)
    joblib.dump(model, run.dir / "model.joblib")
    run.log_artifact("model.joblib")
    return {"accuracy": model.score(x_test, y_test), "label": cfg.label, "started": cfg.started}


if __name__ == "__main__":
    main()
