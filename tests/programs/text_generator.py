"""Makes up a text from pairs of letters."""

import random
from collections import defaultdict

from anew import Experiment, Run

experiment = Experiment("text_generator")


@experiment.main
def main(length: int = 40, *, run: Run):
    text = open("data/poem.txt").read()
    following = defaultdict(list)
    for a, b in zip(text, text[1:], strict=False):
        following[a].append(b)
    made = "t"
    while len(made) < length:
        made += random.choice(following[made[-1]])
    print(made)
    return made


if __name__ == "__main__":
    main()
