"""What a gradebook says of one student: the record of the attempt that counts, and what the policy makes of it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from deepdive.verdict import Record

NOT_HANDED_IN = "not handed in"


class Student(msgspec.Struct, frozen=True):
    """Who handed something in, as far as the roster or the submission's name tells.

    Args:
        id: what tells students apart; never empty, one line, at most 200 characters.
        name: as people call them.
        email: for systems that match by it.
        login: for systems that match by it.
        section: of the course.
    """

    id: str
    name: str = ""
    email: str = ""
    login: str = ""
    section: str = ""


class Mark(msgspec.Struct, frozen=True):
    """One student's mark.

    Args:
        student: whose it is.
        submission: what was handed in, as it was called; NOT_HANDED_IN when there is nothing.
        record: every verdict, of the attempt that counts.
        raw: points earned, as the checks gave them.
        possible: points that could be earned.
        final: points after the policy, which never changes `raw`.
        policy: what the policy did and why, in words; empty when nothing.
        attempt: which of the student's attempts counts, from 1; 0 when there is none.
        attempts: how many there were.
        submitted: when it was handed in, if that is known.
        refused: what of it was not taken, and why.
        tier: the jail it ran in.
    """

    student: Student
    submission: str
    record: Record
    raw: float
    possible: float
    final: float
    policy: str = ""
    attempt: int = 1
    attempts: int = 1
    submitted: datetime | None = None
    refused: tuple[str, ...] = ()
    tier: str = ""

    @property
    def handed_in(self) -> bool:
        """Whether there is anything to speak of: who is on the roster has a mark in any case."""
        return self.attempts > 0
