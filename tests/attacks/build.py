"""Submissions made from the solutions of hour 1, so that what is not attacked keeps its marks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import dedent, indent

ROOT = Path(__file__).parents[2]
FILE = "hour1_attention.py"
SOLUTION = (ROOT / "solutions" / FILE).read_text(encoding="utf-8")
EXERCISES = re.findall(r"^def (\w+)\(", SOLUTION, re.MULTILINE)
MARK = "left-by-an-attack"  # in the name of whatever an attack leaves behind
WRONG = "return np.zeros(np.shape(x))"
_BEGIN, _END = "    ### BEGIN SOLUTION\n", "    ### END SOLUTION\n"


@dataclass(frozen=True)
class Attack:
    """A submission, and what it deserves.

    Args:
        name: of the test.
        row: in the table of threats; 0 for the honest ones that look odd.
        make: writes the submission into an empty folder; gives the path to grade if it is another one.
        worth: the exercises that deserve their points.
        attacked: the exercise that must not pass.
        states: what that exercise may end as; empty where more than one thing may happen.
        may_lose: the attack may break its own right answers: their points are no matter.
        group: graded together with others of the group, in one run.
        fast: in the default run of the tests.
        followed: by an honest submission that looks whether anything was left behind.
        shows: what the record, or what was printed, must hold.
    """

    name: str
    row: int
    make: Callable[[Path], Path | None]
    worth: frozenset[str]
    attacked: str = "softmax"
    states: tuple[str, ...] = ()
    may_lose: bool = False
    group: str = "slow"
    fast: bool = False
    followed: bool = False
    shows: str = ""


@cache
def solution_of(name: str) -> str:
    """The lines of a solution's body, without its indentation."""
    start = SOLUTION.index(_BEGIN, SOLUTION.index(f"\ndef {name}(")) + len(_BEGIN)
    return dedent(SOLUTION[start : SOLUTION.index(_END, start)])


def replaced(name: str, body: str, top: str = "", end: str = "") -> str:
    """Right answers to all but one exercise, whose body is this; the others use a right one of their own.

    Args:
        name: the exercise.
        body: its lines.
        top: lines before the first function.
        end: lines after the last.
    """
    at = SOLUTION.index(f"\ndef {name}(")
    start = SOLUTION.index(_BEGIN, at)
    stop = SOLUTION.index(_END, start) + len(_END)
    calls = re.compile(rf"\b(?<!def ){name}\(")
    before, after = (calls.sub(f"_right_{name}(", part) for part in (SOLUTION[:at], SOLUTION[stop:]))
    signature = re.sub(rf"def {name}\(", f"def _right_{name}(", SOLUTION[at : SOLUTION.index('    """', at)])
    own = signature + indent(solution_of(name), "    ")
    text = before + SOLUTION[at:start] + indent(dedent(body).strip("\n"), "    ") + "\n" + after + "\n" + own
    return text.replace("\nimport numpy as np\n", f"\nimport numpy as np\n{dedent(top)}\n", 1) + dedent(end)


def file_of(source: str | bytes, name: str = FILE) -> Callable[[Path], None]:
    """Writes one file of answers."""

    def make(folder: Path) -> None:
        content = source if isinstance(source, bytes) else source.encode("utf-8", "surrogatepass")
        (folder / name).write_bytes(content)

    return make


ALL = frozenset(EXERCISES)
NONE: frozenset[str] = frozenset()

# An honest submission that first looks whether those before it have left anything. It keeps its marks if not.
LOOKS_AROUND = f"""
import builtins, os, socket, sys
_found = [name for place in ("/tmp", "/dev/shm") for name in os.listdir(place) if "{MARK}" in name]
_found += [name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
_found += [name for name in os.environ if "{MARK}" in name]
_found += [name for name in sys.modules if "{MARK}" in name]
_found += [name for name in ("len", "sum", "isinstance", "ValueError") if "{MARK}" in str(getattr(builtins, name))]
if hasattr(np, "left_by_an_attack") or hasattr(builtins, "left_by_an_attack"):
    _found.append("a patched module")
with socket.socket(socket.AF_UNIX) as _socket:
    if _socket.connect_ex("\\0{MARK}") == 0:
        _found.append("an abstract socket")
if _found:
    raise RuntimeError(f"something was left here: {{_found}}")
"""


def honest() -> str:
    return SOLUTION.replace("\nimport numpy as np\n", f"\nimport numpy as np\n{LOOKS_AROUND}\n", 1)
