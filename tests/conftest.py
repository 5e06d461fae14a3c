"""A course small enough to read at a glance, for tests of the engine that need one."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deepdive.course import Course, load_course
from deepdive.threads import use_one_thread

ROOT = Path(__file__).parent.parent
use_one_thread()  # as under the plugin, before torch is imported

SOLUTION = '''"""Hour 1 · Small things

The plan.
"""

import numpy as np


def double(x: np.ndarray) -> np.ndarray:
    """Twice every value.

    Returns:
        An array like `x`.
    """
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


def halves(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first and the second half."""
    ### BEGIN SOLUTION
    if len(x) % 2:
        raise ValueError(f"an odd number of values cannot be halved: {len(x)}")
    return x[: len(x) // 2], x[len(x) // 2 :]
    ### END SOLUTION


def quadruple(x: np.ndarray) -> np.ndarray:
    """Four times every value."""
    ### BEGIN SOLUTION
    return double(double(x))
    ### END SOLUTION
'''

CHECKS = """import numpy as np

from deepdive.expect import expect
from deepdive.pytest_plugin import exercise


@exercise("double", points=2, minutes=3)
def test_doubles_every_value(answer, rng):
    x = rng.normal(size=(2, 3))
    expect(answer(x)).close_to(x + x)


@exercise("double")
def test_doubles_whole_numbers(answer):
    expect(answer(np.array([1, 2, 5]))).equals(np.array([2, 4, 10]))


@exercise("halves", points=1, minutes=4)
def test_splits_in_the_middle(answer):
    first, second = answer(np.arange(6.0))
    expect(first).close_to(np.array([0.0, 1.0, 2.0]))
    expect(second).close_to(np.array([3.0, 4.0, 5.0]))


@exercise("halves")
def test_refuses_an_odd_number(answer):
    with expect.raises(ValueError, naming=5):
        answer(np.arange(5.0))


@exercise("quadruple", points=1, minutes=2, stretch=True)
def test_quadruples(answer):
    expect(answer(np.array([1.0, 2.0, 5.0]))).close_to(np.array([4.0, 8.0, 20.0]))
"""

MISTAKES = '''import numpy as np

from deepdive.diagnose import mistake


@mistake(of="double")
def squared(x):
    """The values were squared instead of doubled."""
    return x**2


@mistake(of="double")
def tripled(x):
    """The values were added up once too often."""
    return 3 * x


@mistake(of="halves")
def swapped(x):
    """The halves are swapped."""
    if len(x) % 2:
        raise ValueError(f"an odd number of values cannot be halved: {len(x)}")
    return x[len(x) // 2 :], x[: len(x) // 2]
'''

HINTS = """# Hour 1

## double

1. What is x + x?
2. Arrays multiply by numbers.
3. `2 * x`
"""


def write_course(root: Path) -> Path:
    """Write the small course below `root`, stubs not included."""
    files = {
        "solutions/hour1_small.py": SOLUTION,
        "checks/test_hour1_small.py": CHECKS,
        "checks/mistakes/hour1_small.py": MISTAKES,
        "checks/hints/hour1_small.md": HINTS,
        "conftest.py": (ROOT / "conftest.py").read_text(encoding="utf-8"),
        "pyproject.toml": (ROOT / "pyproject.toml").read_text(encoding="utf-8"),
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def small_course(tmp_path: Path) -> Course:
    """The small course: `double`, `halves`, and `quadruple` which calls `double`."""
    return load_course(write_course(tmp_path))


Run = Callable[..., subprocess.CompletedProcess[str]]
Answers = Callable[[str], None]


@pytest.fixture
def run(small_course: Course) -> Run:
    """Run a command of the kit in the small course's folder: `run("pytest", "-q")`, `run("deepdive", "build")`."""

    def call(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        modules = {"pytest": "pytest", "deepdive": "deepdive"}
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COLUMNS", "NO_COLOR", "FORCE_"))}
        return subprocess.run(
            [sys.executable, "-m", modules[command[0]], *command[1:]],
            cwd=small_course.root,
            env={**kept, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **environment},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )

    return call


@pytest.fixture
def answers(small_course: Course) -> Answers:
    """Write the learner's file of the small course."""

    def write(text: str) -> None:
        folder = small_course.root / "exercises"
        folder.mkdir(exist_ok=True)
        (folder / "hour1_small.py").write_text(text, encoding="utf-8")

    return write
