"""`--autolog`, `anew.autolog()`: what libraries do is noticed, and stays what it is."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from anew.runner.errors import ConfigError
from anew.runner.program.words import asked
from anew.runner.settings import Settings
from tests.helpers.scripts import Project, anew, checked
from tests.integrations.test_integrations import needs

pytestmark = pytest.mark.long

SKLEARN = """\
import json
import numpy
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

x, y = make_classification(60, random_state=1)
model = LogisticRegression(C=0.5)
model.fit(x, y)
model.fit(x, y)
forest = RandomForestClassifier(5).fit(x, y)
pipe = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
scorer = make_scorer(accuracy_score)
search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2, scoring=scorer, n_jobs=2).fit(x, y)
print(json.dumps([
    model.score(x, y), accuracy_score(y, forest.predict(x)), search.best_score_, search.best_params_,
    cross_val_score(LogisticRegression(), x, y, cv=3).tolist(), numpy.random.rand(), pipe.predict(x).tolist(),
]))
"""
BOOSTED = """\
import json, numpy
import xgboost, lightgbm
from sklearn.model_selection import GridSearchCV
x = numpy.random.RandomState(1).rand(60, 3)
y = (x[:, 0] > 0.5).astype(int)
xgb = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(x, y, eval_set=[(x, y)], verbose=False)
data = xgboost.DMatrix(x, y)
params = {"objective": "binary:logistic", "nthread": 1}
booster = xgboost.train(params, data, 2, evals=[(data, "fit")], verbose_eval=False)
lgb = lightgbm.LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1).fit(x, y, eval_set=[(x, y)])
GridSearchCV(xgboost.XGBClassifier(n_estimators=2, n_jobs=1), {"max_depth": [1, 2]}, cv=2).fit(x, y)
print(json.dumps([xgb.predict_proba(x).tolist(), lgb.predict_proba(x).tolist(), booster.predict(data).tolist()]))
"""
TORCH = """\
import json, torch
model = torch.nn.Linear(1, 1)
optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
other = torch.optim.SGD([{"params": [model.weight], "lr": 1.0}, {"params": [model.bias]}], lr=0.1, momentum=0.9)
for step in range(2):
    optimizer.zero_grad()
    loss = model(torch.ones(1)).square().sum()
    loss.backward()
    optimizer.step()
    scheduler.step()
print(json.dumps([loss.item(), torch.rand(1).item()]))
"""
KERAS = """\
import json, numpy, keras
x = numpy.linspace(0, 1, 8).reshape(-1, 1)
keras.utils.set_random_seed(3)
model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
model.compile(keras.optimizers.SGD(0.25), "mse")
history = model.fit(x, 2 * x, epochs=3, verbose=0)
model.fit(x, 2 * x, epochs=1, verbose=0, callbacks=[keras.callbacks.LambdaCallback()])
print(json.dumps([history.history["loss"], float(numpy.random.rand())]))
"""
SCRIPTS = {"sklearn": SKLEARN, "xgboost": BOOSTED, "torch": TORCH, "keras": KERAS}


class Ran:
    """A library's script, run as it is and with `--autolog`."""

    def __init__(self, folder: Path, library: str) -> None:
        (folder / "pyproject.toml").touch()
        (folder / "fit.py").write_text(SCRIPTS[library])
        self.trial = Project(folder)
        words = ("fit.py", "anew.seed=5")
        home = str(folder)
        plain = anew(folder, "run", *words, KERAS_BACKEND="torch", OMP_NUM_THREADS="1", KERAS_HOME=home)
        options = ("--autolog=all,models", *words)
        noticed = anew(folder, "run", *options, KERAS_BACKEND="torch", OMP_NUM_THREADS="1", KERAS_HOME=home)
        self.plain, self.noticed = json.loads(plain.stdout), json.loads(noticed.stdout)
        self.records = [self.trial.record(ref) for ref in (1, 2)]
        self.facts = self.records[1].info

    def metrics(self, ref: int = 2) -> dict[str, list[float]]:
        names = [each for each in self.records[ref - 1].metrics if not each.startswith("system/")]
        return {name: [*map(float, self.trial.store.metrics(ref, name).values)] for name in names}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ran]:
    @cache
    def run(library: str) -> Ran:
        needs(library)
        return Ran(tmp_path_factory.mktemp(library), library)

    return run


@pytest.mark.parametrize("library", SCRIPTS)
def test_results_stay_what_they_are(ran: Callable[[str], Ran], library: str) -> None:
    found = ran(library)
    assert found.noticed == found.plain
    assert not found.metrics(1)
    assert not found.records[0].info
    assert found.metrics()
    assert not [each for record in found.records for each in record.warnings]


def test_fits_of_scikit_learn(ran: Callable[[str], Ran]) -> None:
    of = ran("sklearn")
    found, metrics, printed = of.facts["sklearn"], of.metrics(), of.plain
    # not the scaler and the regression of the pipeline, nor candidates of the search, nor folds
    assert set(found) == {"LogisticRegression", "RandomForestClassifier", "Pipeline", "GridSearchCV"}
    assert found["LogisticRegression"]["params"]["C"] == 0.5
    assert found["LogisticRegression"]["fits"] == 2
    assert found["Pipeline"]["params"]["standardscaler"] == "StandardScaler"
    assert found["GridSearchCV"]["best_params"] == printed[3]
    assert metrics["LogisticRegression/score"] == [printed[0]]
    assert metrics["accuracy_score"] == [printed[1]]
    assert metrics["GridSearchCV/best_score"] == [printed[2]]
    assert len(metrics["GridSearchCV/mean_test_score"]) == 2
    assert metrics["cross_val_score"] == printed[4]
    assert {each.path for each in of.records[1].artifacts} == {f"models/{name}.pkl" for name in found}
    anew(of.trial, "get", "2", "models/LogisticRegression.pkl", "--to", "taken")
    (path,) = (of.trial.folder / "taken").rglob("*.pkl")
    assert type(pickle.loads(path.read_bytes())).__qualname__ == "LogisticRegression"


def test_trainings_of_boosted_trees(ran: Callable[[str], Ran]) -> None:
    needs("lightgbm")
    facts, metrics = ran("xgboost").facts, ran("xgboost").metrics()
    assert set(facts["xgboost"]) == {"train", "train_2"}
    assert facts["xgboost"]["train_2"] == {
        "params": {"objective": "binary:logistic", "nthread": 1}, "num_boost_round": 2,
    }  # fmt: skip
    assert facts["sklearn"]["XGBClassifier"]["params"]["n_estimators"] == 3
    assert [len(metrics[name]) for name in ("validation_0/logloss", "train_2/fit/logloss")] == [3, 2]
    assert facts["lightgbm"]["train"]["params"]["num_threads"] == 1
    assert len(next(each for name, each in metrics.items() if "binary_logloss" in name)) == 3


def test_optimisers_of_torch(ran: Callable[[str], Ran]) -> None:
    facts = ran("torch").facts
    assert facts["torch"]["Adam"]["lr"] == 0.5
    assert [each["lr"] for each in facts["torch"]["SGD"]["groups"]] == [1.0, 0.1]
    assert ran("torch").metrics()["lr"] == [0.5, 0.25, 0.125]


def test_trainings_of_keras(ran: Callable[[str], Ran]) -> None:
    facts, metrics = ran("keras").facts, ran("keras").metrics()
    assert facts["keras"]["fit"]["epochs"] == 3
    assert facts["keras"]["fit"]["optimizer"]["learning_rate"] == 0.25
    assert metrics["loss"] == pytest.approx(ran("keras").plain[0])
    assert len(metrics["fit_2/loss"]) == 1


def test_it_is_asked_for_in_the_program(project: Path) -> None:
    script = (
        "import anew\n"
        "from sklearn.linear_model import Ridge\n"
        "class Own(Ridge):\n    def fit(self, x, y): raise ValueError('own')\n"
        "anew.autolog('sklearn')\n"
        "with anew.start('fit', quiet=True) as run:\n"
        "    Ridge(2.0).fit([[1], [2]], [1, 2])\n"
        "    try: Own().fit([[1]], [1])\n"
        "    except ValueError as error: print(error)\n"
        "fit = Ridge.fit\n"
        "Ridge(3.0).fit([[1], [2]], [1, 2])\n"
        "print(hasattr(fit, '_anew'))\n"
    )
    (project / "fit.py").write_text(script)
    done = subprocess.run([sys.executable, "fit.py"], cwd=project, capture_output=True, text=True, check=False)
    assert checked(done, 0).stdout.split() == ["own", "False"]
    assert {name: each["params"]["alpha"] for name, each in Project(project).record().info["sklearn"].items()} == {
        "Ridge": 2.0
    }


def test_what_it_takes_is_said() -> None:
    assert asked(["--autolog", "train.py"]).overrides == ("anew.autolog=[all]",)
    assert asked(["--autolog=sklearn,models", "train.py"]).overrides == ("anew.autolog=[sklearn,models]",)
    with pytest.raises(ConfigError, match=r"anew\.autolog has 'sklern'. Did you mean sklearn\?"):
        Settings.from_mapping({"autolog": ["sklern"]})
