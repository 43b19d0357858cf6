"""Files and folders that appear whole or not at all, and what killed writers leave behind.

atomic_write(path)          ".NAME.PID-TOKEN.partial" beside it, synced, then renamed
write_text(path, text)      the same for a text
atomic_directory(path)      the same for a folder of files of one ending
remove_stale_partials(...)  removes the partials whose writer is gone
"""

from __future__ import annotations

import codecs
import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stresnet.errors import EnvironmentProblem, UsageError

# What `zipfile` and `np.load` raise on a damaged file. RuntimeError: it claims to be encrypted, or
# compressed in an unknown way.
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, RuntimeError, TypeError),
    ValueError,
)
ASSETS = Path(__file__).parent / "assets"  # what ships: models, weights, clips, templates
MARK = ".stresnet"  # in folders that this program has made
STALE_SECONDS = 24 * 3600  # after which a partial of another machine counts as abandoned

SCHEMES = ("s3", "gs", "hf", "memory")  # of object stores; the last is in this process's memory

_ADDRESS = re.compile(rf"({'|'.join(SCHEMES)}):/+(.*)", re.DOTALL)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FAILING = (errno.EFBIG, errno.EIO, errno.EROFS)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0")


def address_of(path: str | Path) -> str | None:
    """The address of an object store that a path holds; None for a file or folder on a disk.

    A `Path` holds an address with one slash less, s3:/bucket/key, so that code for folders
    (`path.parent`, `folder / name`) works for both. `stresnet.cloud` reads and writes them.
    """
    found = _ADDRESS.fullmatch(str(path))
    return f"{found[1]}://{found[2]}" if found else None


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it is synced and renamed to `path`.

    On any error, the temporary file is removed and an existing `path` stays as it was. A kill at
    any moment leaves at most a `.partial` file, which `remove_stale_partials` removes. Threads,
    processes and machines may write one `path` at the same time: the last to finish wins.

    Raises:
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    partial = _partial(path)
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch(exist_ok=False)
        usual_mode = partial.stat().st_mode
    try:
        with _explained(path, of_disk=partial):
            yield partial
        with _explained(path):
            partial.chmod(usual_mode)  # safetensors lets only the owner read its files
            with partial.open("rb+") as written:
                os.fsync(written.fileno())
            partial.replace(path)
            _sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all.

    Raises:
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    with atomic_write(path) as partial:
        # File names need not be UTF-8; what is left of such bytes cannot be encoded.
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def atomic_directory(path: Path, *, ours: str) -> Iterator[Path]:
    """Give a temporary folder beside `path`; on success it replaces `path`, else it is removed.

    An existing `path` is replaced only if all names in it match the pattern `ours`.
    A kill between the two renames leaves the old folder beside it, as `.NAME.previous`; the next
    call puts it back. Files are not synced one by one, which would cost more than writing them:
    check them after a power cut.

    Raises:
        UsageError: `path` holds something that is not ours to replace.
        EnvironmentProblem: the disk is full or the folder cannot be written.
    """
    path = path.absolute()  # `.` and the like have no name to write beside
    previous = path.with_name(f".{path.name}.previous")
    if previous.is_dir() and not path.exists():
        previous.rename(path)  # a run was killed between the two renames below
    _require_ours(path, ours)
    partial = _partial(path)
    with _explained(path):
        partial.mkdir(parents=True)
    try:
        with _explained(path, of_disk=partial):
            yield partial
        with _explained(path):
            if path.exists():
                shutil.rmtree(previous, ignore_errors=True)
                path.rename(previous)
            partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if path.exists():
            shutil.rmtree(previous, ignore_errors=True)


def remove_stale_partials(targets: Iterable[Path]) -> None:
    """Remove the partial files and folders of these targets whose writer is gone.

    A writer on this machine is gone when its process is; one on another machine, when its partial
    has not changed for a day.
    """
    names_in: dict[Path, set[str]] = defaultdict(set)
    for target in targets:
        names_in[target.parent].add(target.name)
    for folder, names in names_in.items():
        for partial in folder.glob(".*.partial"):
            parts = re.fullmatch(r"\.(.+)\.(\d+)-(\w{4})\w{4}\.partial", partial.name, re.DOTALL)
            if parts and parts[1] in names and _stale(partial, int(parts[2]), parts[3]):
                if partial.is_dir():
                    shutil.rmtree(partial, ignore_errors=True)
                else:
                    partial.unlink(missing_ok=True)


def require_writable(folder: Path, *, mark: bool = True) -> None:
    """Create the folder, and check that it can be written, before any work is done for it.

    A new one gets the empty file `MARK`, so that later searches for videos skip it.

    Args:
        mark: put `MARK` into an empty folder, too.

    Raises:
        UsageError: it is an address.
        EnvironmentProblem: it cannot be created or written.
    """
    if (address := address_of(folder)) is not None:
        raise UsageError(
            f"{address}: only prepared videos and shards are written to an object store",
            remedy="name a folder; or use `stresnet prepare --store` and `stresnet pack --out`",
        )
    with _explained(folder):
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        if is_new or (mark and not any(folder.iterdir())):
            (folder / MARK).touch()
        with tempfile.TemporaryFile(dir=folder):
            pass


def read_text(path: Path) -> str:
    """Read a text that a person or a spreadsheet wrote: UTF-8, or UTF-16 as Windows writes it.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it has another encoding, or is not text.
    """
    content = path.read_bytes()
    coding = "utf-16-le" if content[1:2] == b"\0" else "utf-8-sig"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        coding = "utf-16"
    text = content.decode(coding)
    if (place := text.find("\0")) >= 0:
        raise UnicodeDecodeError(coding, content, place, place + 1, "a NUL is not text")
    return text


def one_spelling(path: Path) -> Path:
    """The one path that stands for a file, however it was reached; links stay what they are."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def inert_cell(cell: str) -> str:
    """A CSV cell that no spreadsheet runs as a formula: an apostrophe first (OWASP ASVS 1.2.10)."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def plain_cell(cell: str) -> str:
    """Undo `inert_cell`."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_FORMULA_STARTS) else cell


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{_host()}{secrets.token_hex(2)}.partial")


def _host() -> str:
    """Four hex digits that tell machines apart."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:4]


def _stale(partial: Path, pid: int, host: str) -> bool:
    if host == _host() and os.name == "posix":
        return not _runs(pid)
    try:
        return time.time() - partial.stat().st_mtime > STALE_SECONDS
    except FileNotFoundError:  # its writer has just finished
        return False


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1]
    except ProcessLookupError:
        return False
    except (PermissionError, FileNotFoundError):  # another user's; a system without /proc
        return True
    return state != b"Z"  # dead, and not collected by its parent, as is common in containers


@contextmanager
def _explained(path: Path, *, of_disk: Path | None = None) -> Iterator[None]:
    """Turn OSErrors into clear ones.

    Args:
        of_disk: only those that concern this file or folder, and in which the disk fails.
    """
    try:
        yield
    except OSError as error:
        if of_disk is not None:
            about = error.filename and Path(os.fsdecode(error.filename))
            is_ours = not about or about == of_disk or of_disk in about.parents
            if not is_ours or error.errno not in _FULL + _FAILING:
                raise
        if error.errno in _FULL:
            raise EnvironmentProblem(
                f"{path}: the disk is full", remedy="free space, then run the same command again"
            ) from error
        raise EnvironmentProblem(
            f"{path}: cannot be written ({error.strerror})", remedy="choose another output"
        ) from error


def _require_ours(path: Path, ours: str) -> None:
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise UsageError(f"{path}: is not a folder", remedy="choose another output folder")
    if path.is_dir() and (others := [p.name for p in path.iterdir() if not re.match(ours, p.name)]):
        raise UsageError(
            f"{path}: would be replaced, but holds files of others, as {others[0]}",
            remedy="choose a new folder",
        )


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut (a no-op where folders cannot be opened)."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
