"""Object stores: addresses such as s3://BUCKET/KEY, gs:// and hf://. Only this file uses fsspec.

    fetched(path)     the same file on this disk, for a while
    sent(path)        a file on this disk that is sent when it is finished, by one PUT
    records(folder)   a folder on this disk whose changes are sent at the end

Paths hold the addresses (see `files.address_of`). All work is done on files of this disk: neither
a decoder nor the reader of prepared videos is ever given an address.
"""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from stresnet.errors import DatasetError, EnvironmentProblem, StresnetError
from stresnet.files import address_of, atomic_write

_VERSIONS = ("ETag", "etag", "md5Hash", "blob_id")  # what changes with the content


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """(size, number of its version) of every object below an address, by relative name.

    Raises:
        EnvironmentProblem: it cannot be reached.
    """
    system, root = _opened(folder)
    with _explained(folder):
        system.invalidate_cache()
        found: Mapping[str, Any] = system.find(root, detail=True)
    return {name[len(root) :].lstrip("/"): _facts(info) for name, info in found.items()}


def facts(path: Path) -> tuple[int, int] | None:
    """(size, number of its version) of one object, asked for now; None where there is none.

    Raises:
        EnvironmentProblem: it cannot be reached.
    """
    system, name = _opened(path)
    with _explained(path):
        system.invalidate_cache()
        try:
            info = system.info(name)
        except FileNotFoundError:
            return None
        return _facts(info) if info["type"] == "file" else None


def fetch(path: Path, target: Path) -> None:
    """Copy an object to this disk, whole or not at all.

    Raises:
        DatasetError: there is no such object.
        EnvironmentProblem: it cannot be reached, or the disk is full.
    """
    system, name = _opened(path)
    with atomic_write(target) as partial, _explained(path):
        system.get_file(name, str(partial))


def send(source: Path, path: Path) -> None:
    """Copy a file to an address; it appears there whole.

    Raises:
        EnvironmentProblem: it cannot be reached or written.
    """
    system, name = _opened(path)
    with _explained(path, missing=EnvironmentProblem):
        system.put_file(str(source), name)


@contextmanager
def fetched(path: Path) -> Iterator[Path]:
    """Give a file on this disk with the object's name and content; a file on a disk as it is.

    If there is no such object, there is no such file. Errors name the object.
    """
    if address_of(path) is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="stresnet-") as scratch:
        here = Path(scratch, path.name)
        if facts(path) is not None:
            fetch(path, here)
        with _named(here, path):
            yield here


@contextmanager
def sent(path: Path) -> Iterator[Path]:
    """Give a file to write, which is sent to the address if all goes well; or the file itself.

    A file that is removed again, or not written, is not sent.
    """
    if address_of(path) is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="stresnet-") as scratch:
        here = Path(scratch, path.name)
        with _named(here, path):
            yield here
        if here.exists():
            send(here, path)


@contextmanager
def records(folder: Path, *patterns: str) -> Iterator[Path]:
    """Give a folder on this disk for what a run notes about `folder`: an index, its failures.

    For an address, it begins with the objects there whose names match; at the end, even after an
    error, what has changed in it is sent there. A folder on a disk is given as it is.
    """
    if address_of(folder) is None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="stresnet-") as scratch:
        here = Path(scratch)
        before: dict[str, int] = {}
        for name in listing(folder):
            if "/" not in name and any(fnmatch(name, pattern) for pattern in patterns):
                fetch(folder / name, here / name)
                before[name] = (here / name).stat().st_mtime_ns
        try:
            yield here
        finally:
            after = {file.name: file for file in here.iterdir() if not file.name.startswith(".")}
            for name, file in sorted(after.items()):
                if before.get(name) != file.stat().st_mtime_ns:
                    send(file, folder / name)
            for name in before.keys() - after.keys():
                system, there = _opened(folder / name)
                with _explained(folder / name):
                    system.rm_file(there)


@contextmanager
def _named(here: Path, path: Path) -> Iterator[None]:
    """Have errors name the object instead of the scratch file."""
    try:
        yield
    except StresnetError as error:
        told = error.problem.replace(str(here), address_of(path) or "")
        raise type(error)(told, remedy=error.remedy) from error


def _opened(path: Path) -> tuple[Any, str]:
    """The file system of an address, and the object's name in it."""
    address = address_of(path)
    try:
        import fsspec

        system, name = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise EnvironmentProblem(
            f"{address}: needs a package that is not installed ({error})",
            remedy="pip install 'stresnet[cloud]'",
        ) from error
    return system, str(name)


@contextmanager
def _explained(path: Path, *, missing: type[StresnetError] = DatasetError) -> Iterator[None]:
    """Turn errors into clear ones; each kind of object store has its own.

    Args:
        missing: what to raise where there is no such object or bucket.
    """
    try:
        yield
    except StresnetError:
        raise
    except FileNotFoundError as error:
        raise missing(
            f"{address_of(path)}: there is no such object or bucket", remedy="check the spelling"
        ) from error
    except Exception as error:
        if getattr(error, "errno", None) == errno.ENOSPC:  # of this disk, which its writer explains
            raise
        raise EnvironmentProblem(
            f"{address_of(path)}: cannot be used ({type(error).__name__}: {error})",
            remedy="check the address, and this machine's credentials and network",
        ) from error


def _facts(info: Mapping[str, Any]) -> tuple[int, int]:
    version = next((str(info[key]) for key in _VERSIONS if info.get(key)), "")
    return int(info["size"]), int.from_bytes(hashlib.sha256(version.encode()).digest()[:7])
