"""Writes the time of day into a report."""

from datetime import datetime

from anew import Experiment, Run

experiment = Experiment("dated_report")


@experiment.main
def main(*, run: Run):
    (run.dir / "report.md").write_text(f"# Report\n\nmade {datetime.now():%Y-%m-%d %H:%M:%S.%f}\n\n42\n")
    run.log_artifact("report.md")


if __name__ == "__main__":
    main()
