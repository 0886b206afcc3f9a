"""Estimates pi by darts."""

import random

from anew import Experiment, Run

experiment = Experiment("pi_by_darts")


@experiment.main
def main(darts: int = 2000, *, run: Run):
    hits = 0
    for n in range(1, darts + 1):
        hits += random.random() ** 2 + random.random() ** 2 < 1
        if n % 500 == 0:
            run.log({"pi": 4 * hits / n}, step=n)
    return 4 * hits / darts


if __name__ == "__main__":
    main()
