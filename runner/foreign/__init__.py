"""Runs of other programs, run once more as mains of ours. No room imports this; `relaunch.child` does, by name."""
