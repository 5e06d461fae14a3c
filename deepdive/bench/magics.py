"""`%load_ext deepdive`, then `%check softmax`: the checks of an exercise on what a notebook has defined.

`%show attention "a sentence"` draws a picture, with what the notebook has defined once `%check` has found it right.
"""

from __future__ import annotations

import asyncio
import html
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deepdive.answers import Answer
from deepdive.assets import AssetError, use_offline
from deepdive.course import Course, Exercise, find_root, load_course
from deepdive.judge import judge
from deepdive.pictures.comparison import comparison, side_by_side
from deepdive.pictures.svg import Picture
from deepdive.proof import checks_of
from deepdive.report.block import block, sentence
from deepdive.scratch import scratch, temporary_files_in
from deepdive.verdict import HELD_AGAINST_NOBODY, WRONG, State, Verdict

_COLOURS = {True: "#1a7f37", False: "#b42318"}  # both readable on white and, through `pre`, on a dark page


class Told:
    """What a check came to, for a notebook: text where there is nothing better.

    Args:
        lines: as in a terminal.
        right: whether nothing is wrong.
        pictures: to be shown below, next to one another.
    """

    def __init__(self, lines: str, *, right: bool, pictures: Sequence[Picture] = ()) -> None:
        self.lines, self.right, self.pictures = lines, right, pictures

    def __repr__(self) -> str:
        return self.lines

    def _repr_html_(self) -> str:
        edge = _COLOURS[self.right]
        style = f"border-left: 4px solid {edge}; padding: 0 0 0 1em; white-space: pre-wrap"
        told = f'<pre style="{style}">{html.escape(self.lines)}</pre>'
        return told + str(side_by_side(self.pictures) if self.pictures else "")


def load(shell: Any) -> None:
    """Give an IPython shell the magics `%check` and `%show`."""
    use_offline()
    right: dict[str, Callable[..., Any]] = {}

    def check(line: str) -> Told:
        """Check an exercise: `%check softmax`."""
        name = line.strip()
        found = checked(name, shell.user_ns)
        if found.right:
            right[name] = shell.user_ns[name]
        return found

    def show(line: str) -> Told:
        """Show a picture: `%show attention "The cat sat on the mat."`; `%show` alone lists them."""
        return shown(line, {name: one for name, one in right.items() if shell.user_ns.get(name) is one})

    for magic in (check, show):
        shell.register_magic_function(magic, magic_kind="line")


def shown(line: str, own: dict[str, Callable[..., Any]]) -> Told:
    """A picture.

    Args:
        line: its name and what it is about: `attention "a sentence"`.
        own: by exercise, the functions that draw it, if they are right; others are the module's or the reference's.
    """
    from deepdive.pictures.gallery import PICTURES, CannotShow, Functions, draw

    root = find_root(Path.cwd())
    if root is None:
        return Told(f"There is no course here: {Path.cwd()} is not inside one.", right=False)
    try:
        name, *about = shlex.split(line) or [""]
        if not name:
            return Told(f"%show what? There are {', '.join(PICTURES)}.", right=False)
        pictures = draw(Functions(load_course(root), own), name, " ".join(about))
    except (CannotShow, AssetError, ValueError) as error:
        return Told(str(error), right=False)
    drawn = " · ".join(filter(None, (pictures[0].title, pictures[0].by and f"drawn by {pictures[0].by}")))
    return Told(drawn, right=True, pictures=pictures)


def checked(name: str, namespace: dict[str, Any]) -> Told:
    """The checks of an exercise on the function that a namespace holds."""
    root = find_root(Path.cwd())
    if root is None:
        return Told(f"There is no course here: {Path.cwd()} is not inside one.", right=False)
    course = load_course(root)
    try:
        exercise = course.exercise(name)
    except KeyError as error:
        return Told(f"{error.args[0]}", right=False)
    function = namespace.get(name)
    if not callable(function):
        return Told(f"Nothing called {name} is defined: run its cell first.", right=False)
    try:
        verdicts = _judge(course, exercise, function)
    except AssetError as error:
        return Told(str(error), right=False)
    return told(exercise, verdicts)


def _judge(course: Course, exercise: Exercise, function: Any) -> list[Verdict]:
    path = Path(function.__code__.co_filename) if hasattr(function, "__code__") else Path()
    verdicts = []
    with scratch() as folder, temporary_files_in(folder), _as_in_a_module():
        for check, seconds in checks_of(course, exercise):
            verdicts.append(judge(course, exercise, check, Answer(exercise, function, seconds), path=path))
            if verdicts[-1].state in (State.TODO, State.TIMEOUT):
                break
    return verdicts


@contextmanager
def _as_in_a_module() -> Iterator[None]:
    """A kernel runs in an event loop, in which no other may be started, and shows progress that nobody asked for."""
    from IPython.utils.capture import capture_output

    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        with capture_output(stdout=False, stderr=False):
            yield
    finally:
        if loop is not None:
            asyncio.set_event_loop(loop)  # whoever starts another leaves none behind
        asyncio._set_running_loop(loop)


def told(exercise: Exercise, verdicts: list[Verdict]) -> Told:
    """The first thing that is wrong, as in a terminal; or that nothing is."""
    wrong = [v for v in verdicts if v.state in WRONG | {State.KIT_ERROR}]
    if wrong:
        pictures = comparison(wrong[0].arrays) if wrong[0].arrays else ()
        return Told(block(wrong[0], exercise, 80, wrong[1:]), right=False, pictures=pictures)
    settled = all(v.state in HELD_AGAINST_NOBODY for v in verdicts)
    return Told(sentence(exercise, verdicts), right=settled)
