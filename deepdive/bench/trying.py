"""Exercises tried on their own, without pytest around them: what `deepdive watch` does at every save.

The checks, the process that answers run in, the verdicts and the place where they are kept are plain pytest's. Left
out is what pytest takes its time for, collecting some three hundred checks, and what takes minutes.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from deepdive import supervisor
from deepdive.answer_files import LIBRARIES, AnswerFileError, AnswerFiles, StillToDo
from deepdive.answers import DEFAULT_SECONDS, SECONDS_AFTER_TIMEOUT
from deepdive.bench.standing import answers_of, standing
from deepdive.course import Check, Course, Exercise
from deepdive.expect import WrongAnswer
from deepdive.judge import judge, verdict_on, verdict_on_loss
from deepdive.kept import Kept, settings_of
from deepdive.printed import capped, caught
from deepdive.proof import checks_of
from deepdive.report.block import SIGN, block, file_block, sentence
from deepdive.report.terminal import write_block, write_line
from deepdive.scratch import scratch, temporary_files_in
from deepdive.supervisor import Lost, Supervisor
from deepdive.verdict import WRONG, State, Verdict

if TYPE_CHECKING:
    from _pytest._io import TerminalWriter

Tried = tuple[Exercise, list[Verdict]]


def try_exercises(
    course: Course,
    exercises: Sequence[Exercise],
    *,
    wishes: int | None = None,
    imported: Callable[[list[str]], None] = lambda names: None,
) -> Iterator[Tried]:
    """Judge what stands in `exercises/`, one exercise after the other, and keep the verdicts.

    Args:
        course: the course.
        exercises: which.
        wishes: a descriptor: as soon as there is something to read, somebody wants something else.
        imported: told the modules of large libraries that had to be imported on the way.

    Raises:
        Cancelled: something else is wanted.
        RuntimeError: the kit itself failed; with the traceback.
    """
    files = answers_of(course)
    before = {path: _content(path) for path in {files.path(exercise) for exercise in exercises}}
    pieces = [(e, check) for e in exercises if not files.is_stub(e) for check in e.checks if not check.long]
    hung = set[str]()

    def judged(index: int) -> Verdict:
        exercise, check = pieces[index]
        seconds = float(check.seconds or DEFAULT_SECONDS)
        seconds = min(seconds, SECONDS_AFTER_TIMEOUT) if exercise.name in hung else seconds
        verdict = _judged(course, files, exercise, check, seconds)
        if verdict.state is State.TIMEOUT:
            hung.add(exercise.name)
        return verdict

    found = list[Verdict]()
    with scratch() as folder, temporary_files_in(folder), _where_answers_run(judged, wishes, imported) as run:
        for exercise in exercises:
            verdicts = list[Verdict]()
            for index, (one, check) in enumerate(pieces):
                if one is exercise:
                    result = run(index)
                    if isinstance(result, Lost):
                        result = verdict_on_loss(course, files, exercise, check.name, result)
                        hung |= {exercise.name} if result.state is State.TIMEOUT else set()
                    verdicts.append(result)
            found += verdicts
            yield exercise, verdicts or [_todo(exercise, check) for check in exercise.checks]
    if all(_content(path) == content for path, content in before.items()):
        keep(course, files, found)


def keep(course: Course, files: AnswerFiles, verdicts: Iterable[Verdict]) -> None:
    """Keep verdicts on files as they are now."""
    kept = Kept(course, settings_of(0, DEFAULT_SECONDS))
    exercises = ((course.exercise(verdict.exercise), verdict) for verdict in verdicts)
    keyed = ((kept.keys(exercise, verdict.check, files.path(exercise)), verdict) for exercise, verdict in exercises)
    kept.add((keys, verdict) for keys, verdict in keyed if keys is not None)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@contextmanager
def _where_answers_run(
    judged: Callable[[int], Verdict], wishes: int | None, imported: Callable[[list[str]], None]
) -> Iterator[Callable[[int], Verdict | Lost]]:
    """A child of this process, where there can be one: what takes it down costs its own verdict only."""
    if not supervisor.available():
        yield judged
        return
    child = Supervisor(lambda index: _in_child(judged, index), wishes)

    def run(index: int) -> Verdict | Lost:
        result = child.run(index)
        if isinstance(result, Lost):
            return result
        (told,) = result
        if "broken" in told:
            raise RuntimeError(told["broken"])
        imported(told["imported"])
        return msgspec.convert(told["verdict"], Verdict)

    try:
        yield run
    finally:
        child.close()


def _in_child(judged: Callable[[int], Verdict], index: int) -> list[dict[str, Any]]:
    sys.breakpointhook = _no_debugger
    before = set(sys.modules)
    try:
        verdict = judged(index)
    except Exception:  # not the answer's, whose exceptions are in the verdict
        return [{"broken": traceback.format_exc()}]
    new = [name for name in sys.modules if name not in before and name.partition(".")[0] in LIBRARIES]
    return [{"verdict": msgspec.to_builtins(verdict), "imported": new}]


def _no_debugger(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("breakpoint() stops in pytest only: run it in another terminal")


def _judged(course: Course, files: AnswerFiles, exercise: Exercise, check: Check, seconds: float) -> Verdict:
    path = files.path(exercise)
    functions = {function.__name__: function for function, _ in checks_of(course, exercise)}
    with caught() as printed:
        try:
            answer = files.answer(exercise, seconds)
        except (StillToDo, AnswerFileError, WrongAnswer) as error:
            return verdict_on(course, exercise, check.name, None, error, path=path)
        verdict = judge(course, exercise, functions[check.name], answer, path=path)
        output = capped(printed()) if verdict.state is not State.PASSED else ""
    return msgspec.structs.replace(verdict, output=output)


def _todo(exercise: Exercise, check: Check) -> Verdict:
    return Verdict(hour=exercise.hour, exercise=exercise.name, check=check.name, state=State.TODO)


def show(course: Course, tried: Iterable[Tried], terminal: TerminalWriter) -> None:
    """Write what came out: of the first exercise that is wrong all there is to say, of the others a line each.

    Raises:
        Cancelled: something else is wanted.
    """
    terminal.sep("-", time.strftime("%H:%M:%S"), light=True)
    wrong, waiting = 0, 0
    for exercise, verdicts in tried:
        told = [verdict for verdict in verdicts if verdict.state in WRONG | {State.KIT_ERROR}]
        if told and told[0].file:
            write_block(terminal, file_block(told[0], terminal.fullwidth))
            return
        if told and not wrong:
            write_block(terminal, block(told[0], exercise, terminal.fullwidth, others=told[1:]))
        elif told:
            write_line(terminal, f"{SIGN[told[0].state]} {exercise.name} · {Check(told[0].check, 0).title}", red=True)
        elif all(verdict.state is State.TODO and not verdict.likely for verdict in verdicts):
            waiting += 1
        else:
            passed = any(verdict.state is State.PASSED for verdict in verdicts)
            write_line(terminal, sentence(exercise, verdicts), green=passed)
        wrong += bool(told)
        terminal.flush()
    if waiting:
        write_line(terminal, f"{SIGN[State.TODO]} {waiting} still to do")
    if not wrong and (step := standing(course).step) is not None:
        write_line(terminal, f"next    {step.doing} {step.what} · {step.worth}\n        {step.where}")
    terminal.flush()
