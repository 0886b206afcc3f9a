"""Smoothing."""


def smooth(values):
    return [(a + b) / 2 for a, b in zip(values, values[1:], strict=False)]
