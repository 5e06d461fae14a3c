"""A folder for what checks and answers write while they run, gone when the run ends.

Datasets keeps what it read and mapped below the home folder, where a later run would find it: a run has a cache of
its own, so that it depends on no earlier one and leaves nothing behind. That goes for the Hub's reviews as well: what
is downloaded stays in the Hub's cache (`deepdive.assets.hub`), what a run makes of it does not.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "deepdive-run-"
_CACHE = "HF_DATASETS_CACHE"  # in the environment, and, once `datasets` is imported, in its config


@contextmanager
def scratch() -> Iterator[Path]:
    """A fresh folder; the outermost holds the cache of `datasets`."""
    before = os.environ.get(_CACHE, "")
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as folder:
        if _PREFIX in before:
            yield Path(folder)
            return
        with _cache_of_datasets_in(os.path.join(folder, "datasets")):
            yield Path(folder)


@contextmanager
def _cache_of_datasets_in(folder: str) -> Iterator[None]:
    before = os.environ.get(_CACHE)
    config = getattr(sys.modules.get("datasets"), "config", None)  # which has read the environment already
    imported_with = getattr(config, _CACHE, None)
    os.environ[_CACHE] = folder
    if config is not None:
        setattr(config, _CACHE, Path(folder))
    try:
        yield
    finally:
        if before is None:
            del os.environ[_CACHE]
        else:
            os.environ[_CACHE] = before
        if config is not None:
            setattr(config, _CACHE, imported_with)


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Let `tempfile` make its files and folders there."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
