"""A mistake is named when it alone gives exactly the wrong answer, and never otherwise."""

import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepdive import diagnose
from deepdive.answers import Answer, Call
from deepdive.course import Course, load_course
from deepdive.diagnose import Mistake, mistake, name_mistake, right_answer
from tests.conftest import write_course


def right(x: np.ndarray) -> np.ndarray:
    return 2 * x


def squared(x: np.ndarray) -> np.ndarray:
    return x**2


def cubed_plus(x: np.ndarray) -> np.ndarray:
    return x**3 - 3 * x**2 + 4 * x  # the same as x² at 0, 2 and 2 only


def raises(x: np.ndarray) -> np.ndarray:
    raise TypeError("no arrays today")


def raises_too(x: np.ndarray) -> np.ndarray:
    raise TypeError("nor tomorrow")


Name = Callable[..., str | None]


@pytest.fixture
def name(small_course: Course, monkeypatch: pytest.MonkeyPatch) -> Name:
    """The name of the mistake among `known` that `function` makes when it is called with these arrays."""

    def call(function: Callable[..., Any], known: list[Callable[..., Any]], *arrays: Any) -> str | None:
        exercise = small_course.exercise("double")
        mistakes = [Mistake("double", f.__name__, f"It did {f.__name__}.", f) for f in known]
        monkeypatch.setattr(diagnose, "known_mistakes", lambda *_: mistakes)
        monkeypatch.setattr(diagnose, "right_answer", lambda *_: right)
        answer = Answer(exercise, function)
        for array in arrays:
            try:
                answer(np.asarray(array))
            except Exception:
                break
        found = name_mistake(small_course, answer)
        return found.name if found else None

    return call


X = [1.0, 3.0, -2.0]


def test_the_mistake_that_gives_the_same_answer_is_named(name: Name) -> None:
    assert name(lambda x: x * x, [cubed_plus, squared], X) == "squared"


def test_an_answer_no_mistake_gives_is_not_named(name: Name) -> None:
    assert name(lambda x: x + 1, [squared, cubed_plus], X) is None


def test_a_right_answer_is_never_named(name: Name) -> None:
    assert name(lambda x: x + x, [squared, right], X) is None


def test_two_mistakes_that_agree_are_a_tie_and_neither_is_named(name: Name) -> None:
    assert name(squared, [squared, cubed_plus], [2.0, 2.0, 0.0, 1.0, 2.0]) == "squared"
    assert name(squared, [squared, lambda x: x**2], X) is None


def test_a_mistake_must_agree_on_every_call(name: Name) -> None:
    calls = iter([squared, right])
    assert name(lambda x: next(calls)(x), [squared], X, X) is None
    assert name(squared, [squared], X, [5.0, 6.0]) == "squared"


def test_calls_that_happen_to_be_right_do_not_hide_the_mistake(name: Name) -> None:
    assert name(squared, [squared], [0.0, 2.0], X) == "squared"


def test_a_mistake_that_raises_is_known_by_its_exception(name: Name) -> None:
    assert name(raises, [raises, squared], X) == "raises"
    assert name(raises, [raises, raises_too], X) == "raises"

    def raises_otherwise(x: np.ndarray) -> np.ndarray:
        raise KeyError("x")

    assert name(raises_otherwise, [raises], X) is None
    assert name(raises, [raises_too], X) is None


def test_where_the_right_answer_raises_too_the_words_of_the_message_are_free(name: Name) -> None:
    def refuses(message: str, wrong: Callable[..., Any]) -> Callable[..., Any]:
        def function(x: np.ndarray) -> Any:
            if x.size == 0:
                raise ValueError(message)
            return wrong(x)

        function.__name__ = "refuses"
        return function

    first = refuses("nothing there", squared)
    assert name(first, [refuses("empty", squared)], X) == "refuses"


def test_rounding_hides_nothing_and_dtype_matters(name: Name) -> None:
    x = np.array(X, dtype=np.float32)
    assert name(lambda x: np.exp(2 * np.log(np.abs(x))).astype(np.float32), [squared], x) == "squared"
    assert name(lambda x: (x * x).astype(np.float64), [squared], x) is None


def test_an_answer_that_changes_its_input_is_no_mistake_that_does_not(name: Name) -> None:
    def in_place(x: np.ndarray) -> np.ndarray:
        x *= x
        return x

    assert name(in_place, [squared], X) is None
    assert name(in_place, [squared, in_place], X) == "in_place"


def test_the_mistakes_get_copies_of_the_very_inputs(name: Name) -> None:
    seen: list[list[float]] = []

    def spoils(x: np.ndarray) -> np.ndarray:
        seen.append(x.tolist())
        x[:] = 0
        return x

    assert name(squared, [spoils, squared], X) == "squared"
    assert seen == [X]


def test_diagnosis_gives_up_in_time_even_on_a_mistake_that_hangs(
    small_course: Course, name: Name, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(x: np.ndarray) -> np.ndarray:
        while True:
            pass

    monkeypatch.setattr(diagnose, "MAX_SECONDS", 0.8)
    began = time.monotonic()
    assert name(squared, [hangs, squared], X) is None
    assert time.monotonic() - began < 5  # generous: the machine may be busy; without a cap it would never end


def test_a_mistake_without_a_sentence_is_refused() -> None:
    with pytest.raises(ValueError, match="no docstring"):
        mistake(of="double")(lambda x: x)


def test_calls_that_timed_out_are_not_compared(small_course: Course) -> None:
    from deepdive.limits import TimeIsUp

    answer = Answer(small_course.exercise("double"), squared)
    answer.events.append(Call((np.array(X),), {}, raised=TimeIsUp()))
    assert name_mistake(small_course, answer) is None


def test_mistakes_are_found_in_the_course(small_course: Course, run: Callable[..., Any]) -> None:
    program = textwrap.dedent(
        """
        from pathlib import Path
        from deepdive.course import load_course
        from deepdive.diagnose import known_mistakes
        course = load_course(Path("."))
        print([m.name for m in known_mistakes(course, course.exercise("double"))])
        """
    )
    import subprocess
    import sys

    result = subprocess.run([sys.executable, "-c", program], cwd=small_course.root, capture_output=True, text=True)
    assert result.stdout == "['squared', 'tripled']\n", result.stderr


def test_courses_read_one_after_the_other_keep_their_own_modules(small_course: Course, tmp_path: Path) -> None:
    other = load_course(write_course(tmp_path / "other"))
    solution = other.root / "solutions" / "hour1_small.py"
    solution.write_text(
        solution.read_text(encoding="utf-8").replace("return 2 * x", "return 20 * x"), encoding="utf-8"
    )
    found = [right_answer(course, course.exercise("double"))(1.0) for course in (small_course, other, small_course)]
    assert found == [2.0, 20.0, 2.0]
