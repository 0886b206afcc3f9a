"""Takes a value from a variable, by interpolation."""

from anew import Experiment, Run

experiment = Experiment("environment_value")


@experiment.main(config_path="conf", config_name="variable")
def main(cfg, run: Run):
    return f"{cfg.greeting}, {cfg.name}"


if __name__ == "__main__":
    main()
