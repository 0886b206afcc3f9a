"""Seeds itself from the time."""

import random
import time

from anew import Experiment, Run

experiment = Experiment("seeded_by_the_clock")


@experiment.main
def main(*, run: Run):
    random.seed(int(time.time() * 1e6))
    return random.random()


if __name__ == "__main__":
    main()
