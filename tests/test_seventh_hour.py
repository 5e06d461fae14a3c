"""`docs/authoring.md`, tried: a seventh hour of four files, and everything the kit does works on it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deepdive.course import load_course
from deepdive.verdict import read_record
from tests.conftest import ROOT
from tests.test_grading import needs_jail

TOPIC = "hour7_counting"
FILES = {
    f"solutions/{TOPIC}.py": '''"""Hour 7 · Counting words

**Goal:** know what counting alone can say about a text.

- **0–15 min.** Write `word_counts`, then `top_words`.
"""

from collections import Counter


def word_counts(text: str) -> dict[str, int]:
    """Count the words of a text, capitals and small letters alike.

    Args:
        text: words with white space between them.

    Returns:
        How often each word occurs, in lower case, in the order of the text.

    Raises:
        ValueError: no word in it; the message shows the text.
    """
    ### BEGIN SOLUTION
    words = text.lower().split()
    if not words:
        raise ValueError(f"there is no word in {text!r}")
    return dict(Counter(words))
    ### END SOLUTION


def top_words(text: str, n: int = 3) -> list[str]:
    """The words that occur most often, the most frequent first; of equals the one that comes first in the text."""
    ### BEGIN SOLUTION
    counts = word_counts(text)
    return sorted(counts, key=counts.__getitem__, reverse=True)[:n]
    ### END SOLUTION
''',
    f"checks/test_{TOPIC}.py": '''"""Checks of hour 7."""

from deepdive.expect import expect
from deepdive.pytest_plugin import exercise

TEXT = "the cat and THE dog and the end"


@exercise("word_counts", points=2, minutes=5)
def test_counts_capitals_and_small_letters_alike(answer):
    expect(answer(TEXT)).equals({"the": 3, "cat": 1, "and": 2, "dog": 1, "end": 1})


@exercise("word_counts")
def test_refuses_a_text_without_words(answer):
    with expect.raises(ValueError, naming="' '"):
        answer(" ")


@exercise("top_words", points=1, minutes=3)
def test_the_most_frequent_come_first(answer):
    expect(answer(TEXT)).equals(["the", "and", "cat"])
    expect(answer(TEXT, 1)).equals(["the"])
''',
    f"checks/mistakes/{TOPIC}.py": '''"""What people write in hour 7 that is wrong."""

from collections import Counter

from deepdive.diagnose import mistake
from solutions import hour7_counting as right


@mistake(of="word_counts")
def kept_the_capitals(text):
    """Capitals make other words: bring the text into lower case first."""
    right.word_counts(text)
    return dict(Counter(text.split()))


@mistake(of="word_counts")
def counted_letters(text):
    """Letters were counted, not words: the text has to be split."""
    right.word_counts(text)
    return dict(Counter(text.lower()))


@mistake(of="top_words")
def rarest_first(text, n=3):
    """The rarest words come first."""
    counts = right.word_counts(text)
    return sorted(counts, key=counts.__getitem__)[:n]


@mistake(of="top_words")
def ignored_n(text, n=3):
    """The words are not cut to the n most frequent."""
    return right.top_words(text, len(text))
''',
    f"checks/hints/{TOPIC}.md": """# Hour 7

## word_counts

1. What tells one word from the next?
2. `str.split()` without arguments takes any white space.
3. `Counter(text.lower().split())`

## top_words

1. What is `sorted` to sort by?
2. `sorted` keeps the order of equals.
3. `sorted(counts, key=counts.__getitem__, reverse=True)[:n]`
""",
    f"tests/alternatives/{TOPIC}.py": '''"""Other right answers of hour 7."""

from tests.alternatives import alternative

from solutions import hour7_counting as right


@alternative(of="word_counts")
def by_hand(text):
    words = text.lower().split()
    if not words:
        raise ValueError(repr(text))
    counts = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return counts


@alternative(of="top_words")
def by_most_common(text, n=3):
    from collections import Counter

    return [word for word, _ in Counter(right.word_counts(text)).most_common(n)]
''',
}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course with a seventh hour, and its stubs built."""
    root = tmp_path_factory.mktemp("course")
    for part in ("solutions", "checks", "conftest.py", "pyproject.toml"):
        (shutil.copytree if (ROOT / part).is_dir() else shutil.copy)(ROOT / part, root / part)
    (root / "tests" / "alternatives").mkdir(parents=True)
    (root / "tests" / "__init__.py").touch()
    shutil.copy(ROOT / "tests" / "alternatives" / "__init__.py", root / "tests" / "alternatives")
    for name, text in FILES.items():
        (root / name).write_text(text, encoding="utf-8")
    assert "hour7_counting.py: written" in run(root, "deepdive", "build").stdout
    return root


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{ROOT}", "NO_COLOR": "1", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def answer(course: Path, *changes: tuple[str, str]) -> Path:
    """Write the learner's file: the solution, with something replaced."""
    text = FILES[f"solutions/{TOPIC}.py"]
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = course / "exercises" / f"{TOPIC}.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_its_stub_holds_no_answer_and_its_exercises_stand_on_the_board(course: Path) -> None:
    stub = (course / "exercises" / f"{TOPIC}.py").read_text()
    assert stub.count("raise NotImplementedError") == 2
    assert "Counter(" not in stub
    result = run(course, "pytest", "--hour", "7")
    assert "7  Counting words" in result.stdout
    assert "3 todo" in result.stdout
    assert "word_counts" in run(course, "deepdive", "plan", "7").stdout


def test_the_proof_holds(course: Path) -> None:
    result = run(course, "deepdive", "proof", "--hour", "7")
    assert result.returncode == 0, result.stderr
    assert "| all 2 | 3 | 4 of 4 | 4 of 4 | 4 of 4 | 0 |" in result.stdout


def test_a_mistake_is_named_and_the_right_answer_passes(course: Path) -> None:
    answer(course, ("text.lower().split()", "list(text.lower())"))
    result = run(course, "pytest", "--hour", "7")
    assert result.returncode == 1
    assert "Letters were counted, not words" in result.stdout
    assert "It calls your word_counts, which is not right yet" in " ".join(result.stdout.split())  # of top_words
    answer(course)
    assert "3 passed" in run(course, "pytest", "--hour", "7").stdout


def test_hints_and_the_notebook_are_there(course: Path) -> None:
    assert "What tells one word from the next?" in run(course, "deepdive", "hint", "word_counts").stdout
    assert "hour7_counting.ipynb: written" in run(course, "deepdive", "notebook", "build").stdout
    program = (
        "from deepdive.bench.magics import checked; "
        "print(checked('top_words', {'top_words': lambda text, n=3: []}).lines)"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=course, capture_output=True, text=True, timeout=60)
    assert found.stdout.startswith("✗ top_words · the most frequent come first"), found.stderr


@needs_jail
def test_it_is_graded_in_a_jail(course: Path, tmp_path: Path) -> None:
    path = answer(course, ("[:n]", ""))
    result = run(course, "deepdive", "grade", str(path), "--hour", "7", "--json", str(tmp_path))
    assert result.returncode == 0, result.stderr
    record = read_record(next(tmp_path.glob("*.json")))
    assert record.earned == 2
    (wrong,) = [verdict for verdict in record.verdicts if verdict.likely]
    assert wrong.mistake == "ignored_n"


def test_the_course_of_seven_hours_is_read(course: Path) -> None:
    assert [hour.number for hour in load_course(course).hours] == [1, 2, 3, 4, 5, 6, 7]
