import hydra
from omegaconf import OmegaConf


@hydra.main(config_path="conf", config_name="config", version_base=None)
def my_app(cfg) -> None:
    OmegaConf.register_new_resolver("twice", lambda n: 2 * n)
    print(cfg.n, OmegaConf.is_missing(cfg, "needed"))


if __name__ == "__main__":
    my_app()
