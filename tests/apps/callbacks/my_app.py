import hydra
from hydra.experimental.callback import Callback
from omegaconf import OmegaConf


class Telling(Callback):
    def __init__(self, name: str) -> None:
        self.name = name

    def on_run_start(self, config, **kwargs) -> None:
        print(self.name, "run start", sorted(config), kwargs["config_name"])

    def on_run_end(self, config, **kwargs) -> None:
        print(self.name, "run end", kwargs["config_name"])

    def on_multirun_start(self, config, **kwargs) -> None:
        print(self.name, "multirun start", sorted(config))

    def on_multirun_end(self, config, **kwargs) -> None:
        print(self.name, "multirun end")

    def on_job_start(self, config, *, task_function, **kwargs) -> None:
        print(self.name, "job start", task_function.__name__, OmegaConf.to_container(config.hydra.overrides.task))

    def on_job_end(self, config, job_return, **kwargs) -> None:
        print(self.name, "job end", job_return.status, job_return._return_value, sorted(job_return.cfg))


@hydra.main(config_path="conf", config_name="config", version_base=None)
def my_app(cfg) -> int:
    print("main", cfg.n)
    if cfg.n == 0:
        raise ZeroDivisionError("n is 0")
    return 10 // cfg.n


if __name__ == "__main__":
    my_app()
