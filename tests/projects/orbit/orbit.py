"""A planet's orbit with noise; a program of its own takes each step, and another package sets the pull."""

import os
import subprocess
import sys

import numpy as np

from anew import Experiment, Run

try:
    from pull import PULL
except ImportError:
    PULL = 1.0

experiment = Experiment("orbit")


@experiment.main
def main(steps: int = 5, dt: float = 0.01, *, run: Run):
    noise = run.rng("noise")
    with open("start.txt") as file:
        state = np.array([float(word) for word in file.read().split()])
    for step in range(steps):
        words = [repr(float(value)) for value in state]
        command = [sys.executable, "step.py", repr(dt), repr(PULL), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        state = np.array([float(word) for word in done.stdout.split()]) + noise.normal(scale=1e-6, size=4)
        run.log({"x": state[0], "y": state[1], "energy": float(state[2:] @ state[2:] / 2)}, step=step)
    np.save(run.dir / "state.npy", state)
    run.log_artifact("state.npy")
    return [float(value) for value in state], os.environ.get("OMP_NUM_THREADS")


if __name__ == "__main__":
    main()
