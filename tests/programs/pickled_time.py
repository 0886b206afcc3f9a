"""Pickles an object that holds a time."""

import pickle
from datetime import datetime

from anew import Experiment, Run

experiment = Experiment("pickled_time")


@experiment.main
def main(*, run: Run):
    with open(run.dir / "state.pkl", "wb") as file:
        pickle.dump({"weights": [1.0, 2.0], "created": datetime.now()}, file)
    run.log_artifact("state.pkl")


if __name__ == "__main__":
    main()
