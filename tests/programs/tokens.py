"""Draws a token from the system."""

import hashlib
import os

from anew import Experiment, Run

experiment = Experiment("tokens")


@experiment.main
def main(*, run: Run):
    salt = os.urandom(8)
    return hashlib.sha256(salt + b"text").hexdigest()


if __name__ == "__main__":
    main()
