import hydra
from hydra.core.hydra_config import HydraConfig


@hydra.main(config_path="conf", config_name="config", version_base=None)
def my_app(cfg) -> None:
    print(cfg, HydraConfig.get().job.name)


if __name__ == "__main__":
    my_app()
