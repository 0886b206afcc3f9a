"""Run every benchmark, each in a process of its own; options are handed on to each."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = (
    "startup",
    "programs",
    "log_call",
    "runs",
    "listing",
    "finding",
    "reading",
    "capture",
    "rerun",
    "why",
    "observers",
    "sweeps",
    "page",
)


def main() -> int:
    """Return 0 when every benchmark could be run, whatever it measured."""
    codes = [subprocess.call([sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]]) for name in BENCHMARKS]
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main())
