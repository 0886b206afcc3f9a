"""`anew.integrations.*`: classes to hand to other libraries, with the real ones; which of them is not there is said."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from anew.runner.records import RunRecord, Status
from tests.helpers.scripts import Project, anew, checked

pytestmark = pytest.mark.long

HOW = "pip install 'anew[test-integrations]' torch==2.13.0"
LIGHTNING = """\
import torch, warnings, logging
warnings.simplefilter("ignore")
import anew
from anew.integrations.lightning import AnewLogger
import lightning

class Line(lightning.LightningModule):
    def __init__(self, lr=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(1, 1)
    def training_step(self, batch, index):
        loss = ((self.layer(batch[0]) - batch[1]) ** 2).mean()
        self.log("loss", loss, on_step=False, on_epoch=True)
        return loss
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)

x = torch.linspace(0, 1, 8).reshape(-1, 1)
data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, 2 * x), batch_size=4)
trainer = lightning.Trainer(max_epochs=3, logger=AnewLogger(log_models=True), accelerator="cpu",
                            enable_progress_bar=False, log_every_n_steps=1)
trainer.fit(Line(), data)
"""
TRANSFORMERS = """\
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
import anew
from anew.integrations.transformers import AnewCallback

model = BertForSequenceClassification(BertConfig(
    vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8))
data = [{"input_ids": torch.tensor([i % 20, 1, 2]), "labels": torch.tensor(i % 2)} for i in range(8)]
args = TrainingArguments("out", max_steps=3, logging_steps=1, report_to=[], use_cpu=True, disable_tqdm=True,
                         save_strategy="no", per_device_train_batch_size=4)
Trainer(model, args, train_dataset=data, callbacks=[AnewCallback(log_model=True)]).train()
"""
KERAS = """\
import numpy, keras
from anew.integrations.keras import AnewCallback
x = numpy.linspace(0, 1, 8).reshape(-1, 1)
model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, 2 * x, epochs=3, verbose=0, callbacks=[AnewCallback(each_batch=True, log_model=True)])
"""
XGBOOST = """\
import numpy, xgboost
from anew.integrations.xgboost import AnewCallback
x = numpy.linspace(0, 1, 20).reshape(-1, 1)
data = xgboost.DMatrix(x, (x[:, 0] > 0.5))
xgboost.train({"objective": "binary:logistic", "nthread": 1}, data, 3, evals=[(data, "fit")], verbose_eval=False,
              callbacks=[AnewCallback(log_model=True)])
"""
LIGHTGBM = """\
import numpy, lightgbm
from anew.integrations.lightgbm import AnewCallback
x = numpy.linspace(0, 1, 40).reshape(-1, 1)
data = lightgbm.Dataset(x, x[:, 0], params={"min_data_in_leaf": 2, "verbose": -1})
lightgbm.train({"verbose": -1, "num_threads": 1, "min_data_in_leaf": 2}, data, 3, valid_sets=[data],
               valid_names=["fit"], callbacks=[AnewCallback(), lightgbm.early_stopping(2, verbose=False)])
"""
OPTUNA = """\
import optuna
from anew.integrations.optuna import AnewCallback
optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(study_name="line", sampler=optuna.samplers.RandomSampler(seed=1))
study.optimize(lambda trial: trial.suggest_float("x", 0, 1) ** 2, n_trials=3, callbacks=[AnewCallback()])
"""
ACCELERATE = """\
import torch
from accelerate import Accelerator
from anew.integrations.accelerate import AnewTracker
accelerator = Accelerator(log_with=AnewTracker("fit"), cpu=True)
accelerator.init_trackers("fit", config={"lr": 0.1})
for step in range(3):
    accelerator.log({"loss": torch.tensor(1 / (step + 1)), "name": "x"}, step=step)
accelerator.end_training()
"""
# the library, its script, a metric and how many points it has, a fact, and the artifacts
CASES = {
    "lightning": (LIGHTNING, "loss", 3, ("hyperparameters", {"lr": 0.1}), {"epoch=2-step=6.ckpt"}),
    "transformers": (TRANSFORMERS, "train/loss", 3, ("model", None), {"model.safetensors"}),
    "keras": (KERAS, "loss", 3, ("training", None), {"model.keras"}),
    "xgboost": (XGBOOST, "fit/logloss", 3, None, {"model.ubj"}),
    "lightgbm": (LIGHTGBM, "fit/l2", 3, None, set()),
    "optuna": (OPTUNA, "params/x", 3, ("study", None), set()),
    "accelerate": (ACCELERATE, "loss", 3, ("configuration", {"lr": 0.1}), set()),
}


def needs(library: str) -> None:
    """Skip where a library, or what it stands on, is not there."""
    stands_on = {"lightning": ("torch",), "transformers": ("torch", "accelerate"), "keras": ("torch",)}
    for each in (library, *stands_on.get(library, ()), *(("torch",) if library == "accelerate" else ())):
        if find_spec(each) is None:
            pytest.skip(f"{each} is not installed: {HOW}")


@pytest.mark.parametrize("library", CASES)
def test_what_a_library_logs_is_of_the_run(project: Path, library: str) -> None:
    needs(library)
    script, metric, points, fact, artifacts = CASES[library]
    trial = Project(project)
    (project / "fit.py").write_text(script)
    home = str(project / "home")
    anew(trial, "run", "fit.py", KERAS_BACKEND="torch", KERAS_HOME=home, HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    record = _only(trial)
    assert len(trial.store.metrics(1, metric).values) == points
    if fact is not None:
        assert record.info[fact[0]] if fact[1] is None else record.info[fact[0]] == fact[1]
    assert artifacts <= {Path(each.path).name for each in record.artifacts}
    assert not record.warnings


def _only(trial: Project) -> RunRecord:
    (number,) = trial.store.numbers()
    record = trial.record(number)
    assert record.status is Status.COMPLETED
    return record


@pytest.mark.parametrize("library", ["xgboost", "optuna"])
def test_where_no_run_is_going_on_one_begins(project: Path, library: str) -> None:
    needs(library)
    (project / "fit.py").write_text(CASES[library][0])
    done = subprocess.run([sys.executable, "fit.py"], cwd=project, capture_output=True, text=True, check=False)
    checked(done, 0)
    record = _only(Project(project))
    assert record.command is not None
    assert (record.experiment, record.command.entry) == (library, "start")
    assert record.command.target == str(project / "fit.py")
    assert "identical" in anew(project, "rerun", "1").stdout


@pytest.mark.parametrize("library", CASES)
def test_a_library_that_is_not_there_is_named(project: Path, library: str) -> None:
    """Whatever is installed: an import system without the library stands for a machine without it."""
    code = (
        "import sys, importlib.util\n"
        f"gone = ({library!r}, 'pytorch_lightning')\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in gone: raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "def find(name, package=None, real=importlib.util.find_spec):\n"
        "    return None if name in gone else real(name, package)\n"
        "importlib.util.find_spec = find\n"
        f"try:\n    import anew.integrations.{library}\n"
        "except ImportError as error:\n    print(error)\n"
    )
    variables = {**os.environ, "KERAS_BACKEND": "torch", "KERAS_HOME": str(project / "home")}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=project, env=variables, capture_output=True, text=True, check=False)
    assert f"pip install {library}" in checked(done, 0).stdout
