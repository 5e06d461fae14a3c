"""A time limit reaches into endless loops, by signal and by thread, and leaves nothing behind."""

import signal
import threading
import time
from collections.abc import Callable

import pytest

from deepdive import limits
from deepdive.limits import DEADLINE, TimeIsUp, time_limit


def loop() -> None:
    while True:
        pass


def stubborn_loop() -> None:
    """Swallows what is raised into it, twice."""
    swallowed = 0
    while True:
        try:
            while True:
                pass
        except BaseException:
            swallowed += 1
            if swallowed == 3:
                raise


@pytest.mark.parametrize("way", ["signal", "thread"])
@pytest.mark.parametrize("endless", [loop, stubborn_loop])
def test_an_endless_loop_is_left(monkeypatch: pytest.MonkeyPatch, way: str, endless: Callable[[], None]) -> None:
    if way == "thread":
        monkeypatch.delattr(signal, "setitimer")
    with pytest.raises(TimeIsUp), time_limit(0.05):
        endless()


@pytest.mark.parametrize("way", ["signal", "thread"])
def test_a_block_in_time_is_left_alone(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    if way == "thread":
        monkeypatch.delattr(signal, "setitimer")
    before = threading.active_count()
    with time_limit(0.2):
        pass
    time.sleep(0.3)
    assert threading.active_count() == before


def test_another_handler_of_the_alarm_is_restored() -> None:
    rung = []
    previous = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    try:
        with time_limit(5):
            pass
        signal.raise_signal(signal.SIGALRM)
        assert rung == [1]
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_the_supervisor_sees_the_deadline_only_while_the_code_runs() -> None:
    assert not DEADLINE.passed()
    with time_limit(5, loading=True):
        assert DEADLINE.loading()
        DEADLINE.set(time.monotonic() - 1)
        assert DEADLINE.passed()
    assert not DEADLINE.passed()
    assert not DEADLINE.loading()


def test_a_debugger_stops_every_clock() -> None:
    with time_limit(0.1):
        limits.suspend()
        time.sleep(0.25)
        assert not DEADLINE.passed()
