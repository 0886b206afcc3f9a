"""What recording costs, measured: `python -m benchmarks` runs all, `python -m benchmarks.startup` one."""
