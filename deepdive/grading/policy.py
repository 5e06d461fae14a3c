"""Which attempt counts, and what lateness costs: applied to scores when they are read, and kept nowhere.

attempt = "best"                        # or "last", "first"
deadline = 2026-11-30T23:59:00+01:00    # leave it out and nobody is late
grace_minutes = 15
penalty_per_day = 0.1                   # of the points earned, for every day begun
lowest = 0.5                            # the share that is left however late it was
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

import msgspec

_DAY = timedelta(days=1)
_MOST_MINUTES = 366 * 24 * 60


class Attempt(StrEnum):
    """Which of a student's submissions counts."""

    BEST = "best"
    LAST = "last"
    FIRST = "first"


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done with raw scores.

    Args:
        attempt: the one that counts; the best is the one with the best score after the penalty.
        deadline: with its time zone, UTC if it has none.
        grace_minutes: after the deadline that cost nothing.
        penalty_per_day: share of the points earned that is lost with every day begun.
        lowest: share that is left, however late.
    """

    attempt: Attempt = Attempt.BEST
    deadline: datetime | None = None
    grace_minutes: float = 0
    penalty_per_day: float = 0
    lowest: float = 0

    def __post_init__(self) -> None:
        for name in ("penalty_per_day", "lowest"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, which is no share between 0 and 1")
        if not 0 <= self.grace_minutes <= _MOST_MINUTES:
            raise ValueError(f"grace_minutes is {self.grace_minutes}, which is no number of minutes within a year")

    def days_late(self, submitted: datetime | None, *, called_late: bool) -> int:
        """Days begun after the deadline; 1 for what a course system called late without saying when it came."""
        if self.deadline is None or submitted is None:
            return int(called_late)
        deadline = self.deadline if self.deadline.tzinfo else self.deadline.replace(tzinfo=UTC)
        late = submitted - deadline - timedelta(minutes=self.grace_minutes)
        return max(0, math.ceil(late / _DAY))

    def apply(self, raw: float, days: int) -> tuple[float, str]:
        """The score that counts, and in words why it is another; no words when it is not."""
        left = max(self.lowest, 1 - self.penalty_per_day * days) if days else 1.0
        if left == 1:
            return raw, ""
        lost = f"{100 * (1 - left):g} %"
        return round(raw * left, 4), f"{days} {'day' if days == 1 else 'days'} late: −{lost}"

    def choose(self, finals: Sequence[float]) -> int:
        """Which attempt counts, of scores in the order in which they were handed in; of equal ones, the first."""
        if self.attempt is Attempt.LAST:
            return len(finals) - 1
        return 0 if self.attempt is Attempt.FIRST else max(range(len(finals)), key=lambda i: (finals[i], -i))


def read_policy(path: Path) -> Policy:
    """Read a policy.

    Raises:
        ValueError: it is no TOML, or says something that no policy can; the message says what.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Policy)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
        raise ValueError(f"{path.name}: {error}") from error
