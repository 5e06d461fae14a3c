"""Taking a submission in: only the files that hold exercises, only as bytes, and a reason for all that is refused."""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from deepdive.course import Course
from deepdive.values import shorten

MAX_BYTES = 1 << 20  # of a file; a whole hour's solution has 25 KB
_COPY = re.compile(r" ?\(\d+\)(?=\.py$)")  # how browsers save the second file of a name


@dataclass(frozen=True)
class Submission:
    """What somebody handed in.

    Args:
        name: what it is called, fit to be shown.
        files: the bytes of each hour's file, by the name it has in the course.
        refused: what was not taken, and why.
    """

    name: str
    files: dict[str, bytes]
    refused: tuple[str, ...] = ()


def take(place: Path, course: Course) -> Submission:
    """Take in a folder, or a single file, that holds `hourN_topic.py` files.

    Nothing but regular files of the course's own names is read, and none of them through a link.

    Raises:
        OSError: the place itself cannot be read.
    """
    wanted = {hour.file_name for hour in course.hours}
    files: dict[str, bytes] = {}
    refused: list[str] = []
    for path in sorted(place.iterdir()) if place.is_dir() else [place]:
        name = _COPY.sub("", path.name).lower()
        if name not in wanted:
            continue
        shown = shorten(path.name, 60)
        if name in files:
            refused.append(f"{shown}: another file of that name was taken")
            continue
        try:
            files[name] = _read(path)
        except OSError as error:
            refused.append(f"{shown}: {error.strerror or error}")
    if not place.is_dir() and not files and not refused:
        refused.append(f"{shorten(place.name, 60)}: a file of answers is called {' or '.join(sorted(wanted))}")
    return Submission(shorten(str(place), 200), files, tuple(refused))


def _read(path: Path) -> bytes:
    """The bytes of a regular file of a decent size.

    Raises:
        OSError: it is none, or cannot be read; `strerror` says which.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, "a symbolic link is not followed") from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        raise OSError(errno.EFBIG, f"larger than {MAX_BYTES >> 20} MiB")
    return content
