"""Wheels without a network: out of what is installed in the running environment, or made up."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from email.parser import Parser
from importlib import metadata
from pathlib import Path

# Written by whoever installs a wheel, not part of it.
_INSTALLED = {"RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json"}


def wheelhouse(folder: Path, names: Iterable[str]) -> Path:
    """
    Pack wheels of distributions of the running environment into *folder*, and return it.

    Scripts and other files outside of site-packages are left out. Raises LookupError for what is not installed, or was
    installed without a list of its files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        _repack(metadata.distribution(name), folder)
    return folder


def tiny_wheel(folder: Path, name: str, version: str, source: str, needs: Sequence[str] = ()) -> Path:
    """Make a wheel with one module, called like the distribution, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    described = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    described += [f"Requires-Dist: {each}" for each in needs]
    files = {
        f"{name}.py": source.encode(),
        f"{info}/METADATA": "".join(f"{line}\n" for line in described).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    return _pack(folder, info, "py3-none-any", files)


def _repack(held: metadata.Distribution, folder: Path) -> Path:
    listed = [path for path in held.files or () if ".." not in path.parts and path.suffix != ".pyc"]
    info = next((path.parts[0] for path in listed if path.name == "WHEEL" and len(path.parts) == 2), None)
    if info is None:
        raise LookupError(f"{held.metadata['Name']} was not installed from a wheel: it has no list of its files")
    files = {
        path.as_posix(): Path(str(held.locate_file(path))).read_bytes()
        for path in listed
        if not (path.parts[0] == info and path.name in _INSTALLED)
    }
    tags = Parser().parsestr(files[f"{info}/WHEEL"].decode()).get_all("Tag", [])
    parts = zip(*(tag.split("-") for tag in tags), strict=True)
    return _pack(folder, info, "-".join(".".join(dict.fromkeys(part)) for part in parts), files)


def _pack(folder: Path, info: str, tag: str, files: Mapping[str, bytes]) -> Path:
    """Write a wheel with a list of its files; not compressed, which would take longer than it saves."""
    record = "".join(f'"{name}",sha256={_digest(data)},{len(data)}\n' for name, data in files.items())
    path = folder / f"{info.removesuffix('.dist-info')}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, data in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}.items():
            wheel.writestr(name, data)
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
