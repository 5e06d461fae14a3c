"""Whatever is given to the commands that grade a class, what is wrong with it is told in a sentence."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from deepdive.cli import app
from deepdive.course import Course
from deepdive.grading.gradebook import Gradebook

Slip = Callable[..., Result]


@pytest.fixture
def slip(small_course: Course, monkeypatch: pytest.MonkeyPatch) -> Slip:
    """Run a command in a folder with a few things that are not what is asked for."""
    root = small_course.root
    (root / "class" / "anna").mkdir(parents=True)
    (root / "class" / "anna" / "hour1_small.py").write_text("x = 1\n")
    (root / "folder").mkdir()
    (root / "text").write_text("neither a database nor a table\n" * 50)
    (root / "names.csv").write_text("name\nJane\n")
    (root / "bad.toml").write_text('attempt = "worst"\n')
    Gradebook(root / "empty.db").close()
    monkeypatch.chdir(root)

    def run(*arguments: str) -> Result:
        before = {path for path in root.rglob("*") if "__pycache__" not in path.parts}
        result = CliRunner().invoke(app, arguments)
        left = {path for path in root.rglob("*") if "__pycache__" not in path.parts} - before
        assert {path.name for path in left} <= {"new.db", "new.db-shm", "new.db-wal"}
        assert isinstance(result.exception, SystemExit)
        return result

    return run


GRADE = ("grade", "class", "--gradebook", "new.db")
EXPORT = ("export", "csv", "--out", "marks", "--gradebook")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("grade",), "say what to grade: a folder, a zip, a notebook or a file"),
        (("grade", "nowhere", "--gradebook", "new.db"), "nowhere: there is no such folder or file"),
        (("grade", "class", "--roster", "names.csv"), "--roster, --workers, --cluster and --replay need --gradebook"),
        (("grade", "class", "--gradebook", "folder"), "the gradebook folder cannot be opened: it is a folder"),
        (("grade", "class", "--gradebook", "nowhere/new.db"), "there is no folder nowhere"),
        (("grade", "class", "--gradebook", "text"), "the gradebook text cannot be opened: file is not a database"),
        (("grade", "--gradebook", "gone.db"), "there is no gradebook gone.db yet"),
        ((*GRADE, "--roster", "nowhere.csv"), "nowhere.csv: No such file or directory"),
        ((*GRADE, "--roster", "folder"), "folder: Is a directory"),
        ((*GRADE, "--roster", "names.csv"), "names.csv: there is no column `id`, only name"),
        ((*GRADE, "--hour", "9"), "there is no hour 9; there are 1"),
        ((*GRADE, "--seed", "-5"), "--seed"),
        ((*GRADE, "--seed", "9" * 30), "--seed"),
        ((*GRADE, "--workers", "0"), "--workers"),
        ((*GRADE, "--cluster", "nonsense"), "there is no scheduler at nonsense: an address is like tcp://host:8786"),
        ((*GRADE, "--cluster", "tcp://127.0.0.1"), "an address is like tcp://host:8786"),
        ((*GRADE, "--cluster", "tcp://127.0.0.1:1", "--workers", "2"), "a cluster has as many as were started"),
        ((*GRADE, "--json", "records"), "`deepdive export jsonl` writes what a gradebook holds"),
        ((*GRADE, "--replay", "anna"), "leave out submissions"),
        (("grade", "--gradebook", "gone.db", "--replay", "anna"), "there is no gradebook gone.db yet"),
        (("grade", "--gradebook", "empty.db", "--replay", "anna"), "nobody in empty.db has the id anna"),
        (
            ("export", "nonsense", "--gradebook", "empty.db", "--out", "marks"),
            "there is no format nonsense; there are",
        ),
        ((*EXPORT, "gone.db"), "there is no gradebook gone.db yet"),
        ((*EXPORT, "folder"), "the gradebook folder cannot be opened: it is a folder"),
        ((*EXPORT, "text"), "the gradebook text cannot be opened: file is not a database"),
        ((*EXPORT, "empty.db"), "nothing has been graded in empty.db yet"),
        (("similar", "nowhere"), "nowhere: there is no such folder or file"),
        (("similar", "class", "--out", "folder"), "folder: Is a directory"),
        (("similar", "class", "--out", "nowhere/page.html"), "nowhere/page.html: No such file or directory"),
        (("similar", "class", "--roster", "names.csv"), "there is no column `id`"),
        (("autograder", "gradescope", "--out", "folder"), "folder: Is a directory"),
        (("autograder", "gradescope", "--hour", "9"), "there is no hour 9"),
        (("autograder", "classroom", "--course", "nonsense"), "'nonsense' is no repository; it is called OWNER/NAME"),
        (("autograder", "classroom", "--course", "a/b", "--out", "text/x.yml"), "text"),
        (
            ("autograder", "run", "gradescope", "nowhere", "--out", "r.json"),
            "nowhere: there is no such folder or file",
        ),
        (("autograder", "run", "nonsense", "class/anna", "--out", "r.json"), "there is no autograder of nonsense"),
    ],
)
def test_a_slip_is_told_in_a_sentence_and_leaves_nothing(slip: Slip, arguments: tuple[str, ...], told: str) -> None:
    result = slip(*arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("option", "told"), [("--policy", "bad.toml: Invalid enum value 'worst'"), ("--roster", "id")]
)
def test_what_is_wrong_with_a_policy_or_a_roster_is_told_before_anything_is_written(
    slip: Slip, option: str, told: str
) -> None:
    with_a_run = Gradebook("empty.db")
    with_a_run.start_run(7, "kit", "none", "{}")
    with_a_run.close()
    result = slip(*EXPORT, "empty.db", option, "bad.toml")
    assert (result.exit_code, told in result.stderr) == (2, True)


def test_a_gradebook_that_fails_in_the_middle_is_told(slip: Slip) -> None:
    Gradebook("new.db").close()
    Path("new.db").chmod(0o600)
    with zipfile.ZipFile("nothing.zip", "w"):
        pass
    import sqlite3

    with sqlite3.connect("new.db") as connection:
        connection.execute("DROP TABLE submissions")
    connection.close()
    book = sqlite3.connect("new.db")
    book.execute("CREATE VIEW submissions AS SELECT 1 AS digest")
    book.commit()
    book.close()
    result = slip(*GRADE)
    assert (result.exit_code, "the gradebook fails: " in result.stderr) == (2, True)
