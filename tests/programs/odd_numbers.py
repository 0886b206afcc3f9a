"""Logs numbers that are none, without end, or very large."""

from anew import Experiment, Run

experiment = Experiment("odd_numbers")


@experiment.main
def main(*, run: Run):
    for step, value in enumerate([float("nan"), float("inf"), -0.0, 2**70, 1e-320]):
        run.log({"value": value}, step=step)
    return {"nan": float("nan"), "large": 3**50}


if __name__ == "__main__":
    main()
