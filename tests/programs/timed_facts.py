"""Keeps when it was ready among its facts."""

import time

from anew import Experiment, Run

experiment = Experiment("timed_facts")


@experiment.main
def main(*, run: Run):
    run.info({"ready": time.time(), "version": 3})


if __name__ == "__main__":
    main()
