"""A grading run: one jail, submission after submission, and for each the board that its author would see."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from deepdive.answer_files import AnswerFiles
from deepdive.assets import AssetError, describe, shown, use_offline
from deepdive.course import Course
from deepdive.diagnose import unheard
from deepdive.grading.intake import take
from deepdive.grading.run import grade
from deepdive.jail.bwrap import Room
from deepdive.jail.zygote import Cold, Unsafe, Zygote, choose_tier
from deepdive.report.block import blocks
from deepdive.report.board import board_of
from deepdive.report.terminal import say
from deepdive.scratch import scratch, temporary_files_in
from deepdive.verdict import record_of, write_record

_TIERS: dict[str, type[Zygote] | type[Cold]] = {"zygote": Zygote, "cold": Cold}
BARE = ("numpy", "scipy.special")
LIGHT = (*BARE, "torch")  # what hour 1 may use
HEAVY = (*LIGHT, "transformers", "datasets")  # the first for one exercise of hour 2: 3 s for each submission
# Docstrings name torch, too. Whoever imports it in another way than this only waits for it. Every part has a bound,
# for whoever wrote the file may want this to take long.
_IMPORTS_TORCH = re.compile(rb"(?m)(?:^|[;:])[ \t]{0,200}(?:import|from)\b[^\n#;]{0,200}\b(?:torch|transformers)\b")


def imports_for(hours: set[int], sources: Iterable[bytes] | None) -> tuple[str, ...]:
    """What a jail imports once, so that no file waits for it.

    Most files of hour 1 import no torch: without it a jail is there a second sooner, and a job takes less.

    Args:
        hours: whose files will be judged.
        sources: the files' bytes; None when they are not known yet.
    """
    if max(hours) > 1:
        return HEAVY
    return BARE if sources is not None and not any(map(_IMPORTS_TORCH.search, sources)) else LIGHT


def open_jail(hours: set[int], *, unsafe: bool, sources: Iterable[bytes] | None = None) -> Zygote | Cold:
    """The best jail that this machine allows, with what these hours import already imported.

    Args:
        hours: whose files will be judged.
        unsafe: none at all.
        sources: the files' bytes, if they are known.

    Raises:
        RuntimeError: it allows none, and nobody said `--unsafe-no-jail`, or the assets are not to be had; the message
            says what to change.
    """
    try:
        folders, variables = shown()
    except AssetError as error:
        raise RuntimeError(str(error)) from error
    room = Room(imports=imports_for(hours, sources), show=folders, variables=variables)
    if unsafe:
        return Unsafe(room)
    choice = choose_tier()
    if choice.tier is None:
        words = "; ".join((*choice.reasons, *choice.changes))
        raise RuntimeError(f"no jail is to be had here: {words}. `deepdive doctor` says more.")
    return _TIERS[choice.tier](room)


def grade_all(
    course: Course, places: list[Path], hours: set[int], seed: int, records: Path | None, *, unsafe: bool
) -> None:
    """Grade every submission and print its blocks and its board.

    Args:
        course: the course.
        places: the submissions' folders or files.
        hours: the hours to grade.
        seed: of the checks' random inputs, the same for all.
        records: a folder for one JSON file a submission; none are written when None.
        unsafe: use no jail.

    Raises:
        RuntimeError: there is no jail to be had.
    """
    try:
        use_offline()
    except AssetError as error:
        raise RuntimeError(str(error)) from error
    width = shutil.get_terminal_size().columns
    written: set[str] = set()
    with scratch() as folder, temporary_files_in(folder), open_jail(hours, unsafe=unsafe) as jail:
        say(f"jail: {jail.tier} · seed {seed}")
        for place in places:
            submission = take(place, course)
            with unheard():  # what the checks' own code prints, progress bars say
                verdicts = grade(course, submission, jail, seed=seed, hours=hours)
            say(f"\n{submission.name}")
            for reason in submission.refused:
                say(f"refused  {reason}")
            for text in blocks(course, verdicts, width):
                say(f"\n{text}")
            board = board_of(course, verdicts, AnswerFiles(course, Path("submission")), "")
            say("\n" + board.text(width, brief=False))
            if records is not None:
                record = record_of(course, verdicts, submission.name, seed, describe())
                write_record(record, records / f"{_record_name(place, written)}.json")


def _record_name(place: Path, written: set[str]) -> str:
    """The name of a submission's record: the last part of its path, with as many before it as tell it from others."""
    parts = [*place.resolve().parts[1:-1], place.resolve().name.removesuffix(".py")]
    names = ("-".join(parts[-count:]) for count in range(1, len(parts) + 1))
    name = next((name for name in names if name not in written), f"{parts[-1]}-{len(written)}")
    written.add(name)
    return name
