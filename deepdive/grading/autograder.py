"""Autograders: the course as Gradescope's container and GitHub Classroom's runners take it, and what runs there.

Both install the kit from its own sources with its own constraints, and then grade one submission:

    deepdive autograder run gradescope /autograder/submission --out /autograder/results/results.json

What they say is written by the same exports as a gradebook's. If a check broke, or no jail is to be had, nothing is
written and the command fails: both systems show that as their autograder's failure, and not as a student's points.
"""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from pathlib import Path, PurePosixPath
from shlex import quote

from jinja2 import Environment, StrictUndefined

import deepdive
from deepdive.assets import AssetError, describe, use_offline
from deepdive.course import Course
from deepdive.grading.export import classroom, gradescope
from deepdive.grading.export.text import json_text
from deepdive.grading.intake import take
from deepdive.grading.marks import Mark, Student
from deepdive.grading.run import grade
from deepdive.grading.session import open_jail
from deepdive.jail.bounds import bounds_of
from deepdive.scratch import scratch, temporary_files_in
from deepdive.verdict import State, record_of
from deepdive.whole import whole

# From the course and a mark to what a system reads.
FORMS: dict[str, Callable[[Course, Mark], str]] = {
    "gradescope": lambda course, mark: json_text(gradescope.results(course, mark)),
    "classroom": classroom.encoded,
}
_KIT = ("pyproject.toml", "constraints.txt", "README.md")  # README.md because pyproject.toml names it
_COURSE = ("solutions", "checks")
_INSTALL_MINUTES = 20


class AutograderError(RuntimeError):
    """It cannot be made, or cannot say anything of a submission; the message says why."""


# ── running one ─────────────────────────────────────────────────────────────────────────────────────────────────


def run(course: Course, form: str, place: Path, out: Path, *, seed: int, unsafe: bool = False) -> Mark:
    """Grade one submission and write the result as a system reads it.

    Args:
        course: the course, or some hours of it.
        form: one of FORMS.
        place: the submission's folder or file.
        out: the file to write, whole or not at all.
        seed: of the checks' random inputs.
        unsafe: use no jail.

    Returns:
        The mark.

    Raises:
        AutograderError: a check broke; nothing is written.
        RuntimeError: there is no jail to be had; nothing is written.
        OSError: the submission cannot be read, or the file not be written.
    """
    mark = _mark(course, place, seed, unsafe=unsafe)
    broken = [verdict for verdict in mark.record.verdicts if verdict.state is State.KIT_ERROR]
    if broken:
        told = "\n".join(f"  {v.exercise} · {v.check}: {v.got}" for v in broken)
        raise AutograderError(f"{len(broken)} checks broke, by no fault of the submission's:\n{told}")
    with whole(out) as partial:
        partial.write_text(FORMS[form](course, mark), encoding="utf-8")
    return mark


def _mark(course: Course, place: Path, seed: int, *, unsafe: bool) -> Mark:
    hours = {hour.number for hour in course.hours}
    submission = take(place, course)
    try:
        use_offline()
    except AssetError as error:
        raise RuntimeError(str(error)) from error
    sources = submission.files.values()
    with scratch() as folder, temporary_files_in(folder), open_jail(hours, unsafe=unsafe, sources=sources) as jail:
        verdicts = grade(course, submission, jail, seed=seed)
        tier = jail.tier
    record = record_of(course, verdicts, submission.name, seed, describe())
    return Mark(
        student=Student("submission"),
        submission=submission.name,
        record=record,
        raw=record.earned,
        possible=record.possible,
        final=record.earned,
        refused=submission.refused,
        tier=tier,
    )


# ── making one ──────────────────────────────────────────────────────────────────────────────────────────────────


def write_gradescope(course: Course, out: Path, hours: Iterable[int], *, torch_index: str, unsafe: bool) -> None:
    """Write the zip that Gradescope's "Configure autograder" takes.

    Args:
        course: the course; its checks and solutions are packed with the kit.
        out: the file to write.
        hours: to be graded; all when empty.
        torch_index: where pip finds torch for CPUs; where it finds everything else when empty.
        unsafe: grade without a jail.

    Raises:
        AutograderError: the kit is installed without its sources, or the address is none.
    """
    settings = (
        f"options=({' '.join(_options(hours))})\n"
        f"torch_index={quote(_index(torch_index))}\n"
        "# required: what cannot be locked away is not graded. none: submissions run with all rights, as root.\n"
        f"jail={'none' if unsafe else 'required'}\n"
    )
    with whole(out) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "setup.sh", _template("setup.sh"), 0o755)
        _add(archive, "run_autograder", _template("run_autograder"), 0o755)
        _add(archive, "settings.sh", settings, 0o644)
        for name, path in sorted(_sources(course)):
            archive.write(path, f"course/{name}")


def _add(archive: zipfile.ZipFile, name: str, text: str, mode: int) -> None:
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFREG | mode) << 16
    archive.writestr(member, text, zipfile.ZIP_DEFLATED)


def workflow(course: Course, hours: Iterable[int], *, repository: str, torch_index: str) -> str:
    """The workflow that grades an assignment of GitHub Classroom.

    Args:
        course: the course.
        hours: to be graded; all when empty.
        repository: `OWNER/NAME` of the private repository that holds the course.
        torch_index: as for Gradescope.

    Raises:
        AutograderError: that is no repository's name, or no address.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise AutograderError(f"{repository!r} is no repository; it is called OWNER/NAME")
    chosen = set(hours) or {hour.number for hour in course.hours}
    seconds = sum(bounds_of(hour).wall_seconds for hour in chosen)
    environment = Environment(
        variable_start_string="«",
        variable_end_string="»",
        block_start_string="«%",
        block_end_string="%»",
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # it is YAML; what is put into it has been looked at
    )
    return environment.from_string(_template("classroom.yml")).render(
        course=repository,
        torch_index=_index(torch_index),
        options="".join(f" {option}" for option in _options(hours)),
        minutes=_INSTALL_MINUTES + round(seconds / 60),
    )


def _options(hours: Iterable[int]) -> list[str]:
    return [f"--hour {hour}" for hour in sorted(set(hours))]


def _index(address: str) -> str:
    if address and not re.fullmatch(r"https?://[\w.:/~%+-]+", address):
        raise AutograderError(f"{address!r} is no address of a package index; it begins with https://")
    return address


def _template(name: str) -> str:
    return (resources.files("deepdive.grading") / "autograders" / name).read_text(encoding="utf-8")


def _sources(course: Course) -> Iterator[tuple[str, Path]]:
    """The kit's and the course's files, by their names in the zip."""
    package = Path(deepdive.__file__).parent
    for name in _KIT:
        path = package.parent / name
        if not path.is_file():
            raise AutograderError(
                f"{path} is missing: an autograder is made from the kit's sources, as `pip install -e .` leaves them"
            )
        yield name, path
    folders = [package, *(course.root / name for name in _COURSE)]
    for folder in folders:
        for path in folder.rglob("*"):
            inside = PurePosixPath(folder.name, *path.relative_to(folder).parts)
            if path.is_file() and "__pycache__" not in inside.parts and not path.name.startswith("."):
                yield str(inside), path
