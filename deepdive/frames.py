"""What of an exception's traceback is the learner's own, as text that can be shown and can cross a wire."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Frames:
    """The frames of a traceback that lie in the learner's file.

    Args:
        text: as traceback prints them.
        own: whether the innermost frame of all is one of them; otherwise a library that was called raised.
    """

    text: str
    own: bool

    @property
    def function(self) -> str:
        """The innermost of the learner's functions; empty when there is none."""
        return next(iter(re.findall(r", in (\w+)$", self.text, re.MULTILINE)[::-1]), "")

    @property
    def unimplemented(self) -> bool:
        """Whether the learner's own `raise NotImplementedError` raised it."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip(" ^~")]
        return self.own and bool(lines) and lines[-1].startswith("raise NotImplementedError")


def frames_of(error: BaseException, path: Path) -> Frames:
    """The learner's frames of an exception: those it brought along from a jail, or those in the file at `path`."""
    brought = getattr(error, "learner_frames", None)
    if isinstance(brought, Frames):
        return brought
    shown = str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
    frames = traceback.extract_tb(error.__traceback__)
    lines = traceback.StackSummary.from_list([frame for frame in frames if frame.filename == str(path)]).format()
    if len(lines) > 12:
        lines = [*lines[:4], f"  … {len(lines) - 8} more frames …\n", *lines[-4:]]
    text = "".join(lines).replace(f'"{path}"', shown).rstrip()
    return Frames(text, own=bool(frames) and frames[-1].filename == str(path))


def describe_error(error: BaseException) -> str:
    """`ValueError: the message`, with the long middle of a long message left out."""
    text = " ".join(str(error).split())
    text = text if len(text) <= 300 else f"{text[:200]} … {text[-80:]}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
