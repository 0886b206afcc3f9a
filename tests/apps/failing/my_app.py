import sys

import hydra


def deeper(n: int) -> None:
    raise RuntimeError(f"failed with {n}")


@hydra.main(version_base=None)
def my_app(cfg) -> None:
    print("begun", flush=True)
    if cfg.how == "raise":
        deeper(cfg.n)
    if cfg.how == "exit":
        sys.exit(cfg.n)
    if cfg.how == "missing":
        print(cfg.needed)
    if cfg.how == "wrong":
        print(cfg.no_such_key)


if __name__ == "__main__":
    my_app()
    print("after main")
