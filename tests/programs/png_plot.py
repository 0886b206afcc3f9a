"""Keeps a picture as PNG."""

import random

from matplotlib.figure import Figure

from anew import Experiment, Run

experiment = Experiment("png_plot")


@experiment.main
def main(*, run: Run):
    figure = Figure(figsize=(2, 2))
    figure.add_subplot().plot([random.random() for _ in range(20)])
    figure.savefig(run.dir / "curve.png")
    run.log_artifact("curve.png")


if __name__ == "__main__":
    main()
