"""
Hydra's own command line, made to work: imported by what runs plain Hydra, for ours to be compared with.

Since Python 3.14 argparse refuses the help of `--shell-completion`, which is no text (Hydra's issue 3121).
"""

import argparse

argparse.ArgumentParser._check_help = lambda self, action: None  # type: ignore[attr-defined]
