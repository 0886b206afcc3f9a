"""Pickles what it learnt."""

import pickle
import random

from anew import Experiment, Run

experiment = Experiment("pickled_model")


@experiment.main
def main(*, run: Run):
    model = {"weights": [random.random() for _ in range(5)], "name": "linear"}
    with open(run.dir / "model.pkl", "wb") as file:
        pickle.dump(model, file)
    run.log_artifact("model.pkl", name="model")
    return sum(model["weights"])


if __name__ == "__main__":
    main()
