"""A class of any size, as a folder of submissions of hour 1: right, wrong, hostile, odd, empty and copied ones.

    python benchmarks/classes.py 200 /tmp/class --hostile 40

Who is what is written beside it, in `/tmp/class-who.csv`; the same size and seed give the same class.
"""

from __future__ import annotations

import argparse
import ast
import csv
import random
import sys
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from deepdive.course import Course, load_course
from deepdive.proof import Kind, known_answers
from deepdive.reach import Reach
from tests.attacks.build import FILE, ROOT, SOLUTION, file_of
from tests.attacks.odd import ODD
from tests.attacks.table import ATTACKS

Make = Callable[[Path], Path | None]


def members(course: Course, size: int, hostile: int, seed: int) -> Iterator[tuple[str, Make]]:
    """What each member of a class is, and what writes their submission into a folder of its own."""
    dice = random.Random(seed)
    kinds = cycle((rights(), stubs(), mistakes(course, dice), odd_ones(dice), copies()))
    honest = [next(kind) for kind in islice(kinds, size - hostile)]
    attacks = [
        (f"hostile {each.name}", each.make) for each in islice(cycle(dice.sample(ATTACKS, len(ATTACKS))), hostile)
    ]
    everybody = [*honest, *attacks]
    dice.shuffle(everybody)
    yield from everybody


def rights() -> Iterator[tuple[str, Make]]:
    number = 0
    while True:
        number += 1
        yield "right", file_of(f"{SOLUTION}\n# {number}\n")


def copies() -> Iterator[tuple[str, Make]]:
    while True:
        yield "copy", file_of(SOLUTION)


def stubs() -> Iterator[tuple[str, Make]]:
    empty = (ROOT / "exercises" / FILE).read_text(encoding="utf-8")
    number = 0
    while True:
        number += 1
        yield "stub", file_of(f"{empty}\n# {number}\n")


def odd_ones(dice: random.Random) -> Iterator[tuple[str, Make]]:
    while True:
        for each in dice.sample(ODD, len(ODD)):
            yield f"odd {each.name}", each.make


def mistakes(course: Course, dice: random.Random) -> Iterator[tuple[str, Make]]:
    """Right answers to all but one exercise, to which a known wrong one is given."""
    known = [
        each
        for exercise in course.hour(1).exercises
        for each in known_answers(course, exercise)
        if each.kind is Kind.MISTAKE
    ]
    while True:
        for each in dice.sample(known, len(known)):
            wrong = each.function.__name__
            yield f"mistake {each.exercise.name}.{each.name}", file_of(_answering(each.exercise.name, wrong))


def _answering(exercise: str, wrong: str) -> str:
    """All solutions, and after them a known mistake in the place of one; mistakes call the right ones `right`."""
    tree = ast.parse((ROOT / "checks" / "mistakes" / FILE).read_text(encoding="utf-8"))
    parts = []
    for node in Reach(tree).reached(wrong):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ("deepdive", "solutions"):
            continue
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
        parts.append(ast.unparse(node))
    beside = "\n\n\n".join(parts)
    right = "from types import SimpleNamespace\n\nright = SimpleNamespace(**globals())"
    instead = f"def {exercise}(*told, **named):\n    return {wrong}(*told, **named)\n"
    return f"{SOLUTION}\n\n{right}\n\n{beside}\n\n\n{instead}"


def write(folder: Path, size: int, hostile: int, seed: int) -> None:
    folder.mkdir(parents=True)
    width = len(str(size - 1))
    with (folder.parent / f"{folder.name}-who.csv").open("w", newline="") as file:
        who = csv.writer(file)
        who.writerow(("id", "what"))
        for number, (what, make) in enumerate(members(load_course(ROOT), size, hostile, seed)):
            place = folder / f"s{number:0{width}}"
            place.mkdir()
            make(place)
            who.writerow((place.name, what))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hostile", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    write(told.folder, told.size, told.hostile, told.seed)
