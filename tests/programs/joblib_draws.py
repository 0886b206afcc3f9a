"""Draws numbers in joblib's processes, which nobody seeds."""

import numpy as np
from joblib import Parallel, delayed

from anew import Experiment, Run

experiment = Experiment("joblib_draws")


def draw(n):
    return float(np.random.normal())


@experiment.main
def main(*, run: Run):
    return Parallel(n_jobs=2)(delayed(draw)(n) for n in range(4))


if __name__ == "__main__":
    main()
