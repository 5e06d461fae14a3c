"""Assertions that explain themselves.

    expect(output).close_to(reference, atol=1e-6)
    expect(weights.sum(axis=-1), "the weights of each row, summed").close_to(np.ones(5))
    with expect.raises(ValueError, naming=7):
        answer(x, n_heads=7)
    expect(answer).faster_than(one_query_at_a_time, on=fresh_inputs, at_least=3)

What fails raises `WrongAnswer`, which holds what was expected and what came, both described.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from deepdive.difference import Tolerance, characterise, find, share_right
from deepdive.values import as_numpy, is_array, kind, shorten

if TYPE_CHECKING:
    from deepdive.answers import Answer


class WrongAnswer(AssertionError):
    """The answer is not what was expected.

    Args:
        expected: what was, described.
        got: what came, described.
        remark: how and where they differ.
        likely: what went wrong, when the difference itself says so.
        value: the value that was judged, to find the call that returned it.
    """

    arrays: tuple[Any, Any] | None = None  # the two that differ, the expected one first, when it is arrays that do

    def __init__(self, expected: str, got: str, remark: str = "", likely: str = "", value: Any = None) -> None:
        super().__init__(f"expected {expected}, got {got}" + (f" ({remark})" if remark else ""))
        self.expected, self.got, self.remark, self.likely, self.value = expected, got, remark, likely, value


class Undecided(Exception):
    """Neither right nor wrong: the machine was too noisy to say. Costs no points."""


class NotApplicable(Exception):
    """This machine cannot try it, for a reason that is not the answer's. Costs no points."""


class expect:  # noqa: N801 - it reads as a verb where it is used
    """A value, about to be judged. Every method returns the same object, so that they chain.

    Args:
        value: what the answer gave, or something computed from it.
        what: what the value is, when it is not simply what the answer returned.
    """

    def __init__(self, value: Any, what: str = "") -> None:
        self.value = value
        self.what = what

    def close_to(self, expected: Any, *, atol: float = 1e-6, rtol: float = 1e-6) -> Self:
        """Arrays and numbers, nested in tuples, lists and dicts or not, agree within a tolerance.

        Type, shape, dtype family (floating point, integer, boolean) and finiteness come before values.

        Args:
            expected: the right value.
            atol: absolute tolerance, in the value's units.
            rtol: tolerance relative to the expected value.
        """
        return self._agrees(expected, Tolerance(atol, rtol))

    def equals(self, expected: Any) -> Self:
        """The value is exactly this: same type, shape, dtype family and values."""
        return self._agrees(expected, Tolerance())

    def _agrees(self, expected: Any, tolerance: Tolerance) -> Self:
        difference = find(expected, self.value, tolerance)
        if difference is None:
            return self
        likely = characterise(expected, self.value, tolerance) or share_right(difference.remark)
        wrong = self._wrong(difference.expected, difference.got, difference.remark, likely, difference.where)
        wrong.arrays = difference.arrays
        raise wrong

    def has_shape(self, *shape: int) -> Self:
        """The value is an array of this shape."""
        if not is_array(self.value) or tuple(self.value.shape) != shape:
            raise self._wrong(f"shape [{','.join(map(str, shape))}]", kind(self.value), "the shape differs")
        return self

    def has_dtype(self, dtype: Any) -> Self:
        """The value is an array of exactly this NumPy dtype."""
        if not is_array(self.value) or as_numpy(self.value).dtype != np.dtype(dtype):
            raise self._wrong(f"dtype {np.dtype(dtype)}", kind(self.value), "the dtype differs")
        return self

    def is_finite(self) -> Self:
        """The value is an array of numbers without NaN and infinities."""
        if not is_array(self.value) or as_numpy(self.value).dtype.kind not in "fiub":
            raise self._wrong("numbers, all finite", kind(self.value))
        odd = ~np.isfinite(as_numpy(self.value))
        if odd.any():
            raise self._wrong(
                "numbers, all finite", kind(self.value), f"{int(odd.sum())} of {odd.size} are NaN or ±∞"
            )
        return self

    def at_least(self, least: float) -> Self:
        """The value is a number, and no smaller than this: an accuracy, say."""
        value = as_numpy(self.value) if is_array(self.value) else self.value
        if (not np.isscalar(value) and np.ndim(value) != 0) or not float(value) >= least:
            raise self._wrong(f"at least {least:g}", kind(self.value))
        return self

    def faster_than(
        self,
        baseline: Callable[..., Any],
        *,
        on: Callable[[], tuple[Any, ...]],
        at_least: float,
        calls: int = 1,
        atol: float = 1e-6,
        rtol: float = 1e-6,
    ) -> Self:
        """The answer takes at most 1 / `at_least` of the time of `baseline`, and gives what it gives.

        Args:
            baseline: the slow way to do the same, trusted to be right.
            on: makes the arguments for one call, fresh each time.
            at_least: the least speedup, as a ratio of times; put it in the gap that was measured.
            calls: how many calls are timed together. Where an answer runs in a jail, asking it takes a few tenths of
                a millisecond, and on a busy machine some milliseconds: let the baseline take 30 or more in all.

        Raises:
            WrongAnswer: it is slower than that, or fast and wrong.
            Undecided: the machine was too noisy to tell.
        """
        from deepdive.measure import SLOWER, UNDECIDED, speedup
        from deepdive.transcript import own_copies

        answer: Answer = self.value
        arguments = on()

        def reference(*arguments: Any) -> Any:  # made while nobody's clock runs, by the first call below
            return baseline(*own_copies(answer, arguments))

        expected = reference(*arguments)
        expect(answer(*arguments), self.what).close_to(expected, atol=atol, rtol=rtol)  # wrong before slow

        def compare(expected: Any, got: Any) -> None:
            expect(got, self.what).close_to(expected, atol=atol, rtol=rtol)

        measured = speedup(answer.timed, reference, lambda: [on() for _ in range(calls)], at_least, compare)
        wanted = f"at least {at_least:g}× as fast as {shorten(baseline.__name__.replace('_', ' '), 50)}"
        if measured.decision == UNDECIDED:
            raise Undecided(f"{wanted}: measured {measured}; the machine is too busy to be sure")
        if measured.decision == SLOWER:
            raise self._wrong(
                wanted, f"the right values, at {measured}", likely="Right, but slow: is there a Python loop?"
            )
        return self

    def _wrong(self, expected: str, got: str, remark: str = "", likely: str = "", where: str = "") -> WrongAnswer:
        label = " ".join(filter(None, (self.what, where)))
        return WrongAnswer(f"{label}: {expected}" if label else expected, got, remark, likely, self.value)

    @staticmethod
    @contextmanager
    def raises(error: type[BaseException], *, naming: object = None) -> Iterator[None]:
        """The block raises `error`, and its message holds `naming`, the offending value.

        A shape, `(2, 3)` for example, may be written with brackets or parentheses, and with or without spaces;
        7 is not named by 17.
        """
        wanted = f"{error.__name__}" + (f" that names {naming}" if naming is not None else "")
        try:
            yield
        except error as raised:
            if naming is not None and not names(str(raised), naming):
                message = shorten(str(raised), 60)
                raise WrongAnswer(
                    wanted,
                    f"{type(raised).__name__}: {message!r}",
                    likely=f"The message should tell the caller what was wrong: it does not say {naming}.",
                ) from None
        except NotImplementedError:
            raise
        except WrongAnswer as other:  # it returned, and not even the kind of thing it should
            raise WrongAnswer(wanted, f"no error, but {other.got}", likely=_ACCEPTED) from None
        except Exception as raised:
            got = f"{type(raised).__name__}: {shorten(str(raised), 60)}"
            advice = (
                f"Something else failed first; look for what is wrong before you use it, and raise {error.__name__}."
            )
            raise WrongAnswer(wanted, got, "another kind of error", advice) from raised
        else:
            raise WrongAnswer(wanted, "no error", likely=_ACCEPTED)


_ACCEPTED = "Input that cannot be right was accepted; the docstring's Raises says what to refuse."
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def names(message: str, value: object) -> bool:
    """Whether an error message tells this value: a text as it stands, numbers one after the other."""
    wanted = _NUMBER.findall(str(value))
    if isinstance(value, str) or not wanted:
        return str(value) in message
    found = _NUMBER.findall(message)
    return any(found[start : start + len(wanted)] == wanted for start in range(len(found)))
