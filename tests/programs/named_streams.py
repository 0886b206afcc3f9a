"""Independent generators by name."""

from anew import Experiment, Run

experiment = Experiment("named_streams")


@experiment.main
def main(*, run: Run):
    order = run.rng("order").permutation(8).tolist()
    noise = run.rng("noise").normal(size=3).tolist()
    return {"order": order, "noise": noise}


if __name__ == "__main__":
    main()
