"""What the `anew` node of a configuration says, checked, as frozen values.

The node is composed with the user's configuration and taken out of it before main sees it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Literal

from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError
from anew.runner.format.metric_lines import pattern_of
from anew.runner.format.values import flaw_of_tags
from anew.runner.lazy.patterns import regexp
from anew.runner.settings import checked
from anew.runner.wording import nearest

KEPT = "files"
WRITTEN = "_written_"
COMMON = ("required", "host", WRITTEN)
# what `anew.autolog` takes: libraries, all of them, and that what was fitted becomes an artifact
AUTOLOG = ("all", "sklearn", "xgboost", "lightgbm", "keras", "torch", "models")
_TIME = regexp(r"(\d+(?:\.\d+)?)\s*([smhd]?)")
_NAME = regexp(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputSettings:
    """
    How stdout and stderr are captured.

    Attributes:
        mode: "fd" (children too), "sys" (Python's own), "off".
        limit_bytes: How large the log may become.
        metrics: What in it is a metric, as `format.metric_lines.pattern_of` reads it: `NAME=PATTERN`, or "auto".
    """

    mode: Literal["fd", "sys", "off"] = "fd"
    limit_bytes: int = 16 * 2**20
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemSettings:
    """Whether `system/*` metrics are sampled, and every how many seconds."""

    enabled: bool = True
    interval_s: float = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceSettings:
    """
    What of the project is kept; sizes in bytes, `exclude` as globs relative to the project's root.

    With `keep` as "digest" files are known by their digests, and nothing of what they say is copied.
    """

    enabled: bool = True
    keep: Literal["content", "digest"] = "content"
    max_file_bytes: int = 10 * 2**20
    max_files: int = 5_000
    max_total_bytes: int = 200 * 2**20
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class InputSettings:
    """
    Which files that main reads are recorded, and how.

    Attributes:
        keep_bytes: Inputs up to this size are kept in the store; of larger ones the digest alone.
        notice: Whether files that main opens for reading are noticed without having been declared.
        roots: Folders of data outside the project in which files are noticed too.
        max_files: No more files than this are noticed.
        trace: Whether strace tells of what every process opens, beside that.
    """

    keep_bytes: int = 10 * 2**20
    notice: bool = True
    roots: tuple[str, ...] = ()
    max_files: int = 10_000
    trace: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvironmentSettings:
    """Names of environment variables to record beside those on the built-in list; a trailing * matches any rest."""

    variables: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RerunSettings:
    """How a re-run is judged: `ignore` lists patterns of metrics that need not come out the same."""

    ignore: tuple[str, ...] = ("time/*", "system/*")


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepSettings:
    """
    How the jobs of a sweep are run.

    Attributes:
        workers: How many at a time, each in a process of its own kind; None for one after the other in this process.
        skip: "done": a job whose experiment, main function, source, packages, configuration, seed and inputs are those
            of a COMPLETED run is not run again; "none": all are run.
        stop_on_failure: Whether no further job begins after one has failed.
        max_jobs: No more jobs than this are begun, in this sweep or in one resumption of it; None for all.
        max_time: No job begins after this: seconds, or a text such as "90s", "30m", "2h"; None for no end.
        max_cpu: No job begins after those that have ended used so much of processors, in this sweep or in one
            resumption of it: hours of one core; as `max_time`. None for no end.
        job_timeout: A job that takes longer is ended, and FAILED; as `max_time`. None for no end.
        retries: How often a job is begun again, in this sweep or in one resumption of it, that ended as `retry_on` has.
        retry_on: "failed", "lost", or exit codes as text.
        direction: Which result is best; "auto": what the sweeper says, or the name of a metric that is the result.
        gpus: "auto": the GPUs there are, or those of CUDA_VISIBLE_DEVICES, are handed out one to each worker; "none".
    """

    workers: int | None = None
    skip: Literal["none", "done"] = "none"
    stop_on_failure: bool = False
    max_jobs: int | None = None
    max_time: str | None = None
    max_cpu: str | None = None
    job_timeout: str | None = None
    retries: int = 0
    retry_on: tuple[str, ...] = ("failed", "lost")
    direction: Literal["auto", "maximize", "minimize"] = "auto"
    gpus: Literal["auto", "none"] = "auto"

    @property
    def max_time_s(self) -> float | None:
        """`max_time` in seconds."""
        return None if self.max_time is None else seconds(self.max_time, "anew.sweep.max_time")

    @property
    def max_cpu_s(self) -> float | None:
        """`max_cpu` in seconds of one core."""
        return None if self.max_cpu is None else seconds(self.max_cpu, "anew.sweep.max_cpu")

    @property
    def job_timeout_s(self) -> float | None:
        """`job_timeout` in seconds."""
        return None if self.job_timeout is None else seconds(self.job_timeout, "anew.sweep.job_timeout")

    def check(self) -> None:
        """Raises ConfigError for what has the right type and makes no sense."""
        for name in ("max_time", "max_cpu", "job_timeout"):
            limit_s = getattr(self, f"{name}_s")
            if limit_s == 0:
                raise ConfigError(
                    f"anew.sweep.{name} is {getattr(self, name)!r}, in which no job comes to anything; it takes a time "
                    "above 0, such as 90s, 30m, 2h or 1d, or null for no end.",
                    key=f"anew.sweep.{name}",
                )
        for word in self.retry_on:
            if word not in ("failed", "lost") and not (word.isdecimal() and 0 < int(word) < 256):
                raise ConfigError(
                    f"anew.sweep.retry_on has {word!r}; it takes failed, lost, and exit codes from 1 to 255, such as "
                    "anew.sweep.retry_on=[lost,75]",
                    key="anew.sweep.retry_on",
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class ObserverSettings:
    """
    One observer, as configured.

    Attributes:
        name: Its key under `anew.observers`.
        spec: `_target_` and its arguments, resolved: secrets are in it.
        written: The same before interpolation, such as `${oc.env:MONGO_URL}`.
        required: Whether a run does not start without it.
        host: "process": in a process beside the run; "thread": in a thread of the run's own process.
    """

    name: str
    spec: Mapping[str, Any]
    written: Mapping[str, Any]
    required: bool = False
    host: Literal["process", "thread"] = "process"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """
    How a run is recorded.

    Attributes:
        store: A folder or URL; None for the default.
        quiet: Whether the run's own two lines on stderr are left out.
        tags, note: Given to the run at its start.
        autolog: Libraries whose fits and trainings are noticed, as `AUTOLOG`; none: nothing is.
        tensorboard: Whether scalars in event files that the run writes for TensorBoard become metrics; None: those of
            programs, commands and notebooks that `anew run` runs.
        artifacts: Patterns of files, relative to where it is started, that become artifacts where it writes them.
        durability_ms: A power cut costs at most so many milliseconds of points; 0 syncs in every call.
        heartbeat_s: Seconds between signs of life, for readers on other hosts.
        seed: The root seed, for a configuration without one, in [0, 2**32); None to have it drawn.
        deterministic: Whether libraries are told to compute the same each time, where they can.
        drain_s: How long the end of a run waits for its observers.
        on_loss: What becomes of a run of which something could not be recorded, and whose main returned: "fail" has it
            end as FAILED, "warn" as COMPLETED with a warning.
        record: Whether there is a record; else nothing of a run stays.
        keep: Whether the run's folder stays in the store (the observer "files"), or is gone once the others have it.
        observers: What else follows the run.
    """

    store: str | None = None
    quiet: bool = False
    tags: tuple[str, ...] = ()
    note: str | None = None
    artifacts: tuple[str, ...] = ()
    durability_ms: int = 500
    heartbeat_s: float = 10.0
    seed: int | None = field(default=None, metadata={"least": 0})
    deterministic: bool = False
    autolog: tuple[str, ...] = ()
    tensorboard: bool | None = None
    drain_s: float = 10.0
    on_loss: Literal["fail", "warn"] = "fail"
    record: bool = True
    keep: bool = field(default=True, metadata={"unasked": True})
    observers: tuple[ObserverSettings, ...] = ()
    output: OutputSettings = field(default_factory=OutputSettings)
    system: SystemSettings = field(default_factory=SystemSettings)
    source: SourceSettings = field(default_factory=SourceSettings)
    inputs: InputSettings = field(default_factory=InputSettings)
    environment: EnvironmentSettings = field(default_factory=EnvironmentSettings)
    rerun: RerunSettings = field(default_factory=RerunSettings)
    sweep: SweepSettings = field(default_factory=SweepSettings)

    def in_passing(self) -> Settings:
        """Return the settings of a run that leaves nothing: nobody follows it, and its output is its own."""
        return replace(
            self,
            keep=True,
            observers=(),
            autolog=(),
            tensorboard=False,
            output=replace(self.output, mode="off", metrics=()),
            system=replace(self.system, enabled=False),
            source=replace(self.source, enabled=False),
            inputs=replace(self.inputs, notice=False, keep_bytes=0),
            sweep=replace(self.sweep, skip="none"),
        )

    @classmethod
    def from_mapping(cls, values: Any) -> Settings:
        """
        Read the composed node, resolved; an observer may have what it was before interpolation under `_written_`.

        Raises:
            ConfigError: A key is unknown or a value has the wrong type; the message names it and what would be right.
        """
        if not isinstance(values, Mapping):
            return checked.read(cls, values, "anew")
        rest = {key: value for key, value in values.items() if key != "observers"}
        chosen = _chosen(values.get("observers", {KEPT: {}}))
        keep = chosen.pop(KEPT, None) is not None
        observers = tuple(_observer(name, spec) for name, spec in chosen.items())
        if not keep and not observers:
            raise ConfigError(
                "Nothing would keep the run: anew.observers is empty. Choose some, such as: 'anew/observers=[files]'",
                key="anew.observers",
            )
        built = replace(checked.read(cls, rest, "anew"), keep=keep, observers=observers)
        built.sweep.check()
        _check_metrics(built.output)
        check_autolog(built.autolog, "anew.autolog")
        if flaw := flaw_of_tags(built.tags):
            raise ConfigError(f"anew.tags is {list(built.tags)!r}: {flaw}", key="anew.tags")
        return built


def check_autolog(wanted: Sequence[str], where: str) -> tuple[str, ...]:
    """Return what is to be noticed of libraries. Raises ConfigError for what is none of `AUTOLOG`."""
    for each in wanted:
        if each not in AUTOLOG:
            raise ConfigError(
                f"{where} has {each!r}.{nearest(str(each), AUTOLOG)} It takes: {', '.join(AUTOLOG)}.",
                key="anew.autolog",
            )
    return tuple(wanted)


def _check_metrics(output: OutputSettings) -> None:
    where = "anew.output.metrics"
    for text in output.metrics:
        try:
            pattern_of(text)
        except ValueError as error:
            raise ConfigError(f"{where}: {error}", key=where) from None
    if output.metrics and output.mode == "off":
        raise ConfigError(f"{where} reads what is captured, and anew.output.mode is off.", key=where)


def places_of(name: str) -> list[str]:
    """Return the settings of that name, in full: `anew.sweep.workers` for "workers"."""
    return checked.places_of(name, Settings, "anew")


def seconds(text: str, where: str) -> float:
    """Read a time such as "90", "90s", "30m", "1.5h", "2d", in seconds. Raises ConfigError."""
    found = _TIME.fullmatch(text.strip())
    if not found:
        raise ConfigError(f"{where} is {text!r}; it takes seconds, or a time such as 90s, 30m, 2h or 1d.", key=where)
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


def _chosen(values: Any) -> dict[str, Mapping[str, Any]]:
    """Return the observers that are not switched off."""
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"anew.observers is {values!r}; it holds observers by name. To choose some: 'anew/observers=[files,mongo]'",
            key="anew.observers",
        )
    found: dict[str, Mapping[str, Any]] = {}
    for name, spec in values.items():
        if spec is None or spec is False:
            continue
        if not isinstance(spec, Mapping):
            raise ConfigError(
                f"anew.observers.{name} is {spec!r}; it holds _target_ and its arguments, or null for none.",
                key=f"anew.observers.{name}",
            )
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise ConfigError(f"{name!r} cannot name an observer: letters, digits, _ and - can.", key="anew.observers")
        found[name] = spec
    return found


def _observer(name: str, spec: Mapping[str, Any]) -> ObserverSettings:
    written = spec.get(WRITTEN)
    where = f"anew.observers.{name}"
    host = spec.get("host", "process")
    required = spec.get("required", False)
    target = spec.get("_target_")
    if host not in ("process", "thread"):
        raise ConfigError(f"{where}.host is {host!r}; it takes process or thread.", key=f"{where}.host")
    if not isinstance(required, bool):
        raise ConfigError(f"{where}.required is {required!r}; it takes true or false.", key=f"{where}.required")
    if not isinstance(target, str) or not target:
        raise ConfigError(
            f"{where} has no _target_, the dotted name of a class. Choose one of anew's: "
            f"'anew/observers=[files,mongo]', or name yours: {where}._target_=mymodule.MyObserver",
            key=where,
        )
    if target.startswith("__main__."):
        host = "thread"
    return ObserverSettings(
        name=name,
        spec={key: value for key, value in spec.items() if key not in COMMON},
        written=dict(written) if isinstance(written, Mapping) else dict(spec),
        required=required,
        host=host,
    )


def observers_by_name(observers: Sequence[Any]) -> dict[str, Any]:
    """Return observers under names that are file names, each its own. Raises ConfigError for what is none."""
    named: dict[str, Any] = {}
    for observer in observers:
        if not callable(observer) and not callable(getattr(observer, "handle", None)):
            raise ConfigError(
                f"{observer!r} is no observer: give a function of one event, or a class or instance with handle(event) "
                "and close(); see anew.Observer"
            )
        stem = re.sub(r"\W+", "_", getattr(observer, "__name__", type(observer).__name__)) or "observer"
        numbered = (f"{stem}_{number}" for number in itertools.count(2))
        named[stem if stem not in named else next(name for name in numbered if name not in named)] = observer
    return named
