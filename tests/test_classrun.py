"""A class is judged once: what has a verdict is never run again, and a run that is cut off anywhere goes on."""

import csv
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deepdive.course import Course, load_course
from deepdive.grading import console
from deepdive.grading.classlist import HandedIn, Roster
from deepdive.grading.classrun import Progress, Summary, judge_all, marks, nothing_to_judge, to_do
from deepdive.grading.gradebook import Gradebook, open_gradebook
from deepdive.grading.intake import Submission
from deepdive.grading.jobs import Job, Keys, digest
from deepdive.grading.marks import Mark, Student
from deepdive.grading.policy import Attempt, Policy
from deepdive.grading.work import Done
from deepdive.jail.zygote import choose_tier
from deepdive.verdict import State, Verdict
from tests.conftest import ROOT, Run

FILE = "hour1_small.py"
SEED = 7
CHECKS = 5


class Pretending:
    """Says of every check what it is told to, runs nothing, and remembers the jobs."""

    tier = "none"

    def __init__(self, state: State = State.PASSED, problem: str = "") -> None:
        self.state, self.problem = state, problem
        self.jobs: list[Job] = []

    def run(self, jobs: Iterable[Job]) -> Generator[Done]:
        for job in jobs:
            self.jobs.append(job)
            found = (
                (c.key, Verdict(hour=1, exercise=c.exercise, check=c.check, state=self.state)) for c in job.checks
            )
            yield Done(job, problem=self.problem) if self.problem else Done(job, tuple(found))

    @property
    def checks(self) -> Counter[str]:
        return Counter(check.check for job in self.jobs for check in job.checks)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Gradebook]:
    with open_gradebook(tmp_path / "class.db") as opened:
        yield opened


def hand_in(book: Gradebook, **sources: str) -> None:
    for student, source in sources.items():
        book.add_submissions([HandedIn(Student(student), Submission(student, {FILE: source.encode()}))])


def states_in(book: Gradebook) -> dict[str, str]:
    """By key, how every verdict of a gradebook ended."""
    with book._engine.connect() as connection:
        return dict(connection.exec_driver_sql("SELECT key, state FROM verdicts").all())  # type: ignore[arg-type]


def judged_by(executor: Pretending, book: Gradebook, course: Course, seed: int = SEED) -> Summary:
    keys = Keys(course, seed)
    return judge_all(book, executor, keys, to_do(book, course, keys, {1}))


def edited(course: Course, path: str, before: str, after: str) -> Course:
    file = course.root / path
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")
    return load_course(course.root)


def with_a_second_hour(course: Course) -> Course:
    """The course with an hour more, whose checks are called like the first one's."""
    for folder, name in (("solutions", FILE), ("checks", f"test_{FILE}")):
        text = (course.root / folder / name).read_text(encoding="utf-8")
        for exercise in ("double", "halves", "quadruple"):
            text = re.sub(rf"\b{exercise}\b", f"other_{exercise}", text)
        (course.root / folder / name.replace("hour1", "hour2")).write_text(text, encoding="utf-8")
    return load_course(course.root)


# --- keys ---


def keys_of(course: Course, seed: int = SEED) -> dict[str, str]:
    return {check.check: check.key for check in Keys(course, seed).of(1, digest(b"x = 1"))}


def changed(course: Course, path: str, before: str, after: str) -> set[str]:
    old = keys_of(course)
    new = keys_of(edited(course, path, before, after))
    return {check for check in new if new[check] != old.get(check)}


@pytest.mark.parametrize(
    ("before", "after"), [("points=2", "points=20"), ("minutes=3", "minutes=30"), (", stretch=True", "")]
)
def test_weights_and_minutes_change_no_key(small_course: Course, before: str, after: str) -> None:
    assert changed(small_course, "checks/test_hour1_small.py", before, after) == set()


def test_a_comment_changes_no_key(small_course: Course) -> None:
    assert changed(small_course, "checks/test_hour1_small.py", "    x = rng", "    # why\n    x = rng") == set()


def test_a_changed_check_changes_its_own_key(small_course: Course) -> None:
    found = changed(small_course, "checks/test_hour1_small.py", "[1, 2, 5]", "[1, 2, 6]")
    assert found == {"test_doubles_whole_numbers"}


def test_a_changed_solution_changes_the_keys_of_its_exercise(small_course: Course) -> None:
    found = changed(small_course, "solutions/hour1_small.py", "len(x) % 2:", "len(x) % 2 == 1:")
    assert found == {"test_splits_in_the_middle", "test_refuses_an_odd_number"}


def test_a_changed_solution_changes_the_keys_of_what_calls_it(small_course: Course) -> None:
    found = changed(small_course, "solutions/hour1_small.py", "return 2 * x", "return x * 2")
    assert found == {"test_doubles_every_value", "test_doubles_whole_numbers", "test_quadruples"}


def test_another_seed_or_another_file_changes_all_keys(small_course: Course) -> None:
    mine, keys = set(keys_of(small_course).values()), Keys(small_course, SEED)
    assert len(mine) == CHECKS
    assert mine.isdisjoint(keys_of(small_course, SEED + 1).values())
    assert mine.isdisjoint(check.key for check in keys.of(1, digest(b"x = 2")))


def test_the_keys_of_a_file_lie_together(small_course: Course) -> None:
    keys = Keys(small_course, SEED)
    files = [digest(b"x = %d" % number) for number in range(20)]
    ordered = sorted((check.key, file) for file in files for check in keys.of(1, file))
    assert [file for _, file in ordered][::CHECKS] == sorted(files)
    assert len({key for key, _ in ordered}) == 20 * CHECKS


def test_checks_that_everything_reaches_have_keys_of_their_own(small_course: Course) -> None:
    for check in ("test_doubles_every_value", "test_quadruples"):
        name = f"def {check}"
        file = small_course.root / "checks" / "test_hour1_small.py"
        text = file.read_text(encoding="utf-8").replace(f"{name}(answer, rng):", f"{name}(answer, rng):\n    vars()")
        file.write_text(text.replace(f"{name}(answer):", f"{name}(answer):\n    vars()"), encoding="utf-8")
    assert len(set(keys_of(load_course(small_course.root)).values())) == CHECKS


# --- once ---


def test_identical_submissions_are_judged_once(book: Gradebook, small_course: Course) -> None:
    hand_in(book, anna="x = 1", bob="x = 1", carl="x = 2")
    executor = Pretending()
    assert judged_by(executor, book, small_course).jobs == 2
    assert set(executor.checks.values()) == {2}
    found = marks(book, small_course, Keys(small_course, SEED), Policy())
    assert [(mark.student.id, mark.raw) for mark in found] == [("anna", 4), ("bob", 4), ("carl", 4)]


def test_a_rerun_runs_nothing(book: Gradebook, small_course: Course) -> None:
    hand_in(book, anna="x = 1", bob="x = 2")
    judged_by(Pretending(), book, small_course)
    again = Pretending(State.FAILED)
    assert judged_by(again, book, small_course).jobs == len(again.jobs) == 0


def test_one_changed_check_runs_that_check_alone(book: Gradebook, small_course: Course) -> None:
    hand_in(book, anna="x = 1", bob="x = 2")
    judged_by(Pretending(), book, small_course)
    course = edited(small_course, "checks/test_hour1_small.py", "[1, 2, 5]", "[1, 2, 6]")
    again = Pretending()
    judged_by(again, book, course)
    assert again.checks == {"test_doubles_whole_numbers": 2}


def test_another_weight_runs_nothing_and_changes_the_marks(book: Gradebook, small_course: Course) -> None:
    hand_in(book, anna="x = 1")
    judged_by(Pretending(), book, small_course)
    course = edited(small_course, "checks/test_hour1_small.py", "points=2", "points=20")
    again = Pretending()
    judged_by(again, book, course)
    (mark,) = marks(book, course, Keys(course, SEED), Policy())
    assert (again.jobs, mark.raw, mark.possible) == ([], 22, 22)


def test_a_kit_error_is_told_and_not_kept(book: Gradebook, small_course: Course) -> None:
    hand_in(book, anna="x = 1")
    assert judged_by(Pretending(State.KIT_ERROR), book, small_course).problems.total() == CHECKS
    assert states_in(book) == {}
    assert judged_by(Pretending(), book, small_course).problems.total() == 0
    assert len(states_in(book)) == CHECKS


def test_a_job_that_nobody_could_judge_is_tried_by_the_next_run(book: Gradebook, small_course: Course) -> None:
    hand_in(book, anna="x = 1", bob="x = 2")
    assert judged_by(Pretending(problem="lost"), book, small_course).problems == {"lost": 2}
    (first, _) = marks(book, small_course, Keys(small_course, SEED), Policy())
    assert {outcome.state for outcome in first.record.outcomes} == {State.NOT_RUN}
    assert judged_by(Pretending(), book, small_course).jobs == 2


def test_a_job_with_several_kit_errors_failed_once(book: Gradebook, small_course: Course) -> None:
    hand_in(book, anna="x = 1", bob="x = 2")
    told: list[Progress] = []
    keys = Keys(small_course, SEED)
    judge_all(book, Pretending(State.KIT_ERROR), keys, to_do(book, small_course, keys, {1}), tell=told.append)
    assert [(each.done, each.total, each.failed) for each in told] == [(1, 2, 1), (2, 2, 2)]


# --- marks ---


def test_a_policy_is_applied_when_marks_are_read_and_kept_nowhere(book: Gradebook, small_course: Course) -> None:
    late = HandedIn(Student("anna"), Submission("anna", {FILE: b"x = 1"}), late=True)
    book.add_submissions([late])
    judged_by(Pretending(), book, small_course)
    keys = Keys(small_course, SEED)
    (strict,) = marks(book, small_course, keys, Policy(penalty_per_day=0.5))
    (kind,) = marks(book, small_course, keys, Policy())
    assert (strict.raw, strict.final, kind.final) == (4, 2, 4)
    assert strict.policy == "1 day late: −50 %"


def test_marks_read_for_their_points_alone_have_the_same_points(book: Gradebook, small_course: Course) -> None:
    hand_in(book, anna="x = 1", bob="x = 2", carl="x = 3")
    book.add_submissions([HandedIn(Student("dora"), Submission("dora", {}))])
    keys = Keys(small_course, SEED)
    pairs = to_do(book, small_course, keys, {1})
    judge_all(book, Pretending(State.PASSED), keys, pairs[:1])
    judge_all(book, Pretending(State.FAILED), keys, pairs[1:2])  # and nobody has judged carl's
    whole, brief = (marks(book, small_course, keys, Policy(), whole=how) for how in (True, False))
    assert [mark.raw for mark in whole] == [4, 0, 0, 0]

    def points(mark: Mark) -> object:
        ended = [(verdict.check, verdict.state) for verdict in mark.record.verdicts]
        return mark.student, mark.raw, mark.possible, mark.record.outcomes, ended

    assert [points(mark) for mark in brief] == [points(mark) for mark in whole]


@pytest.mark.parametrize(("attempt", "which"), [("best", 2), ("first", 1), ("last", 3)])
def test_the_attempt_that_counts_is_the_policys(
    book: Gradebook, small_course: Course, attempt: str, which: int
) -> None:
    for source, state in (("x = 1", State.FAILED), ("x = 2", State.PASSED), ("x = 3", State.ERROR)):
        hand_in(book, anna=source)
        judged_by(Pretending(state), book, small_course)
    (mark,) = marks(book, small_course, Keys(small_course, SEED), Policy(attempt=Attempt(attempt)))
    assert (mark.attempt, mark.attempts) == (which, 3)


def test_who_handed_in_nothing_that_was_taken_has_no_points_and_the_reason(
    book: Gradebook, small_course: Course
) -> None:
    book.add_submissions([HandedIn(Student("anna"), Submission("anna", {}, ("a.zip: encrypted",)))])
    assert judged_by(Pretending(), book, small_course).jobs == 0
    (mark,) = marks(book, small_course, Keys(small_course, SEED), Policy())
    assert (mark.raw, mark.possible, mark.refused) == (0, 4, ("a.zip: encrypted",))


def test_who_is_on_the_roster_and_handed_in_nothing_has_a_mark_without_points(
    book: Gradebook, small_course: Course
) -> None:
    hand_in(book, bob="x = 1", carl="x = 2")
    judged_by(Pretending(), book, small_course)
    roster = Roster((Student("anna", "Anna"), Student("bob", "Bob"), Student("dora")))
    found = marks(book, small_course, Keys(small_course, SEED), Policy(penalty_per_day=0.5), roster=roster)
    assert [(mark.student.id, mark.handed_in, mark.final, mark.possible) for mark in found] == [
        ("anna", False, 0, 4),
        ("bob", True, 4, 4),
        ("carl", True, 4, 4),
        ("dora", False, 0, 4),
    ]
    anna = found[0]
    assert (anna.student.name, anna.submission, anna.attempt, anna.attempts) == ("Anna", "not handed in", 0, 0)
    assert {outcome.state for outcome in anna.record.outcomes} == {State.NOT_RUN}


def test_an_export_with_a_roster_has_a_row_for_everybody_on_it(small_course: Course, tmp_path: Path) -> None:
    where, roster = str(tmp_path / "class.db"), tmp_path / "roster.csv"
    roster.write_text("id,name\nanna,Anna\nbob,Bob\n", encoding="utf-8")
    with open_gradebook(where) as book:
        hand_in(book, bob="x = 1")
        judged_by(Pretending(), book, small_course)
    console.export(small_course, where, "csv", tmp_path / "out", None, roster)
    rows = (tmp_path / "out" / "marks.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [row.split(",")[:2] for row in rows] == [["anna", "Anna"], ["bob", ""]]


# --- nothing to do ---


def test_a_run_that_has_nothing_to_do_starts_no_process(
    small_course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = str(tmp_path / "class.db")
    with open_gradebook(where) as book:
        hand_in(book, anna="x = 1")
        judged_by(Pretending(), book, small_course)
    started: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **options: started.append(arguments))
    summary = console.grade_class(small_course, [], where, None, console.Options({1}))
    assert (summary.submissions, summary.jobs, summary.problems.total(), started) == (1, 0, 0, [])
    assert "seed 7 · 0 new submissions · everything has been judged" in capsys.readouterr().out


def test_another_seed_by_which_everything_has_been_judged_is_the_one_that_marks_go_by(
    book: Gradebook, small_course: Course
) -> None:
    hand_in(book, anna="x = 1")
    for seed in (SEED, SEED + 1):
        judged_by(Pretending(), book, small_course, seed)
    runs = len(book.tiers())
    nothing_to_judge(book, Keys(small_course, SEED + 1))
    assert (book.last_seed(), len(book.tiers())) == (SEED + 1, runs)
    nothing_to_judge(book, Keys(small_course, SEED))
    assert (book.last_seed(), len(book.tiers())) == (SEED, runs + 1)


# --- cut off ---

COORDINATOR = """
import sys, time
from pathlib import Path
from deepdive.course import load_course
from deepdive.grading.classlist import Roster
from deepdive.grading.classrun import judge_all, take_in, to_do
from deepdive.grading.gradebook import open_gradebook
from deepdive.grading.jobs import Keys
from tests.test_classrun import Pretending

class Slow(Pretending):
    def run(self, jobs):
        for done in super().run(jobs):
            time.sleep(0.01)
            with open(sys.argv[3], "a") as log:
                log.write(done.job.source + "\\n")
            yield done

course = load_course(Path(sys.argv[1]))
with open_gradebook(sys.argv[2]) as book:
    print("ready", flush=True)
    take_in(book, course, [Path(sys.argv[4])], Roster())
    keys = Keys(course, 7)
    judge_all(book, Slow(), keys, to_do(book, course, keys, {1}))
"""


def test_a_run_killed_at_random_points_is_completed_and_grades_nothing_twice(
    small_course: Course, tmp_path: Path
) -> None:
    count, kills = 40, 3
    for number in range(count):
        folder = tmp_path / "class" / f"s{number:02}"
        folder.mkdir(parents=True)
        (folder / FILE).write_text(f"x = {number}")

    def start(name: str) -> subprocess.Popen[bytes]:
        arguments = [
            str(small_course.root),
            str(tmp_path / f"{name}.db"),
            str(tmp_path / name),
            str(tmp_path / "class"),
        ]
        child = subprocess.Popen(
            [sys.executable, "-c", COORDINATOR, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        return child

    def finished(name: str) -> dict[str, str]:
        with start(name) as child:
            assert child.wait(120) == 0
        with open_gradebook(tmp_path / f"{name}.db") as book:
            assert len(book.entries()) == count
            return states_in(book)

    dice = random.Random(1)
    for _ in range(kills):
        with start("killed") as child:
            time.sleep(dice.uniform(0, 0.4))
            child.send_signal(signal.SIGKILL)
    assert finished("killed") == finished("undisturbed")
    runs = Counter((tmp_path / "killed").read_text().split())
    assert len(runs) == count
    assert runs.total() <= count + kills  # at most the one that was under way


# --- some hours ---


def exported(course: Course, where: Path) -> list[list[str]]:
    """Student, points, possible points and final ones, of the plain table."""
    console.export(course, str(where), "csv", where.parent / "marks", None)
    with (where.parent / "marks" / "marks.csv").open(encoding="utf-8", newline="") as file:
        return [[row[0], *row[9:12]] for row in csv.reader(file)][1:]


def test_an_export_of_some_hours_is_out_of_their_points(small_course: Course, tmp_path: Path) -> None:
    course = with_a_second_hour(small_course)
    with open_gradebook(tmp_path / "class.db") as book:
        hand_in(book, anna="x = 1")
        judged_by(Pretending(), book, course)
    assert exported(course, tmp_path / "class.db") == [["anna", "4.00", "8.00", "4.00"]]
    assert exported(course.only({1}), tmp_path / "class.db") == [["anna", "4.00", "4.00", "4.00"]]
    assert exported(course.only({2}), tmp_path / "class.db") == [["anna", "0.00", "4.00", "0.00"]]


def test_what_was_handed_in_and_never_judged_is_no_zero_in_an_export(small_course: Course, tmp_path: Path) -> None:
    course, where = with_a_second_hour(small_course), tmp_path / "class.db"
    with open_gradebook(where) as book:
        files = {FILE: b"x = 1", "hour2_small.py": b"x = 1"}
        book.add_submissions([HandedIn(Student("anna"), Submission("anna", files))])
        judged_by(Pretending(), book, course)  # hour 1 only
    with pytest.raises(RuntimeError, match=r"1 of the files in .*, of hour 2, lack a verdict .* with --hour"):
        exported(course, where)
    assert exported(course.only({1}), where) == [["anna", "4.00", "4.00", "4.00"]]


# --- once more ---


def rows_of(where: Path) -> dict[str, list[object]]:
    """Everything that a gradebook holds."""
    with closing(sqlite3.connect(where)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables}


@pytest.mark.skipif(choose_tier().tier is None, reason="no jail on this machine")
def test_a_replay_judges_the_same_bytes_on_the_same_inputs_and_changes_nothing(
    small_course: Course, tmp_path: Path, run: Run
) -> None:
    course, where = with_a_second_hour(small_course), tmp_path / "class.db"
    right = (course.root / "solutions" / FILE).read_text(encoding="utf-8")
    folder = tmp_path / "class" / "bob"
    folder.mkdir(parents=True)
    (folder / FILE).write_text(right.replace("return 2 * x", "return x + 1e-3"), encoding="utf-8")
    graded = run("deepdive", "grade", "class", "--gradebook", "class.db", "--hour", "1")
    assert graded.returncode == 0, graded.stderr
    (folder / FILE).write_text(right, encoding="utf-8")  # what lies there now is not what was handed in
    before = rows_of(where)
    replayed = run("deepdive", "grade", "--gradebook", "class.db", "--replay", "bob")
    assert replayed.returncode == 0, replayed.stderr
    assert "2 of 5 checks pass; 0 came out differently than kept" in replayed.stdout
    with open_gradebook(where) as book:
        (mark,) = marks(book, course, Keys(course, book.last_seed() or 0), Policy())
    (random,) = (v for v in mark.record.verdicts if (v.hour, v.check) == (1, "test_doubles_every_value"))
    assert random.state is State.FAILED
    assert random.got.split("…")[0].strip() in replayed.stdout  # the values, which depend on the seed
    assert rows_of(where) == before


@pytest.mark.skipif(choose_tier().tier is None, reason="no jail on this machine")
def test_a_replay_tells_what_came_out_differently(book: Gradebook, small_course: Course, run: Run) -> None:
    hand_in(book, anna=(small_course.root / "solutions" / FILE).read_text(encoding="utf-8"))
    judged_by(Pretending(State.FAILED), book, small_course)
    replayed = run("deepdive", "grade", "--gradebook", "class.db", "--replay", "anna")
    assert replayed.returncode == 1
    assert "5 of 5 checks pass; 5 came out differently than kept" in replayed.stdout
    assert "double · test_doubles_every_value: failed, now passed" in replayed.stdout


# --- what is seen ---


def test_without_a_terminal_a_line_is_written_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with console._line() as tell:
        for done in range(1, 101):
            tell(Progress(done, 100, 0, done))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "31 of 100 jobs, about 1 min 9 s left"
    assert lines[-1] == "100 of 100 jobs"
    assert len(lines) == 4


@pytest.mark.slow
def test_ctrl_c_stops_cleanly_says_how_to_go_on_and_leaves_no_process(
    small_course: Course, tmp_path: Path, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    if choose_tier().tier is None:
        pytest.skip("no jail on this machine")
    right = (small_course.root / "solutions" / FILE).read_text()
    for number in range(30):
        folder = tmp_path / "class" / f"s{number:02}"
        folder.mkdir(parents=True)
        (folder / FILE).write_text(f"{right}\nimport time; time.sleep(1)  # {number}\n")
    command = ["deepdive.cli", "grade", str(tmp_path / "class"), "--gradebook", str(tmp_path / "class.db")]
    with subprocess.Popen(
        [sys.executable, "-m", *command, "--workers", "2"],
        cwd=small_course.root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert re.match("jail: ", child.stdout.readline())
        time.sleep(4)
        workers = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        for task in Path(f"/proc/{child.pid}/task").iterdir():
            workers += (task / "children").read_text().split()
        child.send_signal(signal.SIGINT)
        said = child.stdout.read()
        assert child.wait(30) == 130
    assert workers
    assert "The same command goes on where this one was." in said
    until = time.monotonic() + 15
    while (left := [pid for pid in workers if Path(f"/proc/{pid}/cmdline").exists()]) and time.monotonic() < until:
        time.sleep(0.2)
    assert left == []
