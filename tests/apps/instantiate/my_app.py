import hydra
from hydra.utils import get_method, instantiate, to_absolute_path


class Connection:
    def __init__(self, host: str, port: int = 1, pool=None) -> None:
        self.host, self.port, self.pool = host, port, pool

    def __repr__(self) -> str:
        return f"Connection({self.host}, {self.port}, {self.pool})"


@hydra.main(config_path="conf", config_name="config", version_base=None)
def my_app(cfg) -> None:
    print(instantiate(cfg.made), instantiate(cfg.made, port=5), instantiate(cfg.partial)(3))
    print(get_method("math.floor")(2.5), to_absolute_path("x").endswith("x"))
    if cfg.wrong:
        instantiate({"_target_": "no.such.thing"})


if __name__ == "__main__":
    my_app()
