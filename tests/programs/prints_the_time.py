"""Prints how long it took, and returns what does not depend on it."""

import time

from anew import Experiment, Run

experiment = Experiment("prints_the_time")


@experiment.main
def main(*, run: Run):
    begin = time.perf_counter()
    total = sum(n * n for n in range(10_000))
    print(f"took {time.perf_counter() - begin:.6f} s")
    return total


if __name__ == "__main__":
    main()
