"""Sorts texts into buckets by their hash."""

from anew import Experiment, Run

experiment = Experiment("hashed_buckets")


@experiment.main
def main(*, run: Run):
    buckets = [0] * 16
    for n in range(200):
        buckets[bucket(f"key{n}")] += 1
    return buckets


def bucket(text):
    return hash(text) % 16


if __name__ == "__main__":
    main()
