"""Trains a classifier of scikit-learn."""

from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

from anew import Experiment, Run

experiment = Experiment("classifier")


@experiment.main
def main(trees: int = 10, *, run: Run):
    x, y = make_classification(200)
    scores = cross_val_score(RandomForestClassifier(trees), x, y, cv=3)
    run.log({f"fold/{n}": score for n, score in enumerate(scores)})
    return scores.mean()


if __name__ == "__main__":
    main()
