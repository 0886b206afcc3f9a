"""Imports a package of the project, and one of its modules late."""

from tools.smoothing import smooth

from anew import Experiment, Run

experiment = Experiment("own_package")


@experiment.main
def main(*, run: Run):
    values = smooth([1.0, 5.0, 2.0, 8.0])
    from tools.late import spread

    run.log({"spread": spread(values)})
    return values


if __name__ == "__main__":
    main()
