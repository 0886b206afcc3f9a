"""Takes the results of threads as they come."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor, as_completed

from anew import Experiment, Run

experiment = Experiment("first_of_many")


@experiment.main
def main(*, run: Run):
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(work, n) for n in range(40)]
        return [job.result() for job in as_completed(jobs)]


def work(n):
    time.sleep(uuid.uuid4().int % 1000 / 50_000)
    return n


if __name__ == "__main__":
    main()
