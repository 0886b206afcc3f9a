"""How a command finds the copy of its configuration file: by `{config}`, at the file's own path, or by its words."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from anew.runner import kernel
from anew.runner.errors import ConfigError
from anew.runner.kernel.door import CLOSED
from anew.runner.program.configured.copied import Copied
from anew.runner.program.template import CONFIG

VARIABLE = "ANEW_CONFIG"
_PATIENCE_S = 10.0
_BOUND = Path(kernel.__file__).with_name("bound.py")


def placed(words: Sequence[str], template: Sequence[str], copied: Copied, *, is_changed: bool) -> tuple[list[str], str]:
    """
    Return the words to start, and how the command comes to the copy.

    Args:
        words: The command's words, filled.
        template: The same as they were typed.
        copied: The file and its copy.
        is_changed: Whether they differ; a command may read the file itself otherwise.

    Returns:
        "named": by `{config}` in the words, or by a word that names the file and now names the copy; "bound": at the
        path of the file; "same": there is no difference.

    Raises:
        ConfigError: There is no way, and the command would read the file as it is.
    """
    if not is_changed:
        return list(words), "same"
    if any(f"{{{CONFIG}}}" in word for word in template):
        return list(words), "named"
    bound = [sys.executable, str(_BOUND), copied.copy, copied.path]
    why = _why_not(bound)
    if why is None:
        return [*bound, *words], "bound"
    named = [_named(word, copied) for word in words]
    if named != list(words):
        return named, "named"
    name = os.path.basename(copied.path)
    raise ConfigError(
        f"The command would read {name!r} as it is: it cannot be given a copy at that path here ({why}). Name the copy "
        f"among its words: anew run --config {name} -- COMMAND {{{CONFIG}}}, or as a variable: "
        f"-- env CONFIG={{{CONFIG}}} COMMAND"
    )


def _why_not(bound: Sequence[str]) -> str | None:
    """Return why no file can be had in the place of another; None where one can."""
    if CLOSED:
        return "only Linux can"
    try:
        done = subprocess.run(
            bound,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
            text=True,
            errors="replace",
            encoding="utf-8",
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


def _named(word: str, copied: Copied) -> str:
    """Return a word with the copy's path in place of the file's, as it is, or after an option's `=`."""
    before, mark, value = word.rpartition("=")
    is_option = bool(mark) and before.startswith("-")
    path = value if is_option else word
    if not path or not copied.is_meant(path):
        return word
    return f"{before}={copied.copy}" if is_option else copied.copy
