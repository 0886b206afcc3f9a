import os
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_original_cwd


@hydra.main(config_path=None, version_base="1.1")
def my_app(_cfg) -> None:
    folder = Path(HydraConfig.get().runtime.output_dir)
    print("in the output folder:", Path.cwd() == folder, get_original_cwd() == os.environ["HERE"])
    print(sorted(path.name for path in folder.iterdir()), os.environ.get("COLOUR"))
    for name in sorted(os.listdir(folder / ".hydra")) if (folder / ".hydra").exists() else []:
        print(name, (folder / ".hydra" / name).read_text() if name != "hydra.yaml" else "")


if __name__ == "__main__":
    my_app()
