"""Joins a set of names."""

from anew import Experiment, Run

experiment = Experiment("set_of_names")


@experiment.main
def main(*, run: Run):
    names = {f"name{n}" for n in range(20)}
    return " ".join(names)


if __name__ == "__main__":
    main()
