import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def my_app(_cfg: DictConfig) -> str:
    print(OmegaConf.to_yaml(_cfg))
    job = HydraConfig.get()
    print(job.job.name, job.job.config_name, job.job.override_dirname, OmegaConf.select(job, "job.num"))
    print(job.overrides, job.runtime.choices.get("db"))
    print(OmegaConf.get_type(_cfg), OmegaConf.is_struct(_cfg))
    return "done"


if __name__ == "__main__":
    my_app()
