"""A Hydra application with a config group and an interpolation."""

from anew import Experiment, Run

experiment = Experiment("yaml_groups")


@experiment.main(config_path="conf", config_name="config")
def main(cfg, run: Run):
    score = 0.0
    for epoch in range(cfg.epochs):
        score += cfg.model.rate * (cfg.model.width - score)
        run.log({"score": score}, step=epoch)
    return {"model": cfg.model.name, "score": score, "title": cfg.title}


if __name__ == "__main__":
    main()
