"""Verdicts of earlier runs, kept by content: an answer that has not changed is not tried again.

A verdict is reused only if nothing has changed that it may depend on: the answer and all that reaches it, the hour's
checks, mistakes and solution, the kit, the libraries, the assets and the seed. Only what was certain is kept: passed,
failed and error, no timeout, no crash, nothing that depended on how busy the machine was.
"""

from __future__ import annotations

import ast
import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
from msgspec.structs import replace

from deepdive.assets import describe
from deepdive.course import Course, Exercise
from deepdive.reach import Reach
from deepdive.verdict import State, Verdict

FOLDER = ".deepdive"
_CERTAIN = {State.PASSED, State.FAILED, State.ERROR}
_LIBRARIES = ("torch", "transformers", "datasets", "numpy", "tokenizers", "optimum", "onnxruntime")
_MOST = 2_000  # entries that are kept; the six hours have a few hundred checks


class Keys(msgspec.Struct, frozen=True):
    """By what a verdict is kept.

    Args:
        reach: by all that reaches the answer.
        lines: when it quotes lines of the learner's file: by these, and where they stand.
    """

    reach: str
    lines: str


def settings_of(seed: int, seconds: float) -> str:
    """What else than files a learner's verdicts depend on: the seed, and how long an answer may take."""
    return f"{seed} {seconds}"


class Kept:
    """The verdicts kept for one course.

    Args:
        course: the course.
        settings: whatever else a verdict depends on, the seed say.
    """

    def __init__(self, course: Course, settings: str) -> None:
        self._course = course
        self._path = course.root / FOLDER / "verdicts.json"
        self._settings = settings
        self._verdicts: dict[str, Verdict] | None = None
        self._hours: dict[int, str] = {}
        self._answers: dict[Path, Reach | None] = {}

    def keys(self, exercise: Exercise, check: str, path: Path) -> Keys | None:
        """What a verdict is kept by; None when the file cannot be parsed."""
        if path not in self._answers:
            self._answers[path] = _read(path)
        answer = self._answers[path]
        if answer is None:
            return None
        digests = answer.digest(exercise.name), self._hour(exercise.hour)
        reach = "\n".join((exercise.name, check, *digests, self._settings))
        both = reach, reach + answer.lines(exercise.name)
        return Keys(*(sha256(parts.encode()).hexdigest()[:32] for parts in both))

    def find(self, keys: Keys) -> Verdict | None:
        """The verdict that is kept, if there is one."""
        verdicts = self._read()
        return verdicts.get(keys.reach) or verdicts.get(keys.lines)

    def add(self, found: Iterable[tuple[Keys, Verdict]]) -> None:
        """Keep verdicts, as far as they are certain."""
        new = {keys.lines if v.frames else keys.reach: v for keys, v in found if v.state in _CERTAIN}
        before = self._read()
        if all(key in before and _same(before[key], verdict) for key, verdict in new.items()):
            return
        kept = {key: verdict for key, verdict in before.items() if key not in new}
        told = {(verdict.exercise, verdict.check) for verdict in new.values()}
        for key, verdict in kept.items():  # arrays are most of a verdict's bytes: only a check's last word keeps them
            if verdict.arrays is not None and (verdict.exercise, verdict.check) in told:
                kept[key] = replace(verdict, arrays=None)
        kept |= new
        self._verdicts = kept
        with suppress(OSError):  # a folder that cannot be written to costs time, nothing else
            self._path.parent.mkdir(exist_ok=True)
            written = self._path.with_suffix(f".{os.getpid()}")
            written.write_bytes(msgspec.json.encode(dict(list(kept.items())[-_MOST:])))
            written.replace(self._path)

    def _read(self) -> dict[str, Verdict]:
        if self._verdicts is None:
            self._verdicts = {}
            with suppress(OSError, msgspec.MsgspecError):  # none yet, or of another version
                self._verdicts = msgspec.json.decode(self._path.read_bytes(), type=dict[str, Verdict])
        return self._verdicts

    def _hour(self, number: int) -> str:
        """A digest of all that judges an hour."""
        if number not in self._hours:
            found = sha256()
            name = self._course.hour(number).file_name
            root = self._course.root
            files = [root / "solutions" / name, root / "checks" / f"test_{name}"]
            files += [root / "checks" / folder / name for folder in ("mistakes", "given")]
            for path in files:
                with suppress(OSError):
                    found.update(path.read_bytes())
            found.update(_surroundings().encode())
            self._hours[number] = found.hexdigest()
        return self._hours[number]


def _same(one: Verdict, other: Verdict) -> bool:
    """Whether two verdicts tell the same, however long they took."""
    return replace(one, seconds=0.0, arrays=None) == replace(other, seconds=0.0, arrays=None)


def _read(path: Path) -> Reach | None:
    try:
        source = path.read_bytes()
        return Reach(ast.parse(source), path.parent, source)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@cache
def _surroundings() -> str:
    """A digest of what judges every hour alike: the kit, Python, the libraries, the assets. Read once a run."""
    found = sha256(f"{platform.python_version()} {describe()['fingerprint']}".encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        with suppress(OSError):
            found.update(path.read_bytes())
    for library in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found.update(f"{library} {version(library)}".encode())
    return found.hexdigest()
