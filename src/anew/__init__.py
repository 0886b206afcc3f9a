"""Anew: run an experiment, and run it anew."""

__version__ = "0.1.0"
