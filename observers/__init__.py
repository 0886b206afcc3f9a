"""Sinks that follow a run's journal, one per file; the embedded store itself needs none."""
