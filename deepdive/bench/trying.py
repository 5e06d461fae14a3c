"""Exercises tried on their own, without pytest around them: what `deepdive watch` does at every save.

The checks, the process that answers run in, the verdicts and the place where they are kept are plain pytest's. Left
out is what pytest takes its time for, collecting some three hundred checks, and what takes minutes.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn, Self

import msgspec

from deepdive import supervisor
from deepdive.answer_files import LIBRARIES, AnswerFileError, AnswerFiles, StillToDo
from deepdive.answers import DEFAULT_SECONDS, SECONDS_AFTER_TIMEOUT
from deepdive.bench.standing import answers_of, kept_of, standing
from deepdive.callees import with_callees
from deepdive.course import Check, Course, Exercise
from deepdive.expect import WrongAnswer
from deepdive.judge import judge, verdict_on, verdict_on_loss
from deepdive.limits import TimeIsUp
from deepdive.printed import capped, caught
from deepdive.proof import check_function, checks_of
from deepdive.report.block import SIGN, also, block, file_block, sentence
from deepdive.report.terminal import write_block, write_line
from deepdive.scratch import scratch, temporary_files_in
from deepdive.source import content_of
from deepdive.supervisor import Lost, Supervisor
from deepdive.verdict import WRONG, State, Verdict

if TYPE_CHECKING:
    from _pytest._io import TerminalWriter


class Runner:
    """Tries exercises of one course, once.

    Args:
        course: the course.
        wishes: a descriptor: as soon as there is something to read, somebody wants something else.
        imported: told the modules of large libraries that had to be imported on the way.
    """

    def __init__(
        self, course: Course, wishes: int | None = None, imported: Callable[[list[str]], None] = lambda names: None
    ) -> None:
        self._course, self._imported = course, imported
        self._files = answers_of(course)
        self._pieces = [(exercise, check) for exercise in course.exercises for check in exercise.checks]
        self._hung = set[str]()
        self._rehearsed: Sequence[Exercise] = ()
        self.found = list[Verdict]()
        self._resources = ExitStack()
        self._resources.enter_context(temporary_files_in(self._resources.enter_context(scratch())))
        self._child: Supervisor | None = None
        if supervisor.available():
            self._child = Supervisor(self._in_child, wishes, self._rehearse)
            self._resources.callback(self._child.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def prepare(self, rehearsed: Sequence[Exercise] = ()) -> None:
        """Fork the child that answers run in beforehand: with large libraries in memory that takes a while.

        Args:
            rehearsed: exercises that will probably be tried. The child tries the reference answers to them first, for
                what it touches first is copied, page by page, which takes as long as the checks do.
        """
        self._rehearsed = rehearsed
        if self._child is not None:
            self._child.prepare()

    def tried(self, exercises: Sequence[Exercise]) -> Iterator[tuple[Exercise, Verdict]]:
        """Judge what stands in `exercises/`, check by check, and keep the verdicts. What takes minutes is left out.

        Raises:
            Cancelled: something else is wanted.
            RuntimeError: the kit itself failed; with the traceback.
        """
        paths = {self._files.path(exercise) for exercise in exercises}
        before = {path: content_of(path) for path in paths}
        try:
            for index, (exercise, check) in enumerate(self._pieces):
                if exercise in exercises and not check.long:
                    self.found.append(self._run(index))
                    yield exercise, self.found[-1]
        finally:  # also of a run that is ended in the middle
            if all(content_of(path) == content for path, content in before.items()):
                keep(self._course, self._files, self.found)

    def _run(self, index: int) -> Verdict:
        if self._child is None:
            return self._judged(index)
        exercise, check = self._pieces[index]
        result = self._child.run(index)
        if isinstance(result, Lost):
            verdict = verdict_on_loss(self._course, self._files, exercise, check.name, result)
        elif "broken" in result[0]:
            raise RuntimeError(result[0]["broken"])
        else:
            self._imported(result[0]["imported"])
            verdict = msgspec.convert(result[0]["verdict"], Verdict)
        if verdict.state is State.TIMEOUT:
            self._hung.add(exercise.name)  # for the next child
        return verdict

    def _rehearse(self) -> None:
        solutions = AnswerFiles(self._course, self._course.root / "solutions")
        with suppress(Exception, TimeIsUp), caught():
            for exercise in self._rehearsed:
                for check, seconds in checks_of(self._course, exercise):
                    judge(self._course, exercise, check, solutions.answer(exercise, seconds))

    def _in_child(self, index: int) -> list[dict[str, Any]]:
        sys.breakpointhook = _no_debugger
        before = set(sys.modules)
        try:
            verdict = self._judged(index)
        except Exception:  # not the answer's, whose exceptions are in the verdict
            return [{"broken": traceback.format_exc()}]
        new = [name for name in sys.modules if name not in before and name.partition(".")[0] in LIBRARIES]
        return [{"verdict": msgspec.to_builtins(verdict), "imported": new}]

    def _judged(self, index: int) -> Verdict:
        exercise, check = self._pieces[index]
        course, path = self._course, self._files.path(exercise)
        seconds = SECONDS_AFTER_TIMEOUT if exercise.name in self._hung else float(check.seconds or DEFAULT_SECONDS)
        with caught() as printed:
            try:
                answer = self._files.answer(exercise, seconds)
            except (StillToDo, AnswerFileError, WrongAnswer) as error:
                return verdict_on(course, exercise, check.name, None, error, path=path)
            verdict = judge(course, exercise, check_function(course, exercise, check), answer, path=path)
            output = capped(printed()) if verdict.state is not State.PASSED else ""
        if verdict.state is State.TIMEOUT:
            self._hung.add(exercise.name)
        return msgspec.structs.replace(verdict, output=output)


def keep(course: Course, files: AnswerFiles, verdicts: Iterable[Verdict]) -> None:
    """Keep verdicts on files as they are now."""
    kept = kept_of(course)
    exercises = ((course.exercise(verdict.exercise), verdict) for verdict in verdicts)
    keyed = ((kept.keys(exercise, verdict.check, files.path(exercise)), verdict) for exercise, verdict in exercises)
    kept.add((keys, verdict) for keys, verdict in keyed if keys is not None)


def _no_debugger(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("breakpoint() stops in pytest only: run it in another terminal")


def show(course: Course, tried: Iterable[tuple[Exercise, Verdict]], terminal: TerminalWriter) -> None:
    """Write what came out: of the first exercise that is wrong all there is to say, of the others a line each.

    Raises:
        Cancelled: something else is wanted.
    """
    terminal.sep("-", time.strftime("%H:%M:%S"), light=True)
    worst: Exercise | None = None
    waiting = 0
    for exercise, pairs in groupby(tried, key=itemgetter(0)):
        verdicts, wrong = list[Verdict](), list[Verdict]()
        for _, verdict in pairs:
            verdicts.append(verdict)
            if verdict.state not in WRONG | {State.KIT_ERROR}:
                continue
            if verdict.file:
                write_block(terminal, file_block(verdict, terminal.fullwidth))
                return
            wrong.append(verdict)
            if worst is None:  # at once: diagnosing what else is wrong may take a while
                worst = exercise
                (verdict,) = with_callees(course, answers_of(course), kept_of(course), [verdict])
                write_block(terminal, block(verdict, exercise, terminal.fullwidth, next_step="h shows a hint"))
            elif len(wrong) == 1:
                title = Check(verdict.check, 0).title
                write_line(terminal, f"{SIGN[verdict.state]} {exercise.name} · {title}", red=True)
            terminal.flush()
        if worst is not None and exercise is worst and wrong[1:]:
            write_line(terminal, also(worst, wrong[1:], terminal.fullwidth))
        elif all(verdict.state is State.TODO and not verdict.likely for verdict in verdicts):
            waiting += 1
        elif not wrong:
            passed = any(verdict.state is State.PASSED for verdict in verdicts)
            write_line(terminal, sentence(exercise, verdicts), green=passed)
        terminal.flush()
    if waiting:
        write_line(terminal, f"{SIGN[State.TODO]} {waiting} still to do")
    if worst is None and (step := standing(course).step) is not None:
        write_line(terminal, f"next    {step.doing} {step.what} · {step.worth}\n        {step.where}")
    terminal.flush()
