"""Keeps an array with numpy."""

import numpy as np

from anew import Experiment, Run

experiment = Experiment("saved_array")


@experiment.main
def main(*, run: Run):
    steps = np.cumsum(np.random.choice([-1, 1], size=(4, 100)), axis=1)
    np.save(run.dir / "walks.npy", steps)
    run.log_artifact("walks.npy")
    return steps[:, -1].tolist()


if __name__ == "__main__":
    main()
