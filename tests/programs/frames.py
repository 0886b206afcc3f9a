"""Groups a table with pandas."""

import pandas as pd

from anew import Experiment, Run

experiment = Experiment("frames")


@experiment.main
def main(*, run: Run):
    table = pd.read_csv("data/points.csv")
    table["half"] = table["x"] > table["x"].median()
    return table.groupby("half")["y"].mean().tolist()


if __name__ == "__main__":
    main()
