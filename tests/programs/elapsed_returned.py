"""Returns how long it took."""

import time

from anew import Experiment, Run

experiment = Experiment("elapsed_returned")


@experiment.main
def main(*, run: Run):
    t0 = time.time()
    total = sum(n**0.5 for n in range(20_000))
    return {"total": total, "elapsed": time.time() - t0}


if __name__ == "__main__":
    main()
