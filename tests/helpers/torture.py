"""Ten thousand kills: `python -m tests.helpers.torture [--kills N]`, or `make torture`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.store.test_journal import kill_at_random


def main() -> None:
    """Kill writers and say whether every acknowledged point was there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, options.kills, 500):
            kill_at_random(Path(folder), min(500, options.kills - start), options.seed + start)
            print(f"{min(start + 500, options.kills)} kills, nothing lost", flush=True)


if __name__ == "__main__":
    main()
