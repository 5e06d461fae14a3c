"""Processes that have imported everything and wait to be told what to try.

Where it is safe, one process forks a child for every save (`Forking`). Elsewhere (macOS, Windows, a machine with a
GPU, whose driver survives no fork) each save gets a process of its own, which has been waiting for it (`Spare`).
Either is told by its standard input: a line of JSON, the names of the exercises.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from deepdive import supervisor

TELLING = "DEEPDIVE_TELLING"  # in the environment: a descriptor to close as soon as everything is imported
_PATIENCE = 1.0  # seconds, for a process that may be in the middle of an import
_GPU = Path("/dev/nvidiactl")
# Ctrl-C is for the process that watches: it ends the others.
OWN_GROUP: dict[str, Any] = {} if sys.platform == "win32" else {"process_group": 0}


class Warm(Protocol):
    """What tries exercises, one run at a time."""

    @property
    def ready(self) -> bool:
        """Whether it has imported everything."""

    def start(self, exercises: Sequence[str]) -> None:
        """End the run that is going on, if any, and try these."""

    def stop(self) -> None:
        """End the run that is going on, if any."""

    def close(self) -> None:
        """Let every process go."""


def fork_is_safe() -> bool:
    return supervisor.available() and not _GPU.exists()


class Forking:
    """One process that forks.

    Args:
        root: of the course.
        hours: the numbers of the hours at hand.
    """

    def __init__(self, root: Path, hours: Iterable[int]) -> None:
        self._root, self._hours = root, set(hours)
        self._news, telling = os.pipe()
        self._process = _begin("fork", root, self._hours, telling)
        os.close(telling)

    @property
    def ready(self) -> bool:
        return bool(select.select([self._news], [], [], 0)[0])  # it closes its end

    def start(self, exercises: Sequence[str]) -> None:
        if self._process.poll() is not None:  # somebody has ended it
            self._process = _begin("fork", self._root, self._hours)
        _tell(self._process, exercises)

    def stop(self) -> None:
        _tell(self._process, [])

    def close(self) -> None:
        with suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()  # by which it knows, and tidies up
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        end(self._process)
        os.close(self._news)


class Spare:
    """A process that waits for its turn, and another as soon as it has begun.

    Args:
        root: of the course.
        hours: the numbers of the hours at hand.
    """

    def __init__(self, root: Path, hours: Iterable[int]) -> None:
        self._root, self._hours = root, set(hours)
        self._running: subprocess.Popen[bytes] | None = None
        self._next = _begin("once", root, self._hours)

    ready = True  # for all that anybody knows

    def start(self, exercises: Sequence[str]) -> None:
        self.stop()
        self._running = self._next
        _tell(self._running, exercises)
        self._next = _begin("once", self._root, self._hours)

    def stop(self) -> None:
        if self._running is not None:
            end(self._running)
            self._running = None

    def close(self) -> None:
        self.stop()
        end(self._next)


def _begin(how: str, root: Path, hours: Iterable[int], telling: int | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "deepdive.bench.serving", how, str(root), *map(str, sorted(hours))]
    if telling is None:
        return subprocess.Popen(command, stdin=subprocess.PIPE, **OWN_GROUP)
    variables = {**os.environ, TELLING: str(telling)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=variables, pass_fds=[telling], **OWN_GROUP)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and, where there are groups, what it has started."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tell(process: subprocess.Popen[bytes], exercises: Sequence[str]) -> None:
    with suppress(OSError):
        assert process.stdin is not None
        process.stdin.write(json.dumps(exercises).encode() + b"\n")
        process.stdin.flush()
