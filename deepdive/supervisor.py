"""Runs checks in a forked child, so that an answer which takes its process down costs only its own verdict.

A learner's code runs beside the checks, where breakpoints and prints do what one expects. But it may also hang
in one endless call into C, exhaust the memory, corrupt the heap or call `os._exit`. So the process that pytest
reports from never runs it: a child, forked when the first answer is to be tried, does, with the same terminal
and the same modules already imported. When the child is lost, the supervisor says how, and forks another.

Needs `os.fork`, and is used on Linux only: elsewhere forking a process that holds numerical libraries is not
safe, and the checks run in pytest's own process, under the soft time limit alone.
"""

from __future__ import annotations

import faulthandler
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from deepdive.limits import DEADLINE
from deepdive.processes import descendants

_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 1.0  # a child that was told to end may be in the middle of an answer that will not

_OUT_OF_MEMORY = 112  # an exit code nobody else uses

_DEATHS: dict[int, str] = {
    signal.SIGSEGV: "it died of a segmentation fault",
    signal.SIGKILL: "it was killed from outside, most likely for want of memory",
    signal.SIGABRT: "it aborted the process",
}

Reports = list[dict[str, Any]]


@dataclass(frozen=True)
class Lost:
    """The child did not live to report.

    Args:
        hung: the supervisor ended it, well past the time limit; otherwise it died by itself.
        how: what happened, in words.
        loading: it was loading a whole file of answers.
    """

    hung: bool
    how: str
    loading: bool


def available() -> bool:
    return sys.platform == "linux"


def how_it_died(signal_number: int | None, exit_code: int | None) -> str:
    """In words, what ended a process: a signal, or its own exit."""
    if signal_number is not None:
        return _DEATHS.get(signal_number) or f"it died by {signal.Signals(signal_number).name}"
    if exit_code == _OUT_OF_MEMORY:
        return "it ran out of memory"
    return f"it ended the whole process, with exit code {exit_code}"


class Cancelled(Exception):
    """Somebody wants something else: the child was ended in the middle of its work."""


class Supervisor:
    """Has one child at a time do the work, and outlives it.

    Args:
        work: what the child does with a request, an index of an item, giving JSON-able reports.
        wishes: a descriptor from which to read what is wanted next: as soon as there is something, the work is over.
        first: what the child does before it is asked for anything.
    """

    def __init__(
        self, work: Callable[[int], Reports], wishes: int | None = None, first: Callable[[], None] = lambda: None
    ) -> None:
        self._work, self._first = work, first
        self._wishes = [] if wishes is None else [wishes]
        self._child = 0
        self._requests: BinaryIO | None = None
        self._replies: BinaryIO | None = None

    def run(self, index: int) -> Reports | Lost:
        """Have the child do one piece of work.

        Raises:
            Cancelled: something else is wanted before it is done.
        """
        self.prepare()
        assert self._requests is not None
        assert self._replies is not None
        try:
            self._requests.write(b"%d\n" % index)
            self._requests.flush()
        except BrokenPipeError:
            return self._lost()
        while True:
            sources: list[Any] = [self._replies, *self._wishes]
            ready = select.select(sources, [], [], _POLL_SECONDS)[0]
            if self._replies in ready:
                break
            if ready:
                os.kill(self._child, signal.SIGKILL)
                self._end()
                raise Cancelled
            if DEADLINE.passed():
                os.kill(self._child, signal.SIGKILL)
                return self._lost(hung=True)
        line = self._replies.readline()
        if not line.endswith(b"\n"):
            return self._lost()
        reports: Reports = json.loads(line)
        return reports

    def prepare(self) -> None:
        """Fork the child now, if there is none: it waits."""
        if not self._child:
            self._fork()

    def close(self) -> None:
        """Let the child go."""
        if self._child:
            self._end()

    def _fork(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        request_end, requests = os.pipe()
        replies, reply_end = os.pipe()
        supervisor = os.getpid()
        self._child = os.fork()
        if self._child == 0:
            _die_with(supervisor)
            os.close(requests)
            os.close(replies)
            _serve(self._work, self._first, os.fdopen(request_end, "rb"), os.fdopen(reply_end, "wb"))
        os.close(request_end)
        os.close(reply_end)
        self._requests, self._replies = os.fdopen(requests, "wb"), os.fdopen(replies, "rb")

    def _lost(self, *, hung: bool = False) -> Lost:
        loading = DEADLINE.loading()
        status = self._end()
        if hung:
            how = "it did not react to the time limit and was stopped"
        elif os.WIFSIGNALED(status):
            how = how_it_died(os.WTERMSIG(status), None)
        else:
            how = how_it_died(None, os.waitstatus_to_exitcode(status))
        return Lost(hung, how, loading)

    def _end(self) -> int:
        strays = descendants(self._child)
        for stream in (self._requests, self._replies):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        status = self._wait(_PATIENCE_SECONDS)
        if status is None:
            os.kill(self._child, signal.SIGKILL)
            _, status = os.waitpid(self._child, 0)
        for stray in strays:  # what the answers started and left running
            with suppress(ProcessLookupError):
                os.kill(stray, signal.SIGKILL)
        DEADLINE.clear()
        self._child, self._requests, self._replies = 0, None, None
        return status

    def _wait(self, seconds: float) -> int | None:
        """The child's status once it has ended; None when it goes on for longer than this."""
        until = time.monotonic() + seconds
        while True:
            child, status = os.waitpid(self._child, os.WNOHANG)
            if child:
                return status
            if time.monotonic() > until:
                return None
            time.sleep(0.01)


def _die_with(supervisor: int) -> None:
    """Have this process killed when the supervisor is: nobody would wait for what it does, which may take minutes."""
    from deepdive.jail.linux import die_with_parent  # Linux only, as forking is

    die_with_parent(signal.SIGKILL)
    if os.getppid() != supervisor:  # gone already
        os._exit(1)


def _serve(work: Callable[[int], Reports], first: Callable[[], None], requests: BinaryIO, replies: BinaryIO) -> None:
    """The child's life: read a request, do it, reply; ends when the supervisor hangs up or Ctrl-C is pressed."""
    faulthandler.disable()  # the verdict says what happened; forty lines of frames would hide it
    code = 1
    try:
        first()
        for line in requests:
            replies.write(json.dumps(work(int(line))).encode() + b"\n")
            replies.flush()
        code = 0
    except KeyboardInterrupt:
        code = 130
    except MemoryError:
        code = _OUT_OF_MEMORY
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
