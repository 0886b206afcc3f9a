"""The engines by name; what one needs is imported when it is chosen."""

from __future__ import annotations

from anew.runner.config.main import Launching
from anew.runner.errors import ConfigError
from anew.runner.settings import SweepSettings
from anew.runner.store.sweep_folder import SweepFolder
from anew.runner.sweep.engine import Engine
from anew.runner.sweep.reference import Attachment, MainReference


def make_engine(
    launching: Launching,
    settings: SweepSettings,
    folder: SweepFolder,
    main: MainReference,
    attachment: Attachment,
) -> Engine:
    """Return what runs the jobs of a sweep. Raises ConfigError, MissingExtraError."""
    if launching.engine == "local":
        from anew.runner.sweep.pool import Pool, visible_devices

        devices = visible_devices() if settings.gpus == "auto" else []
        return Pool(main, attachment, workers=settings.workers or 1, layout=folder.layout, devices=devices)
    if launching.engine == "dask":
        from anew.runner.sweep.dask_engine import DaskEngine, DaskOptions

        return DaskEngine(attachment, options=DaskOptions.read(launching.options), workers=settings.workers)
    if launching.engine == "slurm":
        from anew.runner.sweep.slurm_engine import SlurmEngine, SlurmOptions

        options = SlurmOptions.read(launching.options)
        return SlurmEngine(attachment, options=options, workers=settings.workers, folder=folder.layout.slurm)
    raise ConfigError(f"There is no engine {launching.engine!r}.")
