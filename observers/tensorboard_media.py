"""Pictures, texts and histograms as TensorBoard's messages."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, BinaryIO

from anew.runner import events as ev
from anew.runner.attached.media import Histogram
from anew.runner.store.files import read_most

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_SIZE = struct.Struct(">16xII")
_MOST_BYTES = 2**24
_MOST_TEXT = 2**20


class MediaMessages:
    """
    Makes the values of what is no number. Raises ImportError when made without TensorBoard.

    Args:
        markdown: Makes the value of a text.
    """

    def __init__(self, markdown: Callable[[str, str], Any]) -> None:
        from tensorboard.compat.proto import summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
        from tensorboard.plugins.histogram import metadata as histogram_metadata
        from tensorboard.plugins.image import metadata as image_metadata

        self._markdown = markdown
        self._value = summary_pb2.Summary.Value
        self._tensor = tensor_pb2.TensorProto
        self._shape = tensor_shape_pb2.TensorShapeProto
        self._string = types_pb2.DT_STRING
        self._double = types_pb2.DT_DOUBLE
        self._of_histogram = histogram_metadata.create_summary_metadata("", "")
        self._of_image = image_metadata.create_summary_metadata("", "")

    def histogram(self, tag: str, histogram: Histogram) -> Any:
        """Return a histogram's value: for each bin its two edges and its count."""
        edges = histogram.edges
        bins = zip(edges, edges[1:], histogram.counts, strict=False)
        tensor = self._tensor(
            dtype=self._double,
            tensor_shape=self._shaped(len(histogram.counts), 3),
            double_val=[float(number) for each in bins for number in each],
        )
        return self._value(tag=tag, metadata=self._of_histogram, tensor=tensor)

    def artifact(self, tag: str, event: ev.ArtifactAdded, open_object: Callable[[str], BinaryIO]) -> list[Any]:
        """Return the value of an artifact that was logged as a picture or a text; none of what is too large or else."""
        file = event.artifact
        if not event.form or not file.kept or file.size > _MOST_BYTES or file.path.endswith(".html"):
            return []
        with open_object(file.sha256) as content:
            data = read_most(content, _MOST_BYTES)
        if event.form in ("figure", "image"):
            return self._picture(tag, data)
        text = data[:_MOST_TEXT].decode("utf-8", "replace")
        # indentation alone has no end mark that could occur in a table
        return [self._markdown(tag, text if event.form == "text" else "".join(f"    {x}\n" for x in text.split("\n")))]

    def _picture(self, tag: str, data: bytes) -> list[Any]:
        if not data.startswith(_PNG) or len(data) < _PNG_SIZE.size:
            return []
        wide, high = _PNG_SIZE.unpack_from(data)
        parts = [str(wide).encode(), str(high).encode(), data]
        tensor = self._tensor(dtype=self._string, tensor_shape=self._shaped(len(parts)), string_val=parts)
        return [self._value(tag=tag, metadata=self._of_image, tensor=tensor)]

    def _shaped(self, *sizes: int) -> Any:
        return self._shape(dim=[self._shape.Dim(size=size) for size in sizes])
