"""What is done to the pixels."""


def scaled(x):
    return x / 16
