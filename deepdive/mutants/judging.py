"""Judging mutants, in worker processes: what becomes of each, be it that it loops, crashes or eats the memory.

Each unchanged solution goes first, as a control.
"""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic

from deepdive.answers import Answer
from deepdive.course import Course, Exercise
from deepdive.judge import judge
from deepdive.mutants.generate import Mutant, mutants_of, unchanged
from deepdive.proof import checks_of
from deepdive.scratch import scratch, temporary_files_in
from deepdive.threads import ONE_THREAD
from deepdive.verdict import WRONG, State

# Of memory a worker may write to. Judging hour 1, with torch, Transformers and MiniLM loaded, takes 0.5 GB.
MAX_BYTES = 4 * 2**30
# The checks' own time limits end a mutant that loops. This one is for what they cannot reach: an endless call into C.
PATIENCE_SECONDS = 300.0


class ControlError(Exception):
    """An unchanged solution did not pass, so that no mutant's death would mean anything."""


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    CRASHED = "crashed"
    SURVIVED = "survived"
    KIT_ERROR = "kit error"


@dataclass(frozen=True)
class MutantResult:
    """A mutant and what became of it.

    Args:
        mutant: the mutant.
        fate: what became of it.
        check: the check that decided, if one did.
        told: what that check told.
        seconds: how long it took.
    """

    mutant: Mutant
    fate: Fate
    check: str = ""
    told: str = ""
    seconds: float = 0.0

    @property
    def killed(self) -> bool:
        """Found wrong: a check that breaks has found nothing."""
        return self.fate in (Fate.KILLED, Fate.TIMED_OUT, Fate.CRASHED)


def judge_mutant(course: Course, mutant: Mutant, seed: int = 0) -> MutantResult:
    """Judge one mutant by the checks of its exercise, up to the first that finds it wrong, in this process."""
    began = monotonic()
    exercise = course.exercise(mutant.exercise)

    def result(fate: Fate, check: str = "", told: str = "") -> MutantResult:
        return MutantResult(mutant, fate, check, told, monotonic() - began)

    try:
        function = mutant.function(course)
        with scratch() as folder, temporary_files_in(folder):
            for check, seconds in checks_of(course, exercise):
                verdict = judge(course, exercise, check, Answer(exercise, function, seconds), seed=seed)
                if verdict.state is State.KIT_ERROR:
                    return result(Fate.KIT_ERROR, verdict.check, verdict.got)
                if verdict.state in WRONG:
                    fate = Fate.TIMED_OUT if verdict.state is State.TIMEOUT else Fate.KILLED
                    return result(fate, verdict.check, verdict.got)
    except Exception as error:
        return result(Fate.KIT_ERROR, told=f"{type(error).__name__}: {error}")
    return result(Fate.SURVIVED)


def run_mutants(
    course: Course,
    exercises: Iterable[Exercise] | None = None,
    workers: int = 2,
    seed: int = 0,
    *,
    patience: float = PATIENCE_SECONDS,
) -> list[MutantResult]:
    """Judge all mutants of some exercises, each in a worker process.

    Args:
        course: the course.
        exercises: whose mutants; None for all.
        workers: how many processes.
        seed: of the random inputs.
        patience: after how many seconds a mutant's process is ended.

    Returns:
        A result for every mutant, in the order of the exercises and of their code.

    Raises:
        ControlError: the checks hold something against a solution as it stands.
    """
    chosen = list(course.exercises if exercises is None else exercises)
    controls = [unchanged(course, exercise) for exercise in chosen]
    mutants = [mutant for exercise in chosen for mutant in mutants_of(course, exercise)]
    waiting = deque(controls + mutants)
    results: dict[Mutant, MutantResult] = {}
    with scratch() as folder:
        environment = _environment(folder)
        busy: list[_Worker] = []
        try:
            while waiting or busy:
                while waiting and len(busy) < workers:
                    busy.append(_Worker(course, seed, patience, environment))
                    busy[-1].take(waiting.popleft())
                wait([worker.connection for worker in busy], timeout=0.5)
                for worker in list(busy):
                    result = worker.result()
                    if result is None:
                        continue
                    if result.mutant in controls and result.fate is not Fate.SURVIVED:
                        raise ControlError(
                            f"{result.mutant}: {result.fate} by {result.check or 'nobody knows what'}: {result.told}"
                        )
                    results[result.mutant] = result
                    if waiting and worker.alive:
                        worker.take(waiting.popleft())
                    else:
                        worker.end()
                        busy.remove(worker)
        finally:
            for worker in busy:
                worker.end()
    return [results[mutant] for mutant in mutants]


class _Worker:
    """A process that judges one mutant after the other, and the mutant it has at hand."""

    def __init__(self, course: Course, seed: int, patience: float, environment: dict[str, str]) -> None:
        spawn = multiprocessing.get_context("spawn")  # a fork of a process that has used torch may hang
        self.connection, theirs = spawn.Pipe()
        self.alive = True
        self._patience = patience
        self._process = spawn.Process(target=_serve, args=(theirs, course, seed))
        with _set(environment):
            self._process.start()
        theirs.close()

    def take(self, mutant: Mutant) -> None:
        self._mutant, self._began = mutant, monotonic()
        with suppress(BrokenPipeError):
            self.connection.send(mutant)

    def result(self) -> MutantResult | None:
        """What became of the mutant at hand; None as long as nobody knows."""
        if self.connection.poll():
            with suppress(EOFError, ConnectionResetError):
                result: MutantResult = self.connection.recv()
                return result
            fate = Fate.CRASHED
        elif monotonic() > self._began + self._patience:
            fate = Fate.TIMED_OUT
        else:
            return None
        self.alive = False
        return MutantResult(self._mutant, fate, seconds=monotonic() - self._began)

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


def _serve(connection: Connection, course: Course, seed: int) -> None:
    _limit_memory()
    warnings.simplefilter("ignore")
    with suppress(EOFError):
        while True:
            connection.send(judge_mutant(course, connection.recv(), seed))


def _limit_memory() -> None:
    with suppress(ImportError, OSError, ValueError):  # not on Windows, and not on every macOS
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MAX_BYTES, MAX_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _environment(folder: Path) -> dict[str, str]:
    """For a worker: one thread, no right answers in memory that was freed, and where its files go."""
    # A mutant that leaves half of an np.empty unfilled passes when the values of an earlier answer are still there.
    perturbed = {"MALLOC_PERTURB_": "165"}  # glibc then overwrites what is freed; other systems pay no heed
    return ONE_THREAD | perturbed | {"TMPDIR": str(folder)}  # of those that are killed, too, nothing stays


@contextmanager
def _set(settings: dict[str, str]) -> Iterator[None]:
    """Have these environment variables in the block."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
