"""Taking a submission in: only the files that hold exercises, only as bytes, and a reason for all that is refused.

A submission is a folder, a zip, a file of answers or a notebook. In folders, in the zips that lie in them, and in
zips the course's own file names are looked for, a few folders deep, and nothing else is read: no link is followed, no
name leads outside, no archive is unpacked to disk.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from deepdive.course import Course
from deepdive.grading.notebooks import NotANotebook, extract
from deepdive.values import shorten

MAX_BYTES = 1 << 20  # of a file; a whole hour's solution has 25 KB
MAX_NOTEBOOK_BYTES = 256 << 20  # of a notebook, whose outputs may hold pictures
MAX_ZIP_BYTES = 256 << 20
MAX_INNER_ZIP_BYTES = 32 << 20  # of a zip that lies in a folder or in another zip
MOST_ENTRIES = 10_000  # of a folder or a zip that are looked at
MOST_MEMBERS = 200_000  # of a zip that is opened at all: each costs 500 bytes of memory before one is looked at
MOST_ZIPS = 5  # in a submission's folder that are opened
DEEPEST = 5  # folders below the submission's own
_COPY = re.compile(r"( ?\(\d+\)|-\d+)(?=\.\w+$)")  # how browsers and Canvas save the second file of a name
_MEMBER = b"PK\x01\x02"  # begins every entry of a zip's directory
_PREFERRED = "exercises"  # a clone of the whole kit holds solutions and checks of the same names
_NOT_THEIRS = {"solutions", "checks", "tests", "notebooks", "deepdive", ".git", "__MACOSX", ".ipynb_checkpoints"}


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


class Refused(Exception):
    """Something is not taken; the message says why."""


@dataclass(frozen=True)
class _Found:
    """A file that may hold answers: where in the submission, and how to read it."""

    path: PurePosixPath
    read: Callable[[], bytes]  # raises Refused


def take(place: Path, course: Course) -> Submission:
    """Take in a folder, a zip, a file of answers or a notebook.

    Raises:
        OSError: the place itself cannot be read.
    """
    refused: list[str] = []
    if place.is_dir():
        within = [*_in_folder(place, course, refused), *_in_zips(_zips_of(place), course, refused)]
        files = _choose(within, course, refused)
    elif place.suffix.lower() == ".zip":
        try:
            archive = open_zip(read_regular(place, MAX_ZIP_BYTES))
            files = take_members(archive, archive.infolist(), course, refused)
        except Refused as error:
            files = {}
            refused.append(f"{shorten(place.name, 60)}: {error}")
    else:
        found = _Found(PurePosixPath(place.name), partial(read_regular, place))
        files = _choose([found] if hour_of(place.name, course) else [], course, refused)
    return Submission(shorten(str(place), 200), files, tuple(refused))


def hour_of(name: str, course: Course) -> str | None:
    """The course's own name for a file of answers that somebody called `name`; None when it is none."""
    plain = _COPY.sub("", name).lower()
    names = {hour.file_name for hour in course.hours}
    wanted = f"{plain.removesuffix('.ipynb')}.py" if plain.endswith(".ipynb") else plain
    return wanted if wanted in names else None


def take_members(
    archive: zipfile.ZipFile,
    members: Sequence[zipfile.ZipInfo],
    course: Course,
    refused: list[str],
    zips: Sequence[zipfile.ZipInfo] = (),
) -> dict[str, bytes]:
    """The files of answers among some members of a zip; reasons are added to `refused`.

    Args:
        archive: the zip.
        members: those to look at.
        course: the course.
        refused: what was not taken, and why.
        zips: of them, those that are to be opened, too.
    """
    inner = {PurePosixPath(m.filename): partial(read_member, archive, m, MAX_INNER_ZIP_BYTES) for m in zips}
    found = [*_in_zip(archive, _first(members, course, refused), course, refused), *_in_zips(inner, course, refused)]
    return _choose(found, course, refused)


def _first(members: Sequence[zipfile.ZipInfo], course: Course, refused: list[str]) -> list[zipfile.ZipInfo]:
    """As many members as are looked at, those with the course's names before others."""
    if len(members) > MOST_ENTRIES:
        refused.append(f"{len(members):,} files in the zip, of which {MOST_ENTRIES:,} were looked at")
    named_first = sorted(members, key=lambda member: hour_of(PurePosixPath(member.filename).name, course) is None)
    return named_first[:MOST_ENTRIES]


def _in_zips(
    zips: Mapping[PurePosixPath, Callable[[], bytes]], course: Course, refused: list[str]
) -> Iterator[_Found]:
    """What lies in the zips of a submission, which are read by calling; zips within those stay closed."""
    for path, read in list(zips.items())[:MOST_ZIPS]:
        try:
            archive = open_zip(read())
        except Refused as error:
            refused.append(f"{shorten(str(path), 60)}: {error}")
            continue
        for found in _in_zip(archive, _first(archive.infolist(), course, refused), course, refused):
            yield _Found(path / found.path, found.read)
    if len(zips) > MOST_ZIPS:
        refused.append(f"{len(zips):,} zips, of which {MOST_ZIPS} were opened")


def _zips_of(place: Path) -> dict[PurePosixPath, Callable[[], bytes]]:
    """The zips that lie in a folder itself, as Moodle keeps what was handed in as a zip."""
    names = sorted(path.name for path in place.iterdir() if path.suffix.lower() == ".zip")
    return {PurePosixPath(name): partial(read_regular, place / name, MAX_INNER_ZIP_BYTES) for name in names}


def take_files(
    files: Mapping[PurePosixPath, Callable[[], bytes]], course: Course, refused: list[str]
) -> dict[str, bytes]:
    """The files of answers among files that are read by calling; reasons are added to `refused`."""
    found = [_Found(path, read) for path, read in files.items() if hour_of(path.name, course)]
    return _choose(found, course, refused)


def _in_zip(
    archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], course: Course, refused: list[str]
) -> Iterator[_Found]:
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if member.is_dir() or hour_of(path.name, course) is None or not _NOT_THEIRS.isdisjoint(path.parts[:-1]):
            continue
        shown = shorten(str(path), 60)
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            refused.append(f"{shown}: a name that leads out of the zip")
        elif stat.S_ISLNK(member.external_attr >> 16):
            refused.append(f"{shown}: a symbolic link is not followed")
        elif member.flag_bits & 1:
            refused.append(f"{shown}: encrypted")
        elif member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # zipfile inflates the others by the megabyte of what is packed, whatever that comes to.
            refused.append(f"{shown}: packed in a way that is not read; pack it as an ordinary zip")
        elif len(path.parts) > DEEPEST + 1:
            refused.append(f"{shown}: more than {DEEPEST} folders deep")
        else:
            yield _Found(path, partial(read_member, archive, member))


def read_regular(path: Path, limit: int | None = None) -> bytes:
    """The bytes of a regular file of a decent size.

    Raises:
        Refused: it is none, or is too large, or cannot be read.
    """
    most = _most(path.name) if limit is None else limit
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        linked = error.errno == errno.ELOOP
        raise Refused("a symbolic link is not followed" if linked else error.strerror or str(error)) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Refused("not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return _at_most(file, most)
    finally:
        os.close(descriptor)


def _most(name: str) -> int:
    return MAX_NOTEBOOK_BYTES if name.lower().endswith(".ipynb") else MAX_BYTES


def _at_most(file: IO[bytes], most: int) -> bytes:
    content = file.read(most + 1)
    if len(content) > most:
        raise Refused(f"larger than {most >> 20} MiB")
    return content


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int | None = None) -> bytes:
    """The bytes of a member of a decent size.

    Raises:
        Refused: it is too large, or cannot be read.
    """
    try:
        with archive.open(member) as file:
            return _at_most(file, _most(member.filename) if limit is None else limit)
    except Refused:
        raise
    except (RuntimeError, NotImplementedError, zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise Refused(f"cannot be read from the zip: {shorten(str(error), 80)}") from None
    except Exception as error:  # zlib.error, lzma.LZMAError, struct.error: whatever a broken archive brings about
        raise Refused(f"cannot be read from the zip: {type(error).__name__}") from None


def open_zip(content: bytes) -> zipfile.ZipFile:
    """A zip in memory.

    Raises:
        Refused: it is none, or lists too much.
    """
    if content.count(_MEMBER) > MOST_MEMBERS:
        raise Refused(f"a zip of more than {MOST_MEMBERS:,} files")
    try:
        return zipfile.ZipFile(io.BytesIO(content))
    except Exception as error:
        raise Refused(f"not a zip that can be read: {shorten(str(error), 80) or type(error).__name__}") from None


def _in_folder(place: Path, course: Course, refused: list[str]) -> Iterator[_Found]:
    looked_at = 0
    for folder, folders, names in os.walk(place):
        here = Path(folder)
        below = PurePosixPath(*here.relative_to(place).parts)
        folders[:] = sorted(f for f in folders if f not in _NOT_THEIRS and not (here / f).is_symlink())
        if len(below.parts) >= DEEPEST:
            folders.clear()
        # A folder, a pipe or a link of a course's name is told, too.
        odd = [name for name in folders if hour_of(name, course)]
        looked_at += len(folders)
        # Those that are looked for come first, however many others there are.
        for name in sorted([*names, *odd], key=lambda name: (hour_of(name, course) is None, name)):
            looked_at += 1
            if looked_at > MOST_ENTRIES:
                break
            if hour_of(name, course):
                yield _Found(below / name, partial(read_regular, here / name))
        if looked_at > MOST_ENTRIES:
            refused.append(f"more than {MOST_ENTRIES:,} files and folders, of which the first were looked at")
            return


def _choose(found: Iterable[_Found], course: Course, refused: list[str]) -> dict[str, bytes]:
    """Of the files that may hold answers, one for each hour: those in `exercises/` before others, then the first."""
    files: dict[str, bytes] = {}
    ordered = sorted(
        found,
        key=lambda f: (
            _PREFERRED not in f.path.parts,
            len(f.path.parts),
            _COPY.search(f.path.name) is not None,
            f.path,
        ),
    )
    for each in ordered:
        name, shown = hour_of(each.path.name, course), shorten(str(each.path), 60)
        assert name is not None
        if name in files:
            refused.append(f"{shown}: another file of that name was taken")
            continue
        try:
            content = each.read()
            if each.path.name.lower().endswith(".ipynb"):
                extracted = extract(content)
                refused += [f"{shown}: {problem}" for problem in extracted.problems]
                content = extracted.source
                if len(content) > MAX_BYTES:
                    raise Refused(f"its code is larger than {MAX_BYTES >> 20} MiB")
            files[name] = content
        except (Refused, NotANotebook) as error:
            refused.append(f"{shown}: {error}")
    if not files and not refused:
        names = " or ".join(sorted(hour.file_name for hour in course.hours))
        refused.append(f"no file of answers; one is called {names}")
    return files
