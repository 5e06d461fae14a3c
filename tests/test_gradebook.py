"""A gradebook only ever grows, says what it is, and holds the same in SQLite and in PostgreSQL."""

import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa

from deepdive.grading import gradebook as module
from deepdive.grading.classlist import HandedIn
from deepdive.grading.gradebook import VERSION, Gradebook, GradebookError, open_gradebook
from deepdive.grading.intake import Submission
from deepdive.grading.jobs import CheckKey, digest
from deepdive.grading.marks import Student
from deepdive.verdict import State, Verdict

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def handed_in(student: str = "7", source: bytes = b"x = 1", submitted: datetime | None = None) -> HandedIn:
    who = Student(student, "Jane Ż 'Doe'", "jane@example.org", section="A")
    return HandedIn(who, Submission("jane", {"hour1_small.py": source}, ("b.py: too large",)), submitted, late=True)


def verdict(state: State = State.PASSED, got: str = "") -> Verdict:
    return Verdict(hour=1, exercise="double", check="test_doubles", state=state, got=got)


def by(key: str, judge: str = "judge") -> CheckKey:
    return CheckKey("double", "test_doubles", judge, key)


# --- PostgreSQL, as Debian packages it ---


def postgres_programs() -> Path | None:
    found = shutil.which("initdb")
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin")) + ([Path(found).parent] if found else [])
    return next((place for place in reversed(places) if (place / "initdb").exists()), None)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a server that was started for these tests; root may not run one, so somebody else does."""
    pytest.importorskip("psycopg", reason="psycopg, by which SQLAlchemy speaks to PostgreSQL, is not installed")
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    user = None
    if os.geteuid() == 0:
        known = {entry.pw_name for entry in pwd.getpwall()}
        user = next((name for name in ("postgres", "nobody") if name in known), None)
        if user is None:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody")
    folder = Path(tempfile.mkdtemp(prefix="deepdive-pg-"))
    try:
        if user:
            shutil.chown(folder, user)

        def call(*command: str) -> None:
            done = subprocess.run(
                [str(programs / command[0]), *command[1:]],
                cwd=folder,
                user=user,
                extra_groups=[] if user else None,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stdout.decode()

        store, log = str(folder / "store"), str(folder / "log")
        call("initdb", "--no-sync", "--auth=trust", "--username=deepdive", "--encoding=UTF8", "--locale=C", store)
        call("pg_ctl", "-D", store, "-l", log, "-w", "-o", f"-F -k {folder} -c listen_addresses=", "start")
        try:
            yield f"postgresql+psycopg://deepdive@/postgres?host={folder}"
        finally:
            call("pg_ctl", "-D", store, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "class.db")
        return
    url = request.getfixturevalue("postgres")
    yield url
    engine = sa.create_engine(url)
    module._metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def book(where: str) -> Iterator[Gradebook]:
    with open_gradebook(where) as opened:
        yield opened


# --- what goes in comes out ---


def test_a_submission_comes_back_as_it_was_handed_in(book: Gradebook) -> None:
    given = handed_in(source=b"\xef\xbb\xbfx = '\x00\xff'\r\n", submitted=NOON)
    assert book.add_submissions([given]) == 1
    (entry,) = book.entries("7")
    assert (entry.student, entry.name, entry.refused) == (given.student, "jane", ("b.py: too large",))
    assert (entry.submitted, entry.late, entry.number) == (NOON, True, 1)
    assert book.source(entry.files["hour1_small.py"]) == given.submission.files["hour1_small.py"]


def test_a_time_of_any_zone_comes_back_as_the_same_moment(book: Gradebook) -> None:
    pacific = NOON.astimezone(timezone(timedelta(hours=-8)))
    book.add_submissions([handed_in("1", submitted=pacific), handed_in("2", submitted=NOON.replace(tzinfo=None))])
    assert [entry.submitted for entry in book.entries()] == [NOON, NOON]


def test_a_verdict_comes_back_whole(book: Gradebook) -> None:
    odd = verdict(State.FAILED, got="'; DROP TABLE verdicts; -- \x00 \u2028 Ż")
    book.add_verdicts(1, "source", [(by("key"), odd)])
    assert book.verdicts(["key", "another"]) == {"key": odd}
    assert book.known(["key", "another"]) == {"key"}


def test_ids_that_look_like_paths_or_sql_are_only_texts(book: Gradebook) -> None:
    ids = ["../../etc/passwd", "'; DROP TABLE submissions; --", "%", "a" * 200]
    book.add_submissions(handed_in(each) for each in ids)
    assert [book.entries(each)[0].student.id for each in ids] == ids
    assert book.entries("nobody") == []


def test_more_keys_than_a_database_takes_at_once_can_be_asked_for(book: Gradebook) -> None:
    keys = [f"{number:040}" for number in range(2000)]
    book.add_verdicts(1, "source", ((by(key), verdict()) for key in keys))
    assert book.known(keys) == set(keys)
    assert len(book.verdicts(keys)) == 2000


def test_a_class_is_asked_about_at_once_file_by_file(book: Gradebook) -> None:
    for source, first, second in (("a", State.PASSED, State.FAILED), ("b", State.PASSED, State.FAILED)):
        found = [(by(source + "1", "one"), verdict(first)), (by(source + "2", "two"), verdict(second))]
        book.add_verdicts(1, source, found)
    book.add_verdicts(1, "c", [(by("c1", "one"), verdict(State.TODO)), (by("c0", "an older one"), verdict())])
    assert book.judged(["one", "two"]) == {"a": 2, "b": 2, "c": 1}
    both = {"one": State.PASSED, "two": State.FAILED}
    assert book.states(["one", "two"]) == {"a": both, "b": both, "c": {"one": State.TODO}}
    assert book.states([]) == book.judged([]) == {}


def test_more_submissions_than_are_added_at_once_are_added_once_each(
    book: Gradebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK", 2)
    given = [handed_in(f"{number}", source=b"x = %d" % (number % 3)) for number in range(5)]
    assert book.add_submissions([*given, given[0], given[4]]) == 5
    assert [(entry.student.id, entry.number) for entry in book.entries()] == [(f"{n}", n + 1) for n in range(5)]
    assert book.count() == 5
    for entry in book.entries():
        assert book.source(entry.files["hour1_small.py"]) == b"x = %d" % (int(entry.student.id) % 3)


def test_the_last_runs_seed_is_known(book: Gradebook) -> None:
    assert book.last_seed() is None
    for seed in (7, 2**32 - 1):
        book.start_run(seed, "kit", "zygote", "{}")
    assert book.last_seed() == 2**32 - 1
    assert list(book.tiers().values()) == ["zygote", "zygote"]


def test_a_file_that_was_never_handed_in_is_a_key_error(book: Gradebook) -> None:
    with pytest.raises(KeyError):
        book.source(digest(b"nothing"))


# --- it only grows ---


def test_adding_the_same_submission_twice_adds_nothing(book: Gradebook) -> None:
    assert book.add_submissions([handed_in(), handed_in("8")]) == 2
    assert book.add_submissions([handed_in(), handed_in("8"), handed_in("9")]) == 1
    assert [entry.number for entry in book.entries()] == [1, 2, 3]


def test_another_file_or_another_time_is_another_attempt(book: Gradebook) -> None:
    attempts = [handed_in(), handed_in(source=b"x = 2"), handed_in(submitted=NOON)]
    assert book.add_submissions(attempts) == 3
    assert len(book.entries("7")) == 3


def test_a_key_that_has_a_verdict_keeps_it(book: Gradebook) -> None:
    book.add_verdicts(1, "source", [(by("key"), verdict(State.PASSED))])
    book.add_verdicts(2, "source", [(by("key"), verdict(State.FAILED)), (by("new"), verdict(State.FAILED))])
    assert {key: each.state for key, each in book.verdicts(["key", "new"]).items()} == {
        "key": State.PASSED,
        "new": State.FAILED,
    }


def test_a_jobs_verdicts_are_added_all_or_none(book: Gradebook) -> None:
    def cut_off() -> Iterator[tuple[CheckKey, Verdict]]:
        yield by("first"), verdict()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        book.add_verdicts(1, "source", cut_off())
    assert book.known(["first"]) == set()


def test_an_intake_that_is_cut_off_adds_nothing(book: Gradebook) -> None:
    def cut_off() -> Iterator[HandedIn]:
        yield handed_in()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        book.add_submissions(cut_off())
    assert book.entries() == []
    assert book.add_submissions([handed_in()]) == 1


def test_nothing_in_the_module_changes_or_deletes_a_row() -> None:
    text = Path(module.__file__).read_text(encoding="utf-8")
    assert ".update()" not in text
    assert ".delete()" not in text


def test_a_gradebook_that_is_closed_and_opened_holds_what_it_held(where: str) -> None:
    with open_gradebook(where) as book:
        book.add_submissions([handed_in()])
    with open_gradebook(where) as first, open_gradebook(where) as second:  # one reads while another writes
        first.add_submissions([handed_in("8")])
        assert len(second.entries()) == 2


# --- versions and broken files ---


def test_a_gradebook_of_a_newer_version_is_refused_with_a_sentence(where: str) -> None:
    with open_gradebook(where) as book, book._engine.begin() as connection:
        connection.execute(module._schema.insert().values(version=VERSION + 1))
    with pytest.raises(GradebookError) as raised:
        Gradebook(where)
    assert f"of version {VERSION + 1}, newer than this kit's {VERSION}: update the kit" in str(raised.value)


VERSION_1 = """
CREATE TABLE verdicts (
    key VARCHAR(64) PRIMARY KEY, source VARCHAR(64) NOT NULL, hour INTEGER NOT NULL, exercise VARCHAR(100) NOT NULL,
    check_name VARCHAR(200) NOT NULL, state VARCHAR(20) NOT NULL, run INTEGER NOT NULL, verdict TEXT NOT NULL
);
CREATE INDEX ix_verdicts_source ON verdicts (source);
CREATE TABLE schema (version INTEGER PRIMARY KEY);
INSERT INTO schema VALUES (1);
INSERT INTO verdicts VALUES ('old', 'a', 1, 'double', 'test_doubles', 'passed', 1,
    '{"hour":1,"exercise":"double","check":"test_doubles","state":"passed"}');
"""


def test_a_gradebook_of_version_1_is_brought_up_to_date_and_loses_nothing(where: str) -> None:
    engine = sa.create_engine(where if "://" in where else f"sqlite:///{where}")
    with engine.begin() as connection:
        for statement in VERSION_1.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()
    for _ in range(2):
        with open_gradebook(where) as book:
            book.add_verdicts(1, "a", [(by("new"), verdict(State.FAILED))])
            assert set(book.verdicts(["old", "new"])) == {"old", "new"}
            assert book.states(["judge"]) == {"a": {"judge": State.FAILED}}


@pytest.mark.parametrize(
    "content", [b"this is no database at all, but a text of some length" * 10, b"SQLite format 3\0"]
)
def test_a_file_that_is_no_gradebook_is_refused_with_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "class.db"
    path.write_bytes(content)
    with pytest.raises(GradebookError, match=r"class\.db cannot be opened: "):
        Gradebook(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("where", [".", "missing/class.db", "nonsense://x", "postgresql+nonsense://x", "://"])
def test_a_place_where_no_gradebook_can_be_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GradebookError, match="cannot be opened: "):
        Gradebook(where)


def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(GradebookError) as raised:
        Gradebook("postgresql+psycopg://jane:hunter2@127.0.0.1:1/class")
    assert "hunter2" not in str(raised.value)


def test_sqlite_lets_one_read_while_another_writes(tmp_path: Path) -> None:
    with open_gradebook(tmp_path / "class.db"):
        connection = sqlite3.connect(tmp_path / "class.db")
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.close()
