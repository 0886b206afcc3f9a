"""Makes numpy's generator without a seed, in a function of its own."""

from numpy.random import default_rng

from anew import Experiment, Run

experiment = Experiment("fresh_generator")


class Noise:
    def __init__(self):
        self.rng = default_rng()

    def draw(self, n):
        return self.rng.normal(size=n)


@experiment.main
def main(*, run: Run):
    noise = Noise()
    for step in range(3):
        run.log({"level": noise.draw(10).mean(), "step": step}, step=step)


if __name__ == "__main__":
    main()
