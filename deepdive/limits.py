"""A time limit that reaches into an endless loop.

The limit is on the learner's code alone: the clock runs only inside `time_limit`. It has two stages. The soft
one raises `TimeIsUp` inside the running code, again and again in case the code swallows it: by a timer signal
where there is one, else by an asynchronous exception from a thread. Code that does not come back to the
interpreter at all (one endless call into C) cannot be reached that way. For it the deadline also stands in a
few bytes of memory shared with the supervisor process, which ends this one when it is well past.
"""

from __future__ import annotations

import ctypes
import mmap
import signal
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GRACE_SECONDS = 2.0  # from the soft limit to the hard one
_REPEAT_SECONDS = 0.1


class TimeIsUp(BaseException):
    """The answer ran longer than it may. Not an Exception, so that `except Exception` does not swallow it."""


class Deadline:
    """What the supervisor can see of this process's clock, in memory they share.

    The moment after which it ends this process (monotonic seconds, 0 for none), and whether the code on
    the clock is a whole file being loaded, not one answer.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, struct.calcsize("d?"))

    def set(self, moment: float, *, loading: bool = False) -> None:
        self._memory[:] = struct.pack("d?", moment, loading)

    def clear(self) -> None:
        self.set(0)

    def passed(self) -> bool:
        (moment, _) = struct.unpack("d?", self._memory[:])
        return bool(0 < moment < time.monotonic())

    def loading(self) -> bool:
        (_, loading) = struct.unpack("d?", self._memory[:])
        return bool(loading)


DEADLINE = Deadline()


_debugged = False


def debugged() -> bool:
    """Whether a person has taken over with a debugger."""
    return _debugged


def suspend() -> None:
    """Stop every clock: a person has taken over with a debugger."""
    global _debugged
    _debugged = True
    DEADLINE.clear()
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def time_limit(seconds: float, *, loading: bool = False) -> Iterator[None]:
    """Raise `TimeIsUp` in the block once it has run for `seconds` of wall-clock time.

    Args:
        seconds: the limit.
        loading: the block loads a whole file of answers.
    """
    DEADLINE.set(time.monotonic() + seconds + GRACE_SECONDS, loading=loading)
    by_signal = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    try:
        with _alarm(seconds) if by_signal else _asynchronous(seconds):
            yield
    finally:
        DEADLINE.clear()


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeIsUp

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3), _REPEAT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@contextmanager
def _asynchronous(seconds: float) -> Iterator[None]:
    thread = ctypes.c_ulong(threading.get_ident())
    over = threading.Event()

    def watch() -> None:
        wait = seconds
        while not over.wait(wait):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(TimeIsUp))
            wait = _REPEAT_SECONDS

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, None)
