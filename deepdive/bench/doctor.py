"""What may keep the kit from working on a machine, looked at in a second or two, with what to do about it."""

from __future__ import annotations

import ast
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import msgspec

from deepdive.bench.warm import fork_is_safe
from deepdive.course import Course
from deepdive.jail.zygote import choose_tier

_PIN = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==([^; ]+)(;.*)?$")


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Args:
        about: what.
        found: what was found, in words.
        to_do: what to change, if anything needs to be changed.
        reasons: how it was found out.
    """

    about: str
    found: str
    to_do: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def findings(course: Course | None) -> list[Finding]:
    """All that is looked at; of a course only if there is one."""
    found = [_jail(), _python(), _libraries(), _assets(), _watch()]
    return [*found, _answers(course), _progress(course)] if course else found


def _jail() -> Finding:
    """Only who grades other people's code needs one."""
    choice = choose_tier()
    return Finding("jail", choice.tier or "none", tuple(choice.changes), tuple(choice.reasons))


def _python() -> Finding:
    return Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _libraries() -> Finding:
    """Whether the libraries are those that the kit was made with."""
    others = []
    for requirement in requires("deepdive") or []:
        match = _PIN.match(requirement.replace(" ", ""))
        if match is None or (match[3] and "linux" in match[3] and platform.system() != "Linux"):
            continue
        name, wanted = match[1], match[2]
        try:
            have = version(name).partition("+")[0]  # 2.13.0+cpu is a build of 2.13.0
        except PackageNotFoundError:
            have = "not installed"
        if have != wanted and not (match[3] and "extra" in match[3]):
            others.append(f"{name} is {have}, wanted is {wanted}")
    if others:
        return Finding("libraries", "; ".join(others), ("python -m pip install -c constraints.txt -e .",))
    return Finding("libraries", f"as pinned; torch {version('torch')}, transformers {version('transformers')}")


def _assets() -> Finding:
    from deepdive import assets

    try:
        if assets.source() == "hub":
            return Finding("assets", "from the Hugging Face Hub, in its own cache")
        missing = assets.missing()
    except assets.AssetError as error:
        return Finding("assets", str(error))
    if missing:
        told = "; ".join(f"{name}: {problem}" for name, problem in missing.items())
        return Finding("assets", f"not ready yet, {told}", ("deepdive assets",))
    return Finding("assets", f"embedded, ready in {assets.cache_directory()}")


def _watch() -> Finding:
    how = "forks a warm process" if fork_is_safe() else "starts a process ahead, since no fork is safe here"
    return Finding("watch", f"{how} for each save")


def _answers(course: Course) -> Finding:
    """Whether the learner's files are there, and are Python."""
    problems, to_do = [], []
    for hour in course.hours:
        path = course.root / "exercises" / hour.file_name
        try:
            ast.parse(path.read_bytes())
        except OSError as error:
            problems.append(f"{hour.file_name} cannot be read: {error.strerror}")
            to_do.append("deepdive build")
        except (SyntaxError, ValueError, RecursionError) as error:
            problems.append(f"{hour.file_name} is no Python: {error}")
            to_do.append(f"mend exercises/{hour.file_name}")
    return Finding("exercises", "; ".join(problems) or "all files are there", tuple(dict.fromkeys(to_do)))


def _progress(course: Course) -> Finding:
    """Whether verdicts and hints can be remembered."""
    folder = course.root / ".deepdive"
    nearest: Path = folder if folder.exists() else course.root
    if nearest.is_dir() and os.access(nearest, os.W_OK):
        return Finding("progress", f"kept in {folder}")
    return Finding(
        "progress", f"{nearest} cannot be written to: nothing is remembered", (f"make {nearest} writable",)
    )
