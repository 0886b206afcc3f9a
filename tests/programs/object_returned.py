"""Returns an object that cannot be kept."""

from anew import Experiment, Run

experiment = Experiment("object_returned")


class Model:
    pass


@experiment.main
def main(*, run: Run):
    run.log({"loss": 0.5})
    return Model()


if __name__ == "__main__":
    main()
