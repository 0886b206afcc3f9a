"""Keeps a picture as SVG, in which matplotlib makes up ids."""

from matplotlib.figure import Figure

from anew import Experiment, Run

experiment = Experiment("svg_plot")


@experiment.main
def main(*, run: Run):
    figure = Figure(figsize=(2, 2))
    figure.add_subplot().plot([1, 3, 2], label="a")
    figure.savefig(run.dir / "curve.svg")
    run.log_artifact("curve.svg")


if __name__ == "__main__":
    main()
