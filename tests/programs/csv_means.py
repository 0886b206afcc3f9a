"""Reads a table beside the script, and means its columns."""

import csv
from pathlib import Path

from anew import Experiment, Run

experiment = Experiment("csv_means")


HERE = Path(__file__).parent


@experiment.main
def main(*, run: Run):
    with open(HERE / "data" / "points.csv", newline="") as file:
        rows = [{name: float(cell) for name, cell in row.items()} for row in csv.DictReader(file)]
    for name in rows[0]:
        run.log({f"mean/{name}": sum(row[name] for row in rows) / len(rows)})
    return len(rows)


if __name__ == "__main__":
    main()
