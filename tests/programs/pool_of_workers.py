"""Logs from the processes of a pool, whoever comes first."""

import os
from multiprocessing import get_context
from time import sleep

from anew import Experiment, Run, current_run

experiment = Experiment("pool_of_workers")


@experiment.main
def main(tasks: int = 12, *, run: Run):
    with get_context("fork").Pool(3) as pool:
        return sum(pool.map(work, range(tasks)))


def work(task):
    sleep(0.02 * (os.getpid() % 3))
    current_run().log({"square": task * task}, step=task)
    return task * task


if __name__ == "__main__":
    main()
