"""Names what it makes at random."""

import uuid

from anew import Experiment, Run

experiment = Experiment("named_by_uuid")


@experiment.main
def main(*, run: Run):
    name = f"model-{uuid.uuid4()}"
    return {"name": name, "size": 3}


if __name__ == "__main__":
    main()
