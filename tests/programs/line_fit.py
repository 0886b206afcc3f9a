"""Fits a line to made points, from numpy's own generator."""

import numpy as np

from anew import Experiment, Run

experiment = Experiment("line_fit")


@experiment.main
def main(lr: float = 0.1, steps: int = 20, *, run: Run):
    x = np.random.uniform(-1, 1, 50)
    y = 3 * x + np.random.normal(scale=0.1, size=50)
    w = 0.0
    for step in range(steps):
        w -= lr * 2 * np.mean((w * x - y) * x)
        run.log({"loss": np.mean((w * x - y) ** 2)}, step=step)
    return w


if __name__ == "__main__":
    main()
