"""A dataclass is the configuration."""

import random
from dataclasses import dataclass, field

from anew import Experiment, Run

experiment = Experiment("dataclass_schema")


@dataclass
class Config:
    sizes: list[int] = field(default_factory=lambda: [4, 8, 2])
    scale: float = 0.5


@experiment.main(config=Config)
def main(cfg: Config, run: Run):
    rng = random.Random(run.seed)
    weights = [[rng.gauss(0, cfg.scale) for _ in range(a * b)] for a, b in pairwise(cfg.sizes)]
    return [sum(layer) for layer in weights]


def pairwise(items):
    return zip(items[:-1], items[1:], strict=True)


if __name__ == "__main__":
    main()
