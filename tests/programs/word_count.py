"""Counts the words of a text in the working directory."""

from collections import Counter

from anew import Experiment, Run

experiment = Experiment("word_count")


@experiment.main
def main(top: int = 3, *, run: Run):
    words = open("data/poem.txt").read().lower().split()
    counts = Counter(words)
    run.info({"words": len(words)})
    return counts.most_common(top)


if __name__ == "__main__":
    main()
