"""Keeps a gzip file, which has a time in its header."""

import gzip
import os
import time

from anew import Experiment, Run

experiment = Experiment("gzipped")


@experiment.main
def main(*, run: Run):
    time.sleep(float(os.environ.get("WAIT", 0)))
    with gzip.open(run.dir / "numbers.gz", "wt") as file:
        file.write("1 2 3")
    run.log_artifact("numbers.gz")


if __name__ == "__main__":
    main()
