"""Holes of files: what is zeros, and takes no space. The standard library has to do."""

from __future__ import annotations

import errno
import os


def next_data(descriptor: int, offset: int) -> int:
    """
    Return where, from *offset* on, a file has anything but a hole; its end when there is nothing more.

    A file can be made as long as one likes in an instant, and nobody would see the end of reading its zeros. Where the
    system does not tell, a hole is read as the zeros that it stands for.
    """
    if not hasattr(os, "SEEK_DATA"):
        return offset
    before = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as error:
        return os.fstat(descriptor).st_size if error.errno == errno.ENXIO else offset
    finally:
        os.lseek(descriptor, before, os.SEEK_SET)  # somebody's buffer may count on it
