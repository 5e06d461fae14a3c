"""Values are copied as plain types, compared to the bit, and described in a few words."""

import numpy as np
import pytest

from deepdive.values import identical, kind, plain, preview


class LyingArray(np.ndarray):
    def __eq__(self, other: object) -> bool:  # type: ignore[override]
        return True


class LyingText(str):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


def test_copies_are_exactly_base_types() -> None:
    lying = {"a": [np.zeros(3).view(LyingArray)], "b": (LyingText("no"), True)}
    copy = plain(lying)
    assert type(copy["a"][0]) is np.ndarray
    assert type(copy["b"][0]) is str
    assert copy["b"][1] is True


def test_copies_share_no_memory_with_the_original() -> None:
    x = np.zeros(3)
    copy = plain([x, x[:2]])
    x += 1
    assert copy[0].tolist() == [0, 0, 0]
    assert copy[1].tolist() == [0, 0]


def test_a_value_that_contains_itself_can_be_copied() -> None:
    endless: list[object] = []
    endless.append(endless)
    plain(endless)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (np.array([np.nan, 1.0]), np.array([np.nan, 1.0]), True),
        (np.array([0.0]), np.array([-0.0]), False),
        (np.zeros(3), np.zeros(3, np.float32), False),
        (np.zeros((1, 3)), np.zeros((3, 1)), False),
        (np.arange(6).reshape(2, 3).T, np.arange(6).reshape(2, 3).T.copy(), True),
        ({"k": [1, 2]}, {"k": [1, 2]}, True),
        ({"k": [1, 2]}, {"k": [1, 2.0]}, False),
        (float("nan"), float("nan"), True),
        ((1,), [1], False),
    ],
)
def test_identical_means_the_same_to_the_last_bit(a: object, b: object, same: bool) -> None:
    assert identical(a, b) is same


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.zeros((2, 3, 5)), "float64[2,3,5]"),
        (np.zeros((), np.float32), "float32[]"),
        (None, "None"),
        (7, "int 7"),
        ({"a": 1}, "dict of 1"),
        ((np.zeros(2), 1), "(float64[2], int 1)"),
        ("a\nb", r"str 'a\nb'"),
    ],
)
def test_a_kind_is_type_and_shape(value: object, words: str) -> None:
    assert kind(value) == words


def test_a_preview_is_short_and_shows_the_first_values() -> None:
    assert preview(np.array([1.0, 2.0])) == "[1.000, 2.000]"
    long = preview(np.arange(1000.0).reshape(10, 100))
    assert long.startswith("[[0, 1.000")
    assert long.endswith("…")
    assert len(long) < 40
    assert preview(np.zeros((0, 3))) == "(empty)"
