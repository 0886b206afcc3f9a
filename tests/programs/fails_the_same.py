"""Raises an error that comes from its data."""

from anew import Experiment, Run

experiment = Experiment("fails_the_same")


@experiment.main
def main(*, run: Run):
    for step, value in enumerate([4.0, 1.0, 0.0]):
        run.log({"inverse": 1 / value}, step=step)


if __name__ == "__main__":
    main()
