"""
What installed packages offer, by entry points: stores by the scheme of their URLs, observers by name.

A look at all that is installed costs some 20 ms, so it is for when something is asked for by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anew.runner.dataclass import dataclass
from anew.runner.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

STORES = "anew.stores"
"""URL scheme -> a function of a URL and the keyword `create` that returns a `RunStore`."""

OBSERVERS = "anew.observers"
"""Name -> a class or function that makes an observer: those that may be built of what a store says."""


@dataclass(frozen=True, slots=True)
class Offer:
    """
    What one package offers under a name.

    Attributes:
        name: The entry point's.
        target: Where it is, as "module:attribute".
        package: The distribution; empty when that is not known.
    """

    name: str
    target: str
    package: str
    _entry: EntryPoint

    @property
    def dotted(self) -> str:
        """The target as `_target_` has it, with dots only."""
        return self.target.replace(":", ".")

    def load(self) -> Any:
        """
        Import it and return it.

        Raises:
            MissingExtraError: Something that it needs is not installed; the message names the package and its extra.
            ConfigError: The package does not have it.
        """
        try:
            return self._entry.load()
        except ImportError as error:
            raise self.missing(error) from error
        except AttributeError as error:
            raise ConfigError(
                f"The package {self.package} offers {self.name!r} at {self.target}, which is not there: {error}"
            ) from error

    def missing(self, error: ImportError) -> MissingExtraError:
        """Return the error that says what to install; one that says it already as it is."""
        if isinstance(error, MissingExtraError):
            return error
        extras = f"[{','.join(self._entry.extras)}]" if self._entry.extras else ""
        return MissingExtraError(
            f"What the package {self.package} offers as {self.name!r} needs something that is not installed: {error}. "
            f"To install it: pip install '{self.package}{extras}'",
            extra=",".join(self._entry.extras),
        )


def offers(group: str) -> dict[str, Offer]:
    """
    Return what installed packages offer in a group of entry points, by name.

    Raises:
        ConfigError: Two packages offer something else under the same name.
    """
    # takes another 30 ms to import, which a folder that is listed has no use for
    from importlib.metadata import entry_points

    found: dict[str, Offer] = {}
    for entry in entry_points(group=group):
        package = entry.dist.name if entry.dist is not None else ""
        offer = Offer(entry.name, entry.value.partition("[")[0].strip(), package, entry)
        other = found.setdefault(entry.name, offer)
        if other.target != offer.target:
            raise ConfigError(
                f"Two packages offer {entry.name!r} as one of {group}: {other.package} ({other.target}) and {package} "
                f"({offer.target}). Uninstall one: pip uninstall {package}"
            )
    return found
