"""Returns where it put its things for a while."""

import tempfile
from pathlib import Path

from anew import Experiment, Run

experiment = Experiment("temporary_folder")


@experiment.main
def main(*, run: Run):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x").write_text("1")
        return {"folder": folder, "files": 1}


if __name__ == "__main__":
    main()
