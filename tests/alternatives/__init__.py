"""Right answers that are not the solutions: the checks must pass every one of them."""

from collections.abc import Callable
from typing import Any


def alternative(*, of: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a function another right answer to an exercise.

    Args:
        of: the exercise's name. The function has its signature, and keeps its contract, errors included.
    """

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__alternative_of__ = of  # type: ignore[attr-defined]
        return function

    return declare
