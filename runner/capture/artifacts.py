"""Which files an artifact consists of, and what they are called."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from anew.runner.dataclass import dataclass
from anew.runner.errors import ArtifactError, working_directory
from anew.runner.records import ContentRef


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """One file of an artifact: where it is, what it is called, its permission bits."""

    path: Path
    name: str
    mode: int

    def reference(self, sha256: str, size: int) -> ContentRef:
        """Return the record of it."""
        return ContentRef(path=self.name, sha256=sha256, size=size, mode=self.mode)


def artifact_files(path: Path, name: str | None, *, base: Path) -> list[ArtifactFile]:
    """
    Return the files of an artifact, in order of their names; all of them are looked at before any is kept.

    Args:
        path: A file or folder.
        base: Where a relative path is looked for when the working directory lacks it.
        name: What it is to be called, or None for its own name.

    Raises:
        ArtifactError: See `Run.log_artifact`.
    """
    found = _find(path, base)
    own_name = found.name if found.name not in ("", "..") else found.resolve().name
    label = checked_name(name if name is not None else own_name)
    if found.is_dir():
        files = [ArtifactFile(file, f"{label}/{below}", mode) for file, below, mode in _walk(found)]
        if not files:
            raise ArtifactError(f"The folder {str(path)!r} is empty; an artifact needs a file at least.")
        return sorted(files, key=lambda file: file.name)
    return [ArtifactFile(found, label, _regular(found))]


def _find(path: Path, base: Path) -> Path:
    for candidate in (path, base / path):
        try:
            candidate.stat()
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise ArtifactError(f"The artifact {str(candidate)!r} cannot be read: {why}.") from error
        return candidate
    where = "" if path.is_absolute() else f" in {working_directory()} or {base}"
    raise ArtifactError(
        f"There is no file or folder {str(path)!r}{where} to keep as an artifact. "
        "Write it before run.log_artifact(path)."
    )


def checked_name(name: str) -> str:
    """Return an artifact's name in its one form. Raises ArtifactError."""
    parts = PurePosixPath(name).parts
    if not parts or name != name.strip() or "\0" in name or PurePosixPath(name).is_absolute() or ".." in parts:
        raise ArtifactError(
            f"{name!r} cannot name an artifact: a name is a relative path without '..', such as 'model.joblib' or "
            "'plots/loss.png'. Give another: run.log_artifact(path, name='...')"
        )
    return "/".join(parts)


def _regular(path: Path) -> int:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise ArtifactError(f"{str(path)!r} is no regular file or folder and cannot be kept as an artifact.")
    return stat.S_IMODE(mode)


def _walk(folder: Path) -> Iterator[tuple[Path, str, int]]:
    root = folder.resolve()
    yield from _below(root, "", root, ())


def _below(folder: Path, prefix: str, root: Path, above: tuple[Path, ...]) -> Iterator[tuple[Path, str, int]]:
    """Yield files with their names and permission bits; a link to another folder of the artifact has what that has."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entry.name for entry in entries)
    except OSError as error:
        raise ArtifactError(f"The folder {error.filename!r} cannot be read: {error.strerror}.") from error
    for entry in found:
        path = folder / entry
        if not path.is_dir():
            yield path, prefix + entry, _inside(path, root)
            continue
        target = path.resolve() if path.is_symlink() else path
        if target in (folder, *above):
            raise ArtifactError(f"The link {str(path)!r} leads in circles, to {str(target)!r}, and cannot be kept.")
        if root not in target.parents:
            raise ArtifactError(
                f"The link {str(path)!r} leads out of the artifact's folder, to {str(target)!r}. "
                "Log that folder as an artifact of its own."
            )
        yield from _below(target, f"{prefix}{entry}/", root, (*above, folder))


def _inside(file: Path, root: Path) -> int:
    try:
        target = file.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise ArtifactError(f"The link {str(file)!r} leads nowhere or in circles, and cannot be kept.") from error
    if file.is_symlink() and root not in target.parents:
        raise ArtifactError(
            f"The link {str(file)!r} leads out of the artifact's folder, to {str(target)!r}. "
            "Log that file as an artifact of its own."
        )
    return _regular(target)
