"""
One trial of a search, on the machine of a worker: `python -m anew.runner.why.remote STORE SEARCH TRIAL SHA256`.

For whatever starts processes on other machines. The store's folder is shared with this machine, which has an
environment with anew and what main needs. The trial is run as its file says, if that has the digest that whoever hands
it out has given; what came of it is put into another file beside it. With `--while-stdin` it is terminated when stdin
comes to its end: whoever holds the other end has died.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from anew.runner import errors
from anew.runner.errors import AnewError, StoreError
from anew.runner.format import serial
from anew.runner.format.serial import DamagedError
from anew.runner.store.files import cannot, create_whole, read_regular
from anew.runner.store.folder import FolderStore
from anew.runner.store.paths import TrialLayout
from anew.runner.sweep.remote import LIFELINE, end_with_stdin
from anew.runner.why.order import Order, done

_MOST_BYTES = 1 << 28


def main(words: Sequence[str]) -> int:
    """Run one trial; return the exit code. An error of what was given is said on stderr."""
    try:
        root, search, trial, digest = (word for word in words if word != LIFELINE)
        numbers = int(search), int(trial)
    except ValueError:
        sys.stderr.write(f"{__doc__}\n")
        return errors.EXIT_USAGE
    if LIFELINE in words:
        end_with_stdin()
    try:
        store = FolderStore.open(Path(root))
        layout = store.layout.why(numbers[0]).trial(numbers[1])
        order = _read(layout, digest)
        # created as a whole, by one of those that a queue may have begun for it
        if not create_whole(layout.begun, b""):
            return errors.EXIT_TAKEN
        found = done(store, order)
    except AnewError as error:
        sys.stderr.write(f"anew: {error}\n")
        return error.exit_code
    end = {"why_not": found} if isinstance(found, str) else {"run": found.uid}
    create_whole(layout.end, serial.seal(end))
    return errors.EXIT_OK


def _read(layout: TrialLayout, digest: str) -> Order:
    try:
        data = read_regular(layout.order, _MOST_BYTES)
    except OSError as error:
        raise cannot("read", layout.order, error) from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise StoreError(f"{str(layout.order)!r} is another than was handed out, and is not run.")
    try:
        return serial.from_json(Order, serial.unseal(data))
    except DamagedError as error:
        raise StoreError(f"{str(layout.order)!r} is damaged: {error}.") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
