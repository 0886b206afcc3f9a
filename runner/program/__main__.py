"""Runs a program as a run: `python -m anew.runner.program train.py lr=0.1`, which is what `anew run` becomes."""

import sys

from anew.runner.program.start import main

if __name__ == "__main__":
    main(sys.argv[1:])
