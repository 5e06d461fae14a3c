"""Failures say the first thing that is wrong: type, shape, dtype, finiteness, then values."""

from typing import Any

import numpy as np
import pytest

from deepdive.difference import Tolerance, characterise
from deepdive.expect import WrongAnswer, expect

RIGHT = np.arange(12.0).reshape(3, 4)


def wrong(value: Any, expected: Any, **tolerance: float) -> WrongAnswer:
    with pytest.raises(WrongAnswer) as caught:
        expect(value).close_to(expected, **tolerance)
    return caught.value


@pytest.mark.parametrize(
    ("got", "told"),
    [
        (RIGHT.tolist(), "a list is no array"),
        (None, "None"),
        (RIGHT[:2], "the shape differs"),
        (RIGHT.T, "axes 0 and 1 swapped"),
        (RIGHT.reshape(4, 3)[:3], "the shape differs"),
        (RIGHT.astype(complex), "the dtype should be floating point"),
        (RIGHT.astype(object), "the dtype should be floating point"),
        (RIGHT.astype(int), "the dtype should be floating point"),
        (np.where(RIGHT == 5, np.nan, RIGHT), "1 of 12 values NaN, first at [1,1]"),
        (np.where(RIGHT == 5, np.inf, RIGHT), "1 of 12 values infinite, first at [1,1]"),
        (np.where(RIGHT == 5, 5.25, RIGHT), "1 of 12 values differ, the worst by 0.25 at [1,1]"),
    ],
)
def test_the_first_thing_that_is_wrong_is_told(got: Any, told: str) -> None:
    error = wrong(got, RIGHT)
    assert told in f"{error.got} {error.remark}"


def test_float32_is_good_enough_for_float64() -> None:
    expect(RIGHT.astype(np.float32)).close_to(RIGHT)


def test_nested_values_say_where_they_differ() -> None:
    error = wrong({"k": [np.zeros(2), np.ones(2)]}, {"k": [np.zeros(2), np.zeros(2)]})
    assert error.expected.startswith("['k'][1]: ")
    assert "missing" not in wrong({}, {"k": 1}).got
    assert "no 'k'" in wrong({}, {"k": 1}).remark
    assert "'z' too many" in wrong({"k": 1, "z": 2}, {"k": 1}).remark


def test_the_preview_moves_to_where_the_values_differ() -> None:
    right = np.zeros((4, 50))
    mine = right.copy()
    mine[3, 40] = 7.0
    error = wrong(mine, right)
    assert "at [3,40]: 7.000" in error.got
    assert "at [3,40]: 0" in error.expected
    mine[3, 40] = np.nan
    assert "at [3,40]: nan" in wrong(mine, right).got


def test_a_dtype_that_is_not_judged_is_not_shown_as_a_difference() -> None:
    error = wrong((RIGHT + 1).astype(np.float32), RIGHT)
    assert error.expected.startswith("float32[3,4]")


def test_tolerances_are_absolute_and_relative() -> None:
    expect(np.array([1000.1])).close_to(np.array([1000.0]), atol=0, rtol=1e-3)
    wrong(np.array([1000.1]), np.array([1000.0]), atol=0, rtol=1e-5)
    expect(np.array([np.inf, np.nan])).close_to(np.array([np.inf, np.nan]))


def test_equals_is_exact() -> None:
    expect(["a", 1, True]).equals(["a", 1, True])
    for value in (["a", 2, True], ["a", 1], ("a",), ["a", 1, False]):
        with pytest.raises(WrongAnswer):
            expect(value).equals(["a", 1, True])
    with pytest.raises(WrongAnswer):
        expect(np.array([1, 2])).equals(np.array([1.0, 2.0]))


def test_shape_dtype_finiteness_and_bounds_can_be_asked_for_alone() -> None:
    expect(RIGHT).has_shape(3, 4).has_dtype(np.float64).is_finite()
    for ask in (
        lambda: expect(RIGHT).has_shape(4, 3),
        lambda: expect(RIGHT).has_dtype(np.float32),
        lambda: expect(np.array([np.nan])).is_finite(),
        lambda: expect(np.array(["a"])).is_finite(),
        lambda: expect(0.7).at_least(0.8),
        lambda: expect(float("nan")).at_least(0.8),
    ):
        with pytest.raises(WrongAnswer):
            ask()
    expect(0.9).at_least(0.8)


def refuse(message: str, error: type[Exception] = ValueError) -> None:
    raise error(message)


def test_raises_wants_the_right_error_that_names_the_value() -> None:
    with expect.raises(ValueError, naming=(2, 3)):
        refuse("shape [2, 3] does not fit")
    for block, told in (
        (lambda: refuse("no good"), "does not say 7"),
        (lambda: refuse("7", TypeError), ""),
        (lambda: None, "accepted"),
    ):
        with pytest.raises(WrongAnswer) as caught, expect.raises(ValueError, naming=7):
            block()
        assert told in caught.value.likely


def test_a_number_is_named_only_as_a_whole_number() -> None:
    with pytest.raises(WrongAnswer), expect.raises(ValueError, naming=7):
        refuse("got 17 heads")
    with expect.raises(ValueError, naming=7):
        refuse("got n_heads=7.")


@pytest.mark.parametrize(
    ("got", "sentence"),
    [
        (RIGHT.T, "axes 0 and 1 are swapped"),
        (RIGHT.reshape(2, 6), "the shape should be [3, 4]"),
        (-RIGHT, "wrong sign"),
        (RIGHT * 2.5, "2.5 times what it should be"),
        (RIGHT + 3, "off by the same amount, 3"),
        (np.roll(RIGHT**2, 1, axis=1), "one place too late"),
        (np.roll(RIGHT**2, -1, axis=1), "one place too early"),
        (np.flip(RIGHT**2, axis=0), "reverse order along axis 0"),
        (np.random.default_rng(0).permutation(RIGHT.ravel() ** 2).reshape(3, 4), "in the wrong places"),
        (np.sin(RIGHT), ""),
    ],
)
def test_a_difference_of_a_known_kind_is_described(got: Any, sentence: str) -> None:
    expected = RIGHT**2 if "place" in sentence or "reverse" in sentence else RIGHT
    said = characterise(expected, got, Tolerance(1e-6, 1e-6))
    assert sentence in said
    assert bool(sentence) == bool(said)


def test_an_inverted_mask_and_a_reversed_list_are_described() -> None:
    mask = np.array([True, False, False])
    assert "inverted" in characterise(mask, ~mask, Tolerance())
    assert "reverse" in characterise([1, 2, 3], [3, 2, 1], Tolerance())
    assert "another order" in characterise([1, 2, 3], [2, 1, 3], Tolerance())
    assert "last item is missing" in characterise([1, 2, 3], [1, 2], Tolerance())


def test_when_most_values_are_right_their_share_is_told() -> None:
    right = np.random.default_rng(0).normal(size=100)
    mine = right.copy()
    mine[::20] = 9
    assert "95% of the values are right" in wrong(mine, right).likely
