"""Counts what it can do in some milliseconds."""

import time

from anew import Experiment, Run

experiment = Experiment("as_many_as_it_can")


@experiment.main
def main(*, run: Run):
    end = time.monotonic() + 0.02
    count = 0
    while time.monotonic() < end:
        count += 1
    return count


if __name__ == "__main__":
    main()
