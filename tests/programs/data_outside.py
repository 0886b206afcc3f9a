"""Reads data by an absolute path out of the project."""

from anew import Experiment, Run

experiment = Experiment("data_outside")


@experiment.main
def main(data: str = "", *, run: Run):
    return sum(map(float, open(data).read().split()))


if __name__ == "__main__":
    main()
