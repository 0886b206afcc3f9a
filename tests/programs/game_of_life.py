"""A game of life, kept as text."""

import random

from anew import Experiment, Run

experiment = Experiment("game_of_life")


@experiment.main
def main(size: int = 12, steps: int = 8, *, run: Run):
    cells = {(random.randrange(size), random.randrange(size)) for _ in range(40)}
    for step in range(steps):
        run.log({"alive": len(cells)}, step=step)
        cells = after(cells)
    lines = ["".join("#" if (x, y) in cells else "." for x in range(size)) for y in range(size)]
    (run.dir / "world.txt").write_text("\n".join(lines))
    run.log_artifact("world.txt")


def after(cells):
    near = [(x + a, y + b) for x, y in cells for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
    return {cell for cell in near if near.count(cell) == 3 or (near.count(cell) == 2 and cell in cells)}


if __name__ == "__main__":
    main()
