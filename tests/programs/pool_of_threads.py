"""Logs from several threads, whoever comes first."""

import time
from concurrent.futures import ThreadPoolExecutor

from anew import Experiment, Run

experiment = Experiment("pool_of_threads")


@experiment.main
def main(*, run: Run):
    def work(task):
        time.sleep((time.perf_counter_ns() + task) % 7 / 1000)
        run.log({"cube": task**3}, step=task)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(24)))


if __name__ == "__main__":
    main()
