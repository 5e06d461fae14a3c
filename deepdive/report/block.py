"""A failure as the learner sees it: always the same six lines, in the same order.

✗ softmax · stays finite for large logits                hour 1 · 0/2 points
  called    softmax(x: float64[3,4])
  expected  float64[3,4]  [[0.214, 0.001, …
  got       float64[3,4]  [[nan, 0.001, …   3 of 12 values NaN, first at [0,0]
  likely    The maximum was not subtracted first, so exp overflows.
  next      deepdive hint softmax
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from deepdive.course import Check, Course, Exercise
from deepdive.verdict import WRONG, State, Verdict

SIGN = {
    State.PASSED: "✓",
    State.FAILED: "✗",
    State.ERROR: "✗",
    State.TIMEOUT: "✗",
    State.CRASHED: "✗",
    State.KIT_ERROR: "!",
    State.INCONCLUSIVE: "?",
    State.NOT_APPLICABLE: "–",
    State.TODO: "·",
    State.NOT_RUN: " ",
}
ASCII = str.maketrans(
    {"✓": "+", "✗": "x", "·": "-", "–": "-", "−": "-", "…": "...", "×": "x", "√": "sqrt ", "±": "+-", "∞": "inf"}
    | {"○": "o", "█": "#", "░": ".", "≤": "<=", "α": "alpha", "π": "pi", "→": "->", "’": "'"}
)
LABELS = ("called", "expected", "got", "likely", "next", "also", "printed")
_LABEL = 10  # "expected  "
_FRAME_LINES = 24


def block(
    verdict: Verdict, exercise: Exercise, width: int = 80, others: Sequence[Verdict] = (), next_step: str = ""
) -> str:
    """The block for one verdict, at most `width` columns wide.

    Args:
        verdict: a failed, error, timeout, crashed or kit error verdict; others have nothing to tell.
        exercise: the exercise it is about.
        width: of the terminal, in columns.
        others: verdicts on the same exercise that are wrong too, to be told by name.
        next_step: what to do next, where a command is not it.
    """
    width = max(40, width)
    earned = f"hour {verdict.hour} · 0/{exercise.points} points"
    what = Check(verdict.check, 0).title
    state = f" · {verdict.state}" if verdict.state is not State.FAILED else ""
    title = f"{SIGN[verdict.state]} {verdict.exercise} · {what}{state}"
    lines = _heading(title, earned, width)
    lines += _line("called", verdict.called, width)
    lines += _line("expected", verdict.expected, width)
    lines += _line("got", verdict.got, width)
    lines += _indented(verdict.frames, width)
    lines += _line("likely", verdict.likely, width)
    lines += _line("next", next_step or f"deepdive hint {verdict.exercise}", width)
    if others:
        lines.append(also(exercise, others, width))
    if verdict.output:
        lines += _line("printed", verdict.output.splitlines()[0], width)
        lines += _indented("\n".join(verdict.output.splitlines()[1:]), width)
    return "\n".join(lines)


def also(exercise: Exercise, others: Sequence[Verdict], width: int) -> str:
    """The line of a block that names what else is wrong with the same exercise."""
    titles = "; ".join(Check(other.check, 0).title for other in others)
    return "\n".join(_line("also", f"{titles}   (pytest -k {exercise.name} tells more)", width))


def blocks(course: Course, verdicts: Sequence[Verdict], width: int = 80) -> Iterator[str]:
    """The block of each exercise's first failure, the others by name, unless one exercise alone was run.

    A file that could not be loaded has one block for all its exercises.
    """
    wrong: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.state in WRONG:
            wrong.setdefault((verdict.file, "" if verdict.file else verdict.exercise), []).append(verdict)
    alone = len({verdict.exercise for verdict in verdicts}) == 1
    for (file, name), group in wrong.items():
        if file:
            yield file_block(group[0], width)
            continue
        shown = group if alone else group[:1]
        for verdict in shown:
            yield block(verdict, course.exercise(name), width, others=group[len(shown) :])


def sentence(exercise: Exercise, verdicts: Sequence[Verdict]) -> str:
    """An exercise with which nothing is wrong, in a line: that it passes, is to do, or could not be decided."""
    todo = [verdict for verdict in verdicts if verdict.state is State.TODO]
    if todo:
        return f"{SIGN[State.TODO]} {exercise.name} · {todo[0].likely or 'still to do'}"
    passed = sum(verdict.state is State.PASSED for verdict in verdicts)
    undecided = next((verdict for verdict in verdicts if verdict.state is State.INCONCLUSIVE), None)
    if undecided is not None:
        why = f"{Check(undecided.check, 0).title}: {undecided.likely}"
        return f"{SIGN[State.INCONCLUSIVE]} {exercise.name} · {passed} of {len(verdicts)} checks pass; {why}"
    told = f"{SIGN[State.PASSED]} {exercise.name} · {passed} checks pass"
    if any(check.long for check in exercise.checks):
        return f"{told}; one more takes minutes: pytest --exercise {exercise.name}"
    return f"{told} · {exercise.worth}"


def file_block(verdict: Verdict, width: int = 80) -> str:
    """The block for a file that could not be loaded at all."""
    lines = wrap(f"{SIGN[State.ERROR]} {verdict.got}", width, subsequent_indent="  ")
    lines += _indented(verdict.frames, width)
    lines += _line("next", verdict.likely, width)
    return "\n".join(lines)


def ascii_only(text: str) -> str:
    """`text` for a terminal that knows no other signs."""
    return text.translate(ASCII).encode("ascii", "replace").decode("ascii")


def _heading(title: str, right: str, width: int) -> list[str]:
    gap = width - len(title) - len(right)
    if gap >= 2:
        return [title + " " * gap + right]
    return [*wrap(title, width, subsequent_indent="  "), right.rjust(width)]


def _line(label: str, text: str, width: int) -> list[str]:
    if not text:
        return []
    room = width - 2 - _LABEL
    first, *rest = _wrapped(text, room)
    return [f"  {label:<{_LABEL}}{first}"] + [" " * (2 + _LABEL) + line for line in rest]


def _wrapped(text: str, room: int) -> list[str]:
    """`text` in lines; what stands after three spaces starts a line of its own when the whole does not fit."""
    if len(text) <= room:
        return [text]
    pieces = [piece.strip() for piece in text.split("   ")]
    return [line for piece in pieces for line in wrap(piece, room, break_long_words=True)] or [""]


def _indented(text: str, width: int) -> list[str]:
    lines = [line[: width - 4] for line in text.splitlines()]
    if len(lines) > _FRAME_LINES:
        lines = [*lines[:4], f"… {len(lines) - _FRAME_LINES} lines left out …", *lines[4 - _FRAME_LINES :]]
    return ["    " + line for line in lines]
