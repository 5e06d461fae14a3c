"""What is to be judged, and by what it is known: a job is one file of one submission, and some checks of its hour.

A verdict's key is a digest of all it depends on: the file's bytes, the check and what reaches it, the solution and
the objects it is given, the kit, the assets and the seed. Whatever has a verdict by that key has been judged; two
submissions with the same file share it. Points and minutes are in no key: other weights are no reason to run
anything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import msgspec

import deepdive
from deepdive.assets import describe
from deepdive.course import Course, Exercise
from deepdive.reach import digest_of

_WEIGHTS = {"points", "minutes", "stretch"}
_ENGINE = ("*.py", "jail/*.py", "grading/jailed.py", "grading/run.py", "assets/*.py")
_NO_JUDGES = {"cli.py", "build.py", "proof.py", "pytest_plugin.py", "selection.py", "kept.py", "supervisor.py"}


class CheckKey(msgspec.Struct, frozen=True):
    """A check to be run on a file, and the key of the verdict that will come of it.

    Args:
        exercise: the function's name.
        check: the check function's name.
        judge: a digest of all that the verdict depends on but the file: the same for every file of a class.
        key: a digest of that and the file. It begins with the file's, so that a database keeps together what is
            written and asked for together, however large it grows.
    """

    exercise: str
    check: str
    judge: str
    key: str


class Job(msgspec.Struct, frozen=True):
    """Some checks of one hour, to be run on one file.

    Args:
        hour: which hour.
        source: sha256 of the file's bytes.
        content: the bytes.
        checks: the checks.
        seed: of their random inputs.
    """

    hour: int
    source: str
    content: bytes
    checks: tuple[CheckKey, ...]
    seed: int


class Keys:
    """The keys of a course's verdicts, for one seed.

    Args:
        course: the course.
        seed: of the random inputs.
    """

    def __init__(self, course: Course, seed: int) -> None:
        self._course = course
        self.seed = seed
        self._kit = kit_digest()
        self._judges: dict[int, dict[str, tuple[Exercise, str]]] = {}

    def judges(self, hour: int) -> dict[str, tuple[Exercise, str]]:
        """By what judges it, every check of an hour, with its exercise, in the course's order."""
        if hour not in self._judges:
            self._judges[hour] = {
                _short(f"{digest} {self.seed}"): (exercise, check) for exercise, check, digest in self._digests(hour)
            }
        return self._judges[hour]

    def of(self, hour: int, source: str) -> list[CheckKey]:
        """The key of every check of an hour, for a file of this sha256, in the course's order."""
        return [
            CheckKey(exercise.name, check, judge, source[:16] + _short(f"{judge} {source}")[:24])
            for judge, (exercise, check) in self.judges(hour).items()
        ]

    def _digests(self, hour: int) -> Iterable[tuple[Exercise, str, str]]:
        root, name = self._course.root, self._course.hour(hour).file_name
        checks = _without_weights(ast.parse((root / "checks" / f"test_{name}").read_bytes()))
        solution = ast.parse((root / "solutions" / name).read_bytes())
        given = b""
        with suppress(OSError):
            given = (root / "checks" / "given" / name).read_bytes()
        shared = f"{self._kit} {describe()['fingerprint']} {sha256(given).hexdigest()}"
        for exercise in self._course.hour(hour).exercises:
            right = digest_of(solution, exercise.name)
            for check in exercise.checks:
                # One that takes minutes is not run where a quicker one finds something wrong: it depends on them all.
                judges = [each.name for each in exercise.checks] if check.long else [check.name]
                digests = " ".join(digest_of(checks, name) for name in judges)
                yield exercise, check.name, f"{shared} {right} {check.name} {digests}"


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:40]


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def kit_digest() -> str:
    """A digest of the modules that judge, and the kit's version."""
    folder = Path(deepdive.__file__).parent
    found = sha256(deepdive.__version__.encode())
    paths = (path for pattern in _ENGINE for path in folder.glob(pattern) if path.name not in _NO_JUDGES)
    for path in sorted(paths):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def _without_weights(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call):
                    decorator.keywords = [word for word in decorator.keywords if word.arg not in _WEIGHTS]
    return tree
