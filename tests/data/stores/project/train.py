"""Fit a line, or fail, or wait to be stopped: what the runs of the kept stores ran."""

import math
import os
import signal
import time

from anew import Experiment, Run

experiment = Experiment("kept")


@experiment.main
def main(lr: float = 0.1, steps: int = 5, how: str = "well", *, run: Run) -> float:
    """Find the minimum of a parabola whose place is in the input."""
    target = float(run.input("target.csv").read_text())
    w = run.rng("start").random()
    for step in range(steps):
        w -= lr * 2 * (w - target)
        run.log({"loss": (w - target) ** 2}, step=step)
    run.log({"odd": math.nan, "größe": 2**70, "huge": math.inf})
    run.info({"epochs": steps, "odd": math.nan})
    print("w is", w)
    (run.dir / "w.txt").write_text(f"{w!r}\n")
    run.log_artifact(run.dir / "w.txt", name="w.txt")
    if how == "fails":
        raise ValueError("it diverged")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "stopped":
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    return w


if __name__ == "__main__":
    main()
