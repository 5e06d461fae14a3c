"""A process that judges jobs: reads them from its standard input, one JSON value a line, and answers on its output.

    python -m deepdive.grading.work

It holds the checks and a jail of its own, and lives until its input ends. Whoever starts it never runs a submission's
code in its own process, nor waits for one that hangs in a check.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import msgspec

from deepdive.assets import use_offline
from deepdive.course import Course, load_course
from deepdive.grading.jobs import Job
from deepdive.grading.run import judge_file
from deepdive.grading.session import imports_for, open_jail
from deepdive.jail.zygote import Jail, JailError
from deepdive.scratch import scratch, temporary_files_in
from deepdive.verdict import Verdict


class Setup(msgspec.Struct, frozen=True):
    """What a working process is told first.

    Args:
        root: of the course.
        hours: that its jobs will be of, to import what they need.
        unsafe: use no jail.
    """

    root: str
    hours: tuple[int, ...]
    unsafe: bool = False


class Ready(msgspec.Struct, frozen=True):
    """It is ready: which jail it has; or `problem`, why it is not."""

    tier: str = ""
    problem: str = ""


class Done(msgspec.Struct, frozen=True):
    """What came of a job: verdicts by their keys; or `problem`, why there are none."""

    job: Job
    verdicts: tuple[tuple[str, Verdict], ...] = ()
    problem: str = ""


class Jails:
    """The jails of a working process: one for all jobs whose files need the same imports, opened with the first.

    Args:
        resources: what closes them.
        unsafe: use none.
    """

    def __init__(self, resources: ExitStack, *, unsafe: bool) -> None:
        self._resources, self._unsafe = resources, unsafe
        self._open: dict[tuple[str, ...], Jail] = {}

    def of(self, hour: int, source: bytes) -> Jail:
        """The jail for a file. Raises RuntimeError when none is to be had."""
        imports = imports_for({hour}, [source])
        if imports not in self._open:
            jail = open_jail({hour}, unsafe=self._unsafe, sources=[source])
            self._open[imports] = self._resources.enter_context(jail)
        return self._open[imports]


def judged(course: Course, job: Job, jail: Jail) -> Done:
    """Judge one job."""
    keys = {check.check: check.key for check in job.checks}
    try:
        found = judge_file(course, course.hour(job.hour), job.content, jail, seed=job.seed, only=keys)
        return Done(job, tuple((keys[verdict.check], verdict) for verdict in found))
    except JailError as error:
        return Done(job, problem=f"no jail: {error}")


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Judge jobs until there are no more."""
    setup = msgspec.json.decode(requests.readline(), type=Setup)
    with ExitStack() as resources:
        try:
            use_offline()
            folder = resources.enter_context(scratch())
            resources.enter_context(temporary_files_in(folder))
            course = load_course(Path(setup.root))
            jails = Jails(resources, unsafe=setup.unsafe)
            jail = jails.of(min(setup.hours), b"")  # to know at once whether there is one
        except Exception as error:
            _write(replies, Ready(problem=f"{type(error).__name__}: {error}"))
            return
        _write(replies, Ready(tier=jail.tier))
        for line in requests:
            job = msgspec.json.decode(line, type=Job)
            _write(replies, judged(course, job, jails.of(job.hour, job.content)))


def _write(replies: BinaryIO, value: msgspec.Struct) -> None:
    replies.write(msgspec.json.encode(value) + b"\n")
    replies.flush()


if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1)  # where it hangs, for whoever has waited too long
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started it, who then ends the input
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a check prints is no answer
    serve(sys.stdin.buffer, answers)
    os._exit(0)  # all is put away; to take torch and its modules apart, one by one, would take another second or two
