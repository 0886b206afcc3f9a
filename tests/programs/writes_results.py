"""Writes into a folder of the project."""

import json
import os

from anew import Experiment, Run

experiment = Experiment("writes_results")


@experiment.main
def main(*, run: Run):
    os.makedirs("results", exist_ok=True)
    with open("results/squares.json", "w") as file:
        json.dump([n * n for n in range(10)], file)
    run.log_artifact("results/squares.json")


if __name__ == "__main__":
    main()
