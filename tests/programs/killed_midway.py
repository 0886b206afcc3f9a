"""Was killed after three points."""

import os

from anew import Experiment, Run

experiment = Experiment("killed_midway")


@experiment.main
def main(*, run: Run):
    for step in range(10):
        run.log({"x": step / 7}, step=step)
        if step == 2 and os.environ.get("KILL"):
            os.kill(os.getpid(), 9)


if __name__ == "__main__":
    main()
