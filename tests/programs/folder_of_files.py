"""Reads a folder of files, in order of their names."""

from pathlib import Path

from anew import Experiment, Run

experiment = Experiment("folder_of_files")


@experiment.main
def main(*, run: Run):
    texts = [path.read_text() for path in sorted(Path("data").glob("*.txt"))]
    return [len(text) for text in texts]


if __name__ == "__main__":
    main()
