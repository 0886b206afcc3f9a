"""
Figures, pictures, texts, tables and histograms as they are kept: from the objects of other libraries to bytes.

No library is imported that the user's object did not bring, but Pillow for pictures and numpy for numbers.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anew.runner.attached.media import Histogram
from anew.runner.capture.artifacts import ArtifactFile, artifact_files, checked_name
from anew.runner.dataclass import dataclass
from anew.runner.errors import MissingExtraError, ValueRefusedError
from anew.runner.records import ContentRef
from anew.runner.store.numeric import NotANumberError, whole_step
from anew.runner.store.objects import ObjectStore
from anew.runner.wording import in_a_line, some

if TYPE_CHECKING:
    import numpy as np

MOST_BINS = 10_000
_MODE = 0o644
# what PNG holds without a conversion
_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"})


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to be kept: its kind, its content, and what its file's name ends with."""

    kind: str
    data: bytes
    ending: str


def files_of(
    path: Path, name: str | None, base: Path, objects: ObjectStore
) -> list[tuple[str, Callable[[], ContentRef]]]:
    """Return the names of an artifact's files, each with what keeps its content. Raises as `Run.log_artifact`."""
    return [(file.name, partial(_kept_file, file, objects)) for file in artifact_files(path, name, base=base)]


def two_of(path: Path, base: Path) -> str:
    """Return, in sentences, that a path leads to a file in the working directory and to one of the run; else ""."""
    own = base / path
    if path.is_absolute() or not (path.exists() and own.exists()) or os.path.samefile(path, own):
        return ""
    return (
        f"There is a {str(path)!r} in the working directory, which is kept, and another one in run.dir. To keep that: "
        f"run.log_artifact(run.dir / {str(path)!r})"
    )


def _kept_file(file: ArtifactFile, objects: ObjectStore) -> ContentRef:
    return file.reference(*objects.put_file(file.path))


def kept(piece: Piece, path: str, objects: ObjectStore) -> ContentRef:
    """Keep a piece as the artifact *path*. Raises StoreError."""
    return ContentRef(path=path, sha256=objects.put_bytes(piece.data), size=len(piece.data), mode=_MODE)


def series_name(name: Any, call: str) -> str:
    """Return what something is logged as. Raises ValueRefusedError, ArtifactError."""
    if not isinstance(name, str) or not name.strip():
        raise ValueRefusedError(f"run.{call} got {_told(name)} as the name; it takes a text, such as 'samples'.")
    return checked_name(name)


def step_of(step: Any, call: str) -> int | None:
    """Return a step as a whole number, or None. Raises ValueRefusedError."""
    try:
        return None if step is None else whole_step(step)
    except NotANumberError as error:
        raise ValueRefusedError(f"run.{call} kept nothing: {error}. Give one such as step=5, or none.") from None


def path_of(name: str, step: int | None, ending: str) -> str:
    """Return what the artifact is called: NAME.png, or NAME/5.png at a step."""
    stem = name.removesuffix(ending)
    return f"{stem}{ending}" if step is None else f"{stem}/{step}{ending}"


# --- what is kept as a file -----------------------------------------------------------------------------------------


def figure(given: Any) -> Piece:
    """Return a figure as PNG, or one of Plotly as a page that needs nothing else. Raises ValueRefusedError."""
    buffer = io.BytesIO()
    save = getattr(given, "savefig", None) or getattr(getattr(given, "figure", None), "savefig", None)
    if callable(save):
        _made(lambda: save(buffer, format="png"), given, "run.log_figure")
        return Piece("figure", buffer.getvalue(), ".png")
    if callable(getattr(given, "write_html", None)):
        page = io.StringIO()
        # with an id of its own each time, the page would be another in a re-run
        _made(lambda: given.write_html(page, include_plotlyjs=True, div_id="figure"), given, "run.log_figure")
        return Piece("figure", page.getvalue().encode("utf-8", "backslashreplace"), ".html")
    raise ValueRefusedError(
        f"run.log_figure got {_told(given)}; it takes a figure of Matplotlib (or whatever has savefig), or one of "
        "Plotly. For an array of pixels: run.log_image(array, 'name')"
    )


def image(given: Any) -> Piece:
    """Return a picture as PNG. Raises ValueRefusedError, MissingExtraError."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("Pictures need Pillow. To install it: pip install 'anew[image]'") from error
    picture = given if isinstance(given, Image.Image) else Image.fromarray(_pixels(given))
    if picture.mode not in _PNG_MODES:
        picture = _made(lambda: picture.convert("RGB"), given, "run.log_image")
    buffer = io.BytesIO()
    _made(lambda: picture.save(buffer, format="PNG"), given, "run.log_image")
    return Piece("image", buffer.getvalue(), ".png")


def _pixels(given: Any) -> np.ndarray[Any, Any]:
    """Return an array as Pillow takes it: bytes, HW, or HWC with 3 or 4 channels, or 2. Raises ValueRefusedError."""
    import numpy as np

    array = array_of(given, "run.log_image", "an array of pixels, or a picture of Pillow")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and array.shape[2] not in (2, 3, 4)):
        first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        hint = " For channels that come first: np.moveaxis(array, 0, -1)" if first else ""
        raise ValueRefusedError(
            f"run.log_image got an array of shape {array.shape}; it takes (height, width), or (height, width, "
            f"channels) with 1 to 4 of them.{hint}"
        )
    if array.dtype == np.bool_:
        return np.ascontiguousarray(array * np.uint8(255))
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind != "f":
        raise ValueRefusedError(
            f"run.log_image got an array of {array.dtype}; it takes uint8 (0 to 255), float (0 to 1) or bool. "
            "For whole numbers of 0 to 255: array.astype('uint8')"
        )
    # so written that NaN fails as well
    if not bool(((array >= 0) & (array <= 1)).all()):
        raise ValueRefusedError(
            f"run.log_image got numbers from {np.min(array):g} to {np.max(array):g}; as float it takes 0 to 1, and no "
            "NaN. To bring them there: array.clip(0, 1), or for 0 to 255 array / 255"
        )
    return np.ascontiguousarray(np.rint(array.astype(np.float64) * 255).astype(np.uint8))


def text(given: Any) -> Piece:
    """Return a text as UTF-8; what is no Unicode is written out. Raises ValueRefusedError."""
    if not isinstance(given, str):
        raise ValueRefusedError(f"run.log_text got {_told(given)}; it takes a text: run.log_text(str(value), 'name')")
    return Piece("text", given.encode("utf-8", "backslashreplace"), ".txt")


def table(given: Any) -> Piece:
    """Return a data frame, or rows given as mappings, as CSV. Raises ValueRefusedError."""
    if callable(getattr(given, "to_csv", None)):
        # a frame of pandas: rows that are only counted need no column of their own
        counted = type(getattr(given, "index", None)).__name__ == "RangeIndex"
        content = _made(lambda: given.to_csv(index=not counted, lineterminator="\n"), given, "run.log_table")
    elif callable(getattr(given, "write_csv", None)):
        content = _made(given.write_csv, given, "run.log_table")
    else:
        content = _rows(given)
    return Piece("table", content.encode("utf-8", "backslashreplace"), ".csv")


def _rows(given: Any) -> str:
    if isinstance(given, (str, bytes, Mapping)) or not hasattr(given, "__iter__"):
        given = [given]
    rows = list(given)
    if not rows or not all(isinstance(row, Mapping) and row for row in rows):
        odd = next((row for row in rows if not (isinstance(row, Mapping) and row)), given)
        raise ValueRefusedError(
            f"run.log_table got {_told(odd) if rows else 'no rows'}; it takes a data frame, or a list of rows such as "
            "[{'name': 'a', 'n': 1}]."
        )
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


# --- histograms -----------------------------------------------------------------------------------------------------


def histogram(given: Any, bins: int, call: str = "run.log_histogram") -> Histogram:
    """Count values in bins between the least and the greatest finite one. Raises ValueRefusedError."""
    import numpy as np

    if type(bins) is not int or not 0 < bins <= MOST_BINS:
        raise ValueRefusedError(f"{call} got bins={bins!r}; it takes a whole number from 1 to {MOST_BINS}.")
    array = array_of(given, call, "numbers: an array, or a list")
    if array.dtype.kind not in "fiub":
        raise ValueRefusedError(f"{call} got an array of {array.dtype}; it takes real numbers.")
    if not array.size:
        raise ValueRefusedError(f"{call} got no values; a histogram takes one at least.")
    values = np.asarray(array, dtype=np.float64).ravel()
    finite = values[np.isfinite(values)]
    nans = int(np.isnan(values).sum())
    infinities = values.size - finite.size - nans
    if not finite.size:
        return Histogram(low=0.0, high=0.0, counts=(), nans=nans, infinities=infinities)
    # neither the range nor the sum of squares is to overflow, nor a bin to be too narrow to divide by: halving is exact
    exponent = math.frexp(float(np.abs(finite).max()))[1]
    scale = 2.0 ** (exponent - math.copysign(400, exponent)) if abs(exponent) > 400 else 1.0
    scaled = finite / scale
    low, high = float(finite.min()), float(finite.max())
    counts, edges = np.histogram(scaled, bins=bins)
    if low == high:
        low, high = float(edges[0]) * scale, float(edges[-1]) * scale
    return Histogram(
        low=low,
        high=high,
        counts=tuple(counts.tolist()),
        mean=float(scaled.mean()) * scale,
        std=float(scaled.std()) * scale,
        nans=nans,
        infinities=infinities,
    )


def array_of(given: Any, call: str, wanted: str) -> np.ndarray[Any, Any]:
    """Return numbers as an array, tensors of torch too, wherever they are. Raises ValueRefusedError."""
    import numpy as np

    try:
        if callable(getattr(given, "detach", None)):
            given = given.detach().cpu()
            # numpy has no bfloat16
            given = given.float() if "bfloat16" in str(getattr(given, "dtype", "")) else given
        if isinstance(given, (str, bytes)) or given is None:
            raise TypeError("no numbers")
        array = np.asarray(given)
        if array.dtype.kind == "O":
            array = array.astype(np.float64)
    except Exception as error:
        # the user's object may raise anything when it is looked at
        raise ValueRefusedError(f"{call} got {_told(given)}; it takes {wanted} ({in_a_line(error, 200)}).") from error
    return array


def unfinite(histograms: Mapping[str, Histogram]) -> dict[str, str]:
    """Return those with values that are not finite, each with what these are."""
    return {
        name: some([word for word, count in (("NaN", each.nans), ("infinite", each.infinities)) if count])
        for name, each in histograms.items()
        if each.nans or each.infinities
    }


# --- how it is said -------------------------------------------------------------------------------------------------


def _made(make: Callable[[], Any], given: Any, call: str) -> Any:
    """Return what another library makes. Raises ValueRefusedError, with what that library said."""
    try:
        return make()
    except Exception as error:
        why = f"{type(error).__name__}: {in_a_line(error, 300)}"
        raise ValueRefusedError(f"{call} could not write {_told(given)}: {why}") from error


def _told(value: object) -> str:
    """Return a value as it was given where that is short, else its type."""
    if value is None or isinstance(value, (str, int, float)):
        shown = repr(value)
        if len(shown) <= 40:
            return shown
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a value of type {type(value).__name__}"
