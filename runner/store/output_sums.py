"""Is the captured output what was printed? Its checksums lie beside it, a line for each stretch."""

from __future__ import annotations

import os
from typing import BinaryIO
from zlib import crc32

from anew.runner import events as ev
from anew.runner.dataclass import dataclass
from anew.runner.guard.output_log import STRETCH_BYTES, Seals, Stretch, stretches_in
from anew.runner.records import Damage, Part, Severity
from anew.runner.store.files import cannot, open_regular, read_regular
from anew.runner.store.paths import RunLayout

# some eighty bytes for each stretch, of which the log has at most a few hundred thousand
_MOST_BYTES = 64 * 2**20
_MOST_NAMED = 5
_MEND = "copy the file back from a backup; what is intact is shown"


@dataclass(frozen=True, slots=True)
class _Sums:
    """
    What a file of checksums says, how many of its lines are damaged, and how far it goes without a gap.

    Attributes:
        is_torn: Whether the damaged one is the last, and has no end: whoever was writing it was cut off.
    """

    stretches: tuple[Stretch, ...] = ()
    damaged: int = 0
    is_torn: bool = False

    @property
    def reach(self) -> int:
        end = 0
        for stretch in self.stretches:
            if stretch.begin > end:
                break
            end = max(end, stretch.end)
        return end


def output_damage(layout: RunLayout, ended: ev.RunEnded | None) -> list[Damage]:
    """
    Return which stretches of a run's output are not what was printed, and what is wrong with their checksums.

    What has none yet, as the last rows of a run that goes on or was killed, and all output of earlier versions, is not
    judged. How long the output was is in the outcome, and compared there. Never raises.
    """
    try:
        sums = _read(layout)
    except FileNotFoundError:
        sums = _Sums()
    except OSError as error:
        return [_of_sums(layout, f"cannot be read: {error.strerror}")]
    expected = ended.output_sealed if ended is not None else None
    # what a child printed may be sealed after the outcome, and a power cut come then
    is_late = sums.is_torn and expected is not None and sums.reach >= expected
    found = [_of_sums(layout, f"has {sums.damaged} damaged lines")] if sums.damaged and not is_late else []
    if expected and sums.reach < expected and not sums.damaged:
        what = "is cut short" if sums.stretches else "is missing"
        found.append(_of_sums(layout, f"{what}: it covers {sums.reach} bytes of the output, and covered {expected}"))
    return found + _of_log(layout, sums, (ended.output_bytes if ended is not None else None) or 0)


def _read(layout: RunLayout) -> _Sums:
    data = read_regular(layout.output_sums, _MOST_BYTES)
    lines = list(stretches_in(data))
    intact = tuple(line for line in lines if line is not None)
    damaged = len(lines) - len(intact)
    return _Sums(intact, damaged, is_torn=damaged == 1 and lines[-1] is None and not data.endswith(b"\n"))


def _of_log(layout: RunLayout, sums: _Sums, known_bytes: int) -> list[Damage]:
    """Compare the log; that it is shorter than the outcome knows is said where that is read."""
    try:
        with open_regular(layout.output) as file:
            size = os.fstat(file.fileno()).st_size
            wrong = [what for stretch in sums.stretches if (what := _wrong(file, stretch, size < known_bytes))]
            beyond = size - _end(sums)
    except FileNotFoundError:
        wrong, beyond = (["is missing"] if sums.stretches and not known_bytes else []), 0
    except OSError as error:
        wrong, beyond = ([f"cannot be read: {error.strerror}"] if sums.stretches else []), 0
    if _is_closed(sums) and beyond > 0:
        wrong.append(f"has {beyond} bytes behind its end that nobody printed")
    more = [f"and {len(wrong) - _MOST_NAMED} more stretches"] if len(wrong) > _MOST_NAMED else []
    return [_of_output(layout, what) for what in (*wrong[:_MOST_NAMED], *more)]


def _wrong(file: BinaryIO, stretch: Stretch, is_cut: bool) -> str:
    """Return what is wrong with a stretch, or nothing; what *is_cut* off is known already."""
    crc = _crc(file, stretch)
    if crc == stretch.crc or (crc is None and is_cut):
        return ""
    return f"is not what was printed in the bytes {stretch.begin} to {stretch.end}"


def _crc(file: BinaryIO, stretch: Stretch) -> int | None:
    """Return the checksum of a stretch as it is now; None when it is not all there."""
    crc, at = 0, stretch.begin
    while at < stretch.end:
        data = os.pread(file.fileno(), min(STRETCH_BYTES, stretch.end - at), at)
        if not data:
            return None
        crc, at = crc32(data, crc), at + len(data)
    return crc


def _end(sums: _Sums) -> int:
    return max((stretch.end for stretch in sums.stretches), default=0)


def _is_closed(sums: _Sums) -> bool:
    return any(stretch.is_last for stretch in sums.stretches)


def _of_output(layout: RunLayout, what: str) -> Damage:
    name = layout.output.name
    return Damage(part=Part.OUTPUT, what=f"{name} {what}", where=name, mend=_MEND)


def _of_sums(layout: RunLayout, what: str) -> Damage:
    """What is lost is not the output, but that anybody can tell whether it is intact."""
    name = layout.output_sums.name
    return Damage(
        part=Part.OUTPUT, what=f"{name} {what}", where=name, severity=Severity.WARNING, mend="copy it from a backup"
    )


def seal_output(layout: RunLayout, *, is_closed: bool) -> None:
    """
    Write the checksums of a log that was laid out from elsewhere, as it is now. Not safe between processes.

    Args:
        layout: The run.
        is_closed: Whether nothing more will come.

    Raises:
        StoreError: They cannot be written.
    """
    try:
        layout.output_sums.unlink(missing_ok=True)
        with layout.output.open("rb") as file:
            seals = Seals(file.fileno(), str(layout.output_sums))
            (seals.close if is_closed else seals.reach)(os.fstat(file.fileno()).st_size)
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot("write", layout.output_sums, error) from error
