"""Makes a random.Random without a seed."""

import random

from anew import Experiment, Run

experiment = Experiment("own_random")


DICE = random.Random()


@experiment.main
def main(*, run: Run):
    throws = [DICE.randint(1, 10**9) for _ in range(5)]
    return {"throws": throws, "sides": 10**9}


if __name__ == "__main__":
    main()
