from dataclasses import dataclass, field

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf


@dataclass
class DB:
    driver: str = MISSING
    port: int = 1


@dataclass
class Base:
    db: DB = field(default_factory=DB)
    debug: bool = False


ConfigStore.instance().store(name="base", node=Base)
ConfigStore.instance().store(group="db", name="base_db", node=DB)


@hydra.main(config_path="conf", config_name="config", version_base=None)
def my_app(cfg: Base) -> None:
    print(OmegaConf.to_yaml(cfg), OmegaConf.get_type(cfg))


if __name__ == "__main__":
    my_app()
