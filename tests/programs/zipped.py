"""Keeps an archive, whose members have times."""

import zipfile

from anew import Experiment, Run

experiment = Experiment("zipped")


@experiment.main
def main(*, run: Run):
    with zipfile.ZipFile(run.dir / "all.zip", "w") as archive:
        archive.writestr("a.txt", "1 2 3")
    run.log_artifact("all.zip")


if __name__ == "__main__":
    main()
