"""What passed between a check and an answer, and the same once more with another function in the answer's place.

A check's calls of the answer, and of functions of `checks/given/`, are recorded in order. Plain values are recorded
as copies. Objects, a model or a Dataset, are only known by their identity: when a record is replayed, the functions
that made them make new ones, and these take the others' places wherever the check passed them on. So a known mistake
meets exactly what the learner's function met, and never an object that the learner's function has held.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from deepdive.answers import Answer, Call, hands_the_answer, is_safe_to_repeat
from deepdive.values import identical, is_leaf, plain


class CannotReplay(Exception):
    """The check passed on an object that came neither from the answer nor from a function of `checks/given/`."""


class Replay:
    """One pass through a record.

    Args:
        function: what takes the answer's place; None when only the functions of `checks/given/` are to run.
        jailed: whether the record is of an answer in a jail, whose files nobody here must load.
    """

    def __init__(self, function: Callable[..., Any] | None, *, jailed: bool = False) -> None:
        self._function = function
        self._jailed = jailed
        self._objects: dict[int, Any] = {}  # by the identity of the object that the check saw
        self._paths: dict[str, str] = {}  # of files: theirs, ours

    def run(self, event: Call) -> Call:
        """Do once more what a record says was done; gives what came of it, in terms of the record.

        An object that came back in the place of an object is the recorded one, so that the two compare as equal:
        what is in them, only functions of `checks/given/` can say.

        Raises:
            CannotReplay: an argument is an object that nobody made, or a file that the answer made.
        """
        if self._jailed and not is_safe_to_repeat(event):
            raise CannotReplay(f"{getattr(event.by, '__name__', '')} was handed files that the answer made")
        function = self._function if event.by is None else event.by
        assert function is not None
        before = self.ours(event.args), self.ours(event.kwargs)
        args, kwargs = plain(before)
        again = Call(event.args, event.kwargs, by=event.by)
        try:
            returned = plain(function(*args, **kwargs))
        except Exception as error:
            again.raised = error
        else:
            again.returned = self._theirs(event.returned, returned, made_here=event.by is not None)
        if event.by is None:
            positions = zip(before[0], args, strict=True)
            again.changed = [str(index) for index, (was, now) in enumerate(positions) if not identical(was, now)]
        return again

    def ours(self, value: Any) -> Any:
        """Arguments with this replay's own objects and files in place of the recorded ones."""
        if isinstance(value, Answer):
            return self._function
        if isinstance(value, str):
            return self._renamed(value, self._paths.items())
        if isinstance(value, list | tuple):
            return type(value)(self.ours(item) for item in value)
        if isinstance(value, dict):
            return {key: self.ours(item) for key, item in value.items()}
        if is_leaf(value):
            return value
        if id(value) not in self._objects:
            raise CannotReplay(f"a {type(value).__name__}")
        return self._objects[id(value)]

    def _theirs(self, seen: Any, now: Any, *, made_here: bool) -> Any:
        """What came back now, with the recorded objects and files in place of this replay's own."""
        if isinstance(now, str):
            if made_here and isinstance(seen, str) and os.path.isabs(seen) and os.path.isabs(now):
                self._paths[seen] = now
            return self._renamed(now, ((ours, theirs) for theirs, ours in self._paths.items()))
        if isinstance(now, list | tuple):
            others = seen if isinstance(seen, list | tuple) and len(seen) == len(now) else [None] * len(now)
            pairs = zip(others, now, strict=True)
            return type(now)(self._theirs(other, item, made_here=made_here) for other, item in pairs)
        if isinstance(now, dict):
            other = seen if isinstance(seen, dict) else {}
            return {k: self._theirs(other.get(k), item, made_here=made_here) for k, item in now.items()}
        if not is_leaf(seen) and not isinstance(seen, list | tuple | dict):
            self._objects[id(seen)] = now
            return now if is_leaf(now) else seen
        return now

    @staticmethod
    def _renamed(text: str, names: Iterable[tuple[str, str]]) -> str:
        for old, new in names:
            if text == old or text.startswith(old + os.sep):
                return new + text[len(old) :]
        return text


def own_copies(answer: Answer, value: Any) -> Any:
    """`value` with every object in it replaced by one made here, by the function of `checks/given/` that made it.

    What is plain is not copied.

    Raises:
        CannotReplay: an object in it was made by nobody but the answer.
    """
    copies = answer.copies if isinstance(answer.copies, Replay) else Replay(None, jailed=answer.jailed)
    made, answer.copied = answer.events[answer.copied :], len(answer.events)
    for event in made:
        if event.by is not None and event.raised is None and not hands_the_answer(event):
            with suppress(CannotReplay):  # it looked at what the answer had made
                copies.run(event)
    answer.copies = copies
    return copies.ours(value)
