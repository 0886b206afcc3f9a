"""What `@experiment.main` was given, and how main is called with a composed configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from anew.runner.config.signature.annotations import Kind, UnresolvedTypeError, UnsupportedTypeError, kind_of
from anew.runner.config.signature.hints import UnresolvedError
from anew.runner.config.signature.parameters import Roles, is_schema, place, roles_of, schema_of, signature_of
from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError

UNSET: Any = object()

Form = Literal["cfg", "cfg+run", "signature", "none"]


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """
    A main function and its configuration's origin. Holds no state; light to make, Hydra is not imported for it.

    Attributes:
        function: The function that was decorated.
        roles: Which of its parameters is what.
        config_path, config_name, version_base: As `hydra.main` takes them; an unset path or version is None.
        schema: The dataclass (or instance) that the config must fit, or None.
        schema_kind: How the schema's values become what main is given, when main wants an instance.
    """

    function: Callable[..., Any]
    roles: Roles
    config_path: str | None = None
    config_name: str | None = None
    version_base: str | None = None
    schema: Any = None
    schema_kind: Kind | None = None

    @property
    def form(self) -> Form:
        """How main takes its configuration."""
        if self.roles.config:
            return "cfg+run" if self.roles.run else "cfg"
        return "signature" if self.roles.fields else "none"

    @property
    def place(self) -> str:
        """Where main is, as file:line."""
        return place(self.function)

    def place_of(self, key: str) -> str:
        """Where a key of the configuration stands, where that is known: a program's parameter; else where main is."""
        places: Mapping[str, str] = getattr(self.function, "places", {})
        return places.get(key.partition("[")[0], self.place)

    @property
    def typed(self) -> bool:
        """Whether main's parameters or its schema say what the configuration holds."""
        return bool(self.roles.fields) or self.schema is not None

    def call(self, arguments: Mapping[str, Any], run: Any) -> Any:
        """Call main."""
        named = dict(arguments)
        if self.roles.run:
            named[self.roles.run] = run
        # A decorator between ours and main may have renamed the parameter: the first goes by position.
        if self.roles.config and next(iter(signature_of(self.function).parameters), None) == self.roles.config:
            return self.function(named.pop(self.roles.config), **named)
        return self.function(**named)


def task_spec(
    function: Callable[..., Any],
    *,
    config_path: str | None = UNSET,
    config_name: str | None = None,
    version_base: str | None = UNSET,
    config: Any = None,
    hints: Mapping[str, Any] | None = None,
) -> TaskSpec:
    """
    Read a main function and the arguments of its decorator.

    Args:
        function: A plain function.
        config_path: As for `hydra.main`: a folder, relative to the function's file.
        config_name: As for `hydra.main`: the primary configuration.
        version_base: As for `hydra.main`; without it, the behaviour of the installed Hydra.
        config: A dataclass or attrs class, or an instance of one: the configuration's schema and defaults. With
            `config_name` too, the YAML is checked against it. Main is given an instance when its parameter is annotated
            with that class, else a DictConfig.
        hints: Its annotations, where they were found before; see `hints_of`.

    Raises:
        UnresolvedError: A type that the configuration needs is not there.
        ConfigError: The parameters cannot become a configuration; the message names the parameter and the place.
    """
    given = config_name is not None or config is not None or config_path not in (UNSET, None)
    roles = roles_of(function, config_given=given, known=hints)
    schema, kind = _schema(function, roles, config, given)
    return TaskSpec(
        function=function,
        roles=roles,
        config_path=_path(config_path, version_base),
        config_name=config_name,
        version_base=None if version_base is UNSET else version_base,
        schema=schema,
        schema_kind=kind,
    )


def _path(config_path: Any, version_base: Any) -> str | None:
    """Before 1.2 a config path that was not given meant the function's own folder."""
    if config_path is not UNSET:
        return None if config_path is None else str(config_path)
    return "." if version_base in ("1.0", "1.1") else None


def _schema(function: Callable[..., Any], roles: Roles, config: Any, given: bool) -> tuple[Any, Kind | None]:
    if roles.fields:
        return schema_of(function.__name__, roles.fields), None
    if config is None:
        if given or roles.config_class is None:
            return None, None
        config = roles.config_class
    cls = config if isinstance(config, type) else type(config)
    if not is_schema(cls):
        raise ConfigError(
            f"config={config!r} of {function.__qualname__} ({place(function)}) is no dataclass. Give a dataclass or an "
            "instance of one; for a YAML file give config_path and config_name."
        )
    try:
        kind = kind_of(cls)
    except UnsupportedTypeError as error:
        refused = UnresolvedError if isinstance(error, UnresolvedTypeError) else ConfigError
        raise refused(f"config={cls.__name__} of {function.__qualname__} ({place(function)}): {error}") from None
    except RecursionError:
        raise ConfigError(
            f"config={cls.__name__} of {function.__qualname__} ({place(function)}) contains itself."
        ) from None
    wants_instance = roles.config_class is not None and issubclass(cls, roles.config_class)
    schema = kind.schema if isinstance(config, type) else kind.lower(config)
    return schema, kind if wants_instance else None
