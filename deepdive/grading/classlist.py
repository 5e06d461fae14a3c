"""Who handed in what: the submissions of a whole class, by the names that course systems give them.

    submissions/
      Jane Doe_1234567_assignsubmission_file_/    Moodle: a folder a student, or the files side by side
      doejane_LATE_4711_90210_hour1_attention.py  Canvas: name, user id, submission id, what it was called
      submission_240001/                          Gradescope, told by submission_metadata.yml
      hours-janedoe/                              GitHub Classroom: assignment-login
      jane.zip  jane.py  jane/                    anything else: the name is the student

The same as one zip. A roster (CSV with a header: id, and any of name, email, login, section) says who they are.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath

import yaml  # type: ignore[import-untyped]

from deepdive.course import Course
from deepdive.grading.intake import (
    MAX_INNER_ZIP_BYTES,
    MAX_ZIP_BYTES,
    Refused,
    Submission,
    hour_of,
    open_zip,
    read_member,
    read_regular,
    take,
    take_files,
    take_members,
)
from deepdive.grading.jobs import digest
from deepdive.grading.marks import Student
from deepdive.values import shorten

LONGEST_ID = 200
# Moodle puts a name before it and, where there are no folders, a file's name behind it; either may look like it, for
# students choose both. So in a folder's name the last number counts, and in a file's the first.
_MOODLE_FOLDER = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_(?P<what>[a-z]+)_?(?P<file>)")
_MOODLE_FILE = re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?P<what>[a-z]+)_?(?P<file>.*)")
_CANVAS = re.compile(r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<id>\d+)_(?P<submission>\d+)_(?P<file>.+)", re.IGNORECASE)
_GRADESCOPE = re.compile(r"submission_\d+")
_METADATA = "submission_metadata.yml"
_KINDS = (".zip", ".py", ".ipynb")


@dataclass(frozen=True)
class HandedIn:
    """A submission and whose it is.

    Args:
        student: whose.
        submission: what.
        submitted: when, if that is known.
        late: whether the course system called it late.
    """

    student: Student
    submission: Submission
    submitted: datetime | None = None
    late: bool = False


@dataclass
class Roster:
    """The students of a course, found by whatever a submission's name tells of them."""

    students: tuple[Student, ...] = ()
    _by: dict[str, Student] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for column in ("name", "email", "login", "id"):  # an id tells more than a name that happens to be the same
            told = Counter(_key(getattr(student, column)) for student in self.students)
            for student in self.students:
                key = _key(getattr(student, column))
                if key and told[key] == 1:  # what two students share tells of neither
                    self._by[key] = student

    def find(self, *told: str) -> Student:
        """The student of whom one of these is the id, login, email or name; else one with the first as id."""
        known = (self._by.get(_key(each)) for each in told if each)
        name = next((each for each in told[1:] if each), "")
        return next((s for s in known if s), Student(fit_id(told[0]), fit_id(name) if name else ""))

    def knows(self, told: str) -> bool:
        """Whether this is a student's id or login."""
        student = self._by.get(_key(told))
        return student is not None and _key(told) in (_key(student.id), _key(student.login))


def read_roster(path: Path) -> Roster:
    """Read a roster.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no CSV, has no column `id`, or an id is missing or occurs twice; the message says where.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"{path.name} is no CSV in UTF-8 (byte {error.start + 1})"
        raise ValueError(f"{where}: save it as what Excel calls CSV UTF-8") from error
    try:
        return Roster(tuple(_students(path.name, text)))
    except csv.Error as error:
        raise ValueError(f"{path.name} is no CSV: {error}") from error


def _students(name: str, text: str) -> Iterator[Student]:
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)  # spreadsheets put what is usual where they are used
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    columns = [column.strip().lower() for column in rows.fieldnames or []]
    if "id" not in columns:
        raise ValueError(f"{name}: there is no column `id`, only {', '.join(columns) or 'nothing'}")
    seen = set[str]()
    for row in rows:
        cells = {k.strip().lower(): (v or "").strip() for k, v in row.items() if k and isinstance(v, str)}
        if not any(cells.values()):
            continue  # spreadsheets leave rows of nothing but separators behind
        if not cells.get("id"):
            raise ValueError(f"{name}, line {rows.line_num}: the id is missing")
        student = fit_id(cells["id"])
        if _key(student) in seen:
            raise ValueError(f"{name}, line {rows.line_num}: the id {student} occurs twice")
        seen.add(_key(student))
        known = ("name", "email", "login", "section")
        yield Student(student, **{k: shorten(cells.get(k, ""), LONGEST_ID) for k in known})


def fit_id(text: str) -> str:
    """Fit to tell a student by, and to be shown: one line, visible characters, not endless, not empty."""
    line = " ".join(text.split())
    whole = shorten(line, 8 * len(line) + 1)  # every character escaped, none cut off
    if len(whole) > LONGEST_ID:  # two long ones that begin alike are still two
        return f"{whole[: LONGEST_ID - 10]}…{digest(whole.encode())[:9]}"
    return whole or "unnamed"


def class_of(place: Path, course: Course, roster: Roster | None = None) -> Iterator[HandedIn]:
    """The submissions that a folder, a zip or a file holds, one by one: one of its own, or one for each of its parts.

    Raises:
        OSError: the place itself cannot be read.
    """
    roster = roster or Roster()
    if place.is_dir():
        yield from _in_folder(place, course, roster)
    elif place.suffix.lower() == ".zip":
        yield from _in_zip(place, course, roster)
    else:
        yield _single(place, course, roster)


def _single(place: Path, course: Course, roster: Roster) -> HandedIn:
    name = place.name  # its times say when it was downloaded, so they are not asked
    if match := _side_by_side(name, course):
        (handed_in,) = _of_files({name: partial(read_regular, place)}, course, roster, match["name"])
        return handed_in
    if hour_of(name, course):  # jane/hour1_attention.py: a file's own name says nothing of whose it is
        name = place.resolve().parent.name
    return HandedIn(roster.find(*_who(name, roster)), _taken(place, course), None, _late(place.name))


def _taken(place: Path, course: Course) -> Submission:
    return replace(take(place, course), name=_shown(place))


def _shown(place: Path) -> str:
    """A submission's name, for its author, too: where on the instructor's disk it lies is nobody's business."""
    return shorten("/".join(place.absolute().parts[-2:]), 200)


def _in_folder(place: Path, course: Course, roster: Roster) -> Iterator[HandedIn]:
    parts = sorted(path for path in place.iterdir() if not path.name.startswith("."))
    if any(hour_of(path.name, course) for path in parts) or (place / "exercises").is_dir():
        yield _single(place, course, roster)
        return
    told = _metadata(place / _METADATA)
    names = [path.name for path in parts]
    flat = [name for name in names if _side_by_side(name, course)]
    yield from _of_files({name: partial(read_regular, place / name) for name in flat}, course, roster, place.name)
    for path in parts:
        if path.name in flat or _only_text(path.name, names):
            continue
        if path.is_symlink():
            refused = Submission(_shown(path), {}, ("a symbolic link is not followed",))
            yield HandedIn(roster.find(*_who(path.name, roster)), refused)
        elif path.name in told:
            who, submitted = told[path.name]
            yield HandedIn(roster.find(*who), _taken(path, course), submitted)
        elif path.is_dir() or path.suffix.lower() in _KINDS:
            yield _single(path, course, roster)


def _in_zip(place: Path, course: Course, roster: Roster) -> Iterator[HandedIn]:
    """A zip of one submission, or of many: then each folder, file or zip at its top is one."""
    try:
        archive = open_zip(read_regular(place, MAX_ZIP_BYTES))
    except Refused:
        yield _single(place, course, roster)  # which says why
        return
    tops = _tops(archive, 0)
    if len(tops) == 1 and _named(below := _tops(archive, 1)):
        tops = below  # one folder around the whole class, as Gradescope packs it
    named = _named(tops)
    if not named and (len(tops) <= 1 or "exercises" in tops or any(hour_of(top, course) for top in tops)):
        yield _single(place, course, roster)
        return
    told: Told = {}
    with suppress(Refused):
        told = _parse_metadata(read_member(archive, tops.pop(_METADATA)[0])) if _METADATA in tops else {}
    flat = {top: partial(read_member, archive, tops[top][0]) for top in tops if _side_by_side(top, course)}
    yield from _of_files(flat, course, roster, place.name)
    for top, members in sorted(tops.items()):
        if top in flat or _only_text(top, tops):
            continue
        files, refused = dict[str, bytes](), list[str]()
        try:
            if top.lower().endswith(".zip"):
                inner = open_zip(read_member(archive, members[0], MAX_INNER_ZIP_BYTES))
                files = take_members(inner, inner.infolist(), course, refused)
            else:
                files = take_members(archive, members, course, refused, zips=_zips_among(members, top))
        except Refused as error:
            refused.append(f"{shorten(top, 60)}: {error}")
        who, submitted = told.get(top, (_who(top, roster), None))
        submission = Submission(shorten(f"{place.name}/{top}", 200), files, tuple(refused))
        yield HandedIn(roster.find(*who), submission, submitted, _late(top))


def _tops(archive: zipfile.ZipFile, depth: int) -> dict[str, list[zipfile.ZipInfo]]:
    """What a zip holds, by the names so many folders deep."""
    tops: dict[str, list[zipfile.ZipInfo]] = {}
    for member in archive.infolist():
        parts = PurePosixPath(member.filename.replace("\\", "/")).parts
        if member.is_dir() or len(parts) <= depth or parts[0] == "__MACOSX" or parts[depth].startswith("."):
            continue
        tops.setdefault(parts[depth], []).append(member)
    return tops


def _zips_among(members: Iterable[zipfile.ZipInfo], top: str) -> list[zipfile.ZipInfo]:
    """The zips that lie in a student's folder itself."""
    paths = ((PurePosixPath(member.filename.replace("\\", "/")), member) for member in members)
    return [member for path, member in paths if path.suffix.lower() == ".zip" and path.parent.name == top]


def _named(tops: Iterable[str]) -> bool:
    """Whether a course system gave these names."""
    return any(pattern.fullmatch(top) for top in tops for pattern in (_MOODLE_FILE, _GRADESCOPE, _CANVAS))


def _told_by(name: str) -> re.Match[str] | None:
    """What Canvas or Moodle tells by a name, of a file or, if it does not end like one, of a folder."""
    if not name.lower().endswith(_KINDS):
        return _MOODLE_FOLDER.fullmatch(name)  # Canvas makes none
    match = _CANVAS.fullmatch(name)
    if match and not match["file"].startswith("assignsubmission_"):  # else the name before it held two numbers
        return match
    return _MOODLE_FILE.fullmatch(name)


def _side_by_side(name: str, course: Course) -> re.Match[str] | None:
    """A file of answers whose name says whose it is: Canvas puts all files of all students into one folder."""
    match = _told_by(name)
    return match if match and hour_of(match["file"], course) else None


def _only_text(name: str, names: Iterable[str]) -> bool:
    """What a student typed into Moodle's text field, next to the files."""
    match = _MOODLE_FOLDER.fullmatch(name) or _MOODLE_FILE.fullmatch(name)
    if match is None or match["what"] == "file":
        return False
    return any(other.startswith(f"{match['name']}_{match['id']}_assignsubmission_file") for other in names)


def _late(name: str) -> bool:
    match = _CANVAS.fullmatch(name)
    return match is not None and bool(match["late"])


def _of_files(
    files: Mapping[str, Callable[[], bytes]], course: Course, roster: Roster, where: str
) -> Iterator[HandedIn]:
    """The files of one student among those of all are one submission."""
    students: dict[str, list[re.Match[str]]] = {}
    for name in sorted(files):
        match = _side_by_side(name, course)
        assert match is not None
        students.setdefault(match["id"], []).append(match)
    for student, matches in students.items():
        found = {PurePosixPath(match["file"]): files[match.string] for match in matches}
        refused: list[str] = []
        taken = take_files(found, course, refused)
        who = matches[0]["name"]
        submission = Submission(shorten(f"{where}/{who}_{student}", 200), taken, tuple(refused))
        yield HandedIn(roster.find(student, who), submission, None, any(_late(match.string) for match in matches))


def _who(top: str, roster: Roster) -> tuple[str, ...]:
    """What a name tells of whose it is: the id first."""
    if match := _told_by(top):
        return match["id"], match["name"]
    stem = re.sub(r"\.(zip|py|ipynb)$", "", top, flags=re.IGNORECASE)
    parts = stem.split("-")  # assignment-login, and a login may hold hyphens of its own
    logins = ("-".join(parts[start:]) for start in range(1, len(parts)))
    login = "" if roster.knows(stem) else next((login for login in logins if roster.knows(login)), "")
    return (login,) if login else (stem,)


Told = dict[str, tuple[tuple[str, ...], datetime | None]]


def _metadata(path: Path) -> Told:
    if not path.is_file():
        return {}
    with suppress(Refused):
        return _parse_metadata(read_regular(path))
    return {}


def _parse_metadata(content: bytes) -> Told:
    """Gradescope's list of who handed in which folder, and when."""
    try:
        entries = yaml.safe_load(io.BytesIO(content))
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    told: Told = {}
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        if not isinstance(entry, dict) or not isinstance(name, str):
            continue
        submitters = entry.get(":submitters") or [{}]
        first = submitters[0] if isinstance(submitters, list) and isinstance(submitters[0], dict) else {}
        said = [first.get(key) for key in (":sid", ":email", ":name")]
        who = tuple(str(each) for each in said if each) or (name,)
        created = entry.get(":created_at")
        told[name] = who, created if isinstance(created, datetime) else None
    return told


def _key(text: str) -> str:
    return " ".join(text.split()).casefold()
