"""Writes where it lies into what it keeps."""

from anew import Experiment, Run

experiment = Experiment("own_folder_inside")


@experiment.main
def main(*, run: Run):
    (run.dir / "index.txt").write_text(f"weights: {run.dir}/weights.bin\nlayers: 3\n")
    run.log_artifact("index.txt")


if __name__ == "__main__":
    main()
