from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass
class DB:
    driver: str = MISSING
    port: int = 0


@dataclass
class MySQL(DB):
    driver: str = "mysql"
    port: int = 3306


@dataclass
class Postgres(DB):
    driver: str = "postgresql"
    port: int = 5432


@dataclass
class Config:
    defaults: list[Any] = field(default_factory=lambda: [{"db": "mysql"}, "_self_"])
    db: DB = MISSING
    colour: Colour = Colour.RED
    rates: list[float] = field(default_factory=lambda: [0.1])
    names: dict[str, int] = field(default_factory=dict)
    limit: int | None = None
    needed: str = MISSING


store = ConfigStore.instance()
store.store(name="config", node=Config)
store.store(group="db", name="mysql", node=MySQL)
store.store(group="db", name="postgresql", node=Postgres)


@hydra.main(config_name="config", version_base=None)
def my_app(cfg: Config) -> None:
    print(OmegaConf.to_yaml(cfg))
    print(OmegaConf.get_type(cfg).__name__, OmegaConf.get_type(cfg.db).__name__, type(cfg.colour).__name__)
    if cfg.limit == 7:
        print(cfg.needed)


if __name__ == "__main__":
    my_app()
