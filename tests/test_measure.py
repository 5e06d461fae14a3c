"""Speed is judged by interleaved pairs on a clock of the test's own, so that no test depends on the machine."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deepdive import measure
from deepdive.measure import FASTER, SLOWER, UNDECIDED, Batch, Speedup, speedup


class Clock:
    """A clock that moves only when told; baseline and answer 'take' what they say they take."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(measure, "perf_counter", clock)
    return clock


def trial(
    clock: Clock, answer_takes: Callable[[], float], baseline_takes: Callable[[], float], max_seconds: float = 1e9
) -> Speedup:
    def baseline(x: int) -> int:
        clock.now += baseline_takes()
        return x

    def answer(x: int) -> int:
        clock.now += answer_takes()
        return x

    fresh: Iterator[int] = iter(range(10_000))
    return speedup(
        measure.timed(answer), baseline, lambda: [(next(fresh),)], 3, lambda a, b: None, max_seconds=max_seconds
    )


@pytest.mark.parametrize(("ratio", "decision"), [(6.0, FASTER), (3.1, FASTER), (2.9, SLOWER), (1.0, SLOWER)])
def test_a_quiet_machine_decides_at_once(clock: Clock, ratio: float, decision: str) -> None:
    result = trial(clock, lambda: 1.0, lambda: ratio)
    assert result.decision == decision
    assert result.pairs == 7
    assert result.ratio == pytest.approx(ratio)


def test_a_noisy_machine_is_asked_until_it_is_sure(clock: Clock) -> None:
    noise = random.Random(1)
    result = trial(clock, lambda: noise.choice([1.0, 1.0, 1.0, 9.0]), lambda: noise.choice([6.0, 6.0, 6.0, 40.0]))
    assert result.decision == FASTER
    assert result.pairs > 7


def test_what_cannot_be_decided_is_said_to_be_undecided(clock: Clock) -> None:
    turn = iter(range(10_000))
    result = trial(clock, lambda: 1.0, lambda: 6.0 if next(turn) % 2 else 1.0)
    assert result.decision == UNDECIDED
    assert result.pairs == measure.MAX_PAIRS


def test_time_that_runs_out_leaves_it_undecided(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LEAST_PAIRS", 4)
    turn = iter(range(10_000))
    result = trial(clock, lambda: 1.0, lambda: 6.0 if next(turn) % 2 else 1.0, max_seconds=10)
    assert result.decision == UNDECIDED
    assert result.pairs < measure.MAX_PAIRS


def test_nobody_is_too_slow_to_be_called_slow(clock: Clock) -> None:
    result = trial(clock, lambda: 60.0, lambda: 1.0, max_seconds=1)
    assert result.decision == SLOWER


@pytest.mark.parametrize(("fast_pairs_in_5", "wrong_word"), [(4, SLOWER), (1, FASTER)])
def test_wrong_words_are_as_rare_as_promised(clock: Clock, fast_pairs_in_5: int, wrong_word: str) -> None:
    """As noisy as the hypotheses allow: at most 1 decision in 10,000 may be wrong, so 3 in 3,000 are too many."""
    noise = random.Random(0)
    takes = [6.0] * fast_pairs_in_5 + [1.0] * (5 - fast_pairs_in_5)
    words = [trial(clock, lambda: 1.0, lambda: noise.choice(takes)).decision for _ in range(3_000)]
    assert words.count(wrong_word) < 3


def test_inputs_are_fresh_for_every_pair_and_results_are_compared(clock: Clock) -> None:
    seen, compared = [], []

    def baseline(x: int) -> int:
        seen.append(x)
        clock.now += 6
        return x

    def answer(batch: Batch) -> tuple[float, list[Any]]:
        return 1.0, [x for (x,) in batch]

    fresh = iter(range(100))
    speedup(answer, baseline, lambda: [(next(fresh),)], 3, lambda a, b: compared.append(a == b), max_seconds=1e9)
    assert len(set(seen)) == len(seen) == 8  # one pair to warm up, seven to decide
    assert compared == [True] * 8


def test_fast_and_wrong_is_wrong(clock: Clock) -> None:
    def compare(expected: int, got: int) -> None:
        assert expected == got

    with pytest.raises(AssertionError):
        speedup(lambda batch: (1e-9, [None]), lambda x: x, lambda: [(1,)], 3, compare)


def test_answer_and_baseline_take_turns_at_going_first(clock: Clock) -> None:
    order: list[str] = []

    def baseline(x: int) -> int:
        order.append("b")
        clock.now += 6
        return x

    def answer(batch: Batch) -> tuple[float, list[Any]]:
        order.append("a")
        return 1.0, [x for (x,) in batch]

    speedup(answer, baseline, lambda: [(1,)], 3, lambda a, b: None, max_seconds=1e9)
    assert "".join(order[2:]) == "abba" * 3 + "ab"
