"""Logs a speed."""

import time

from anew import Experiment, Run

experiment = Experiment("speed_logged")


@experiment.main
def main(*, run: Run):
    tick = time.perf_counter()
    for step in range(3):
        sum(range(10_000))
        tock = time.perf_counter()
        run.log({"sum": step, "rounds": 1 / (tock - tick)}, step=step)
        tick = tock


if __name__ == "__main__":
    main()
