"""Whoever judges the jobs, a process that is lost costs only time, and no failure makes a run wait for ever."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest

from deepdive.course import Course, load_course
from deepdive.grading import executors
from deepdive.grading.classrun import jobs_of, judge_all, to_do
from deepdive.grading.executors import Cluster, ExecutorError, Local, workers_that_fit
from deepdive.grading.gradebook import open_gradebook
from deepdive.grading.intake import MAX_BYTES
from deepdive.grading.jobs import CheckKey, Job, Keys, digest
from deepdive.grading.session import BARE, HEAVY, LIGHT, imports_for
from deepdive.grading.work import Done, Setup
from deepdive.jail.bounds import GIB
from deepdive.jail.zygote import choose_tier
from tests.conftest import ROOT
from tests.test_classrun import SEED, hand_in, states_in

needs_jail = pytest.mark.skipif(choose_tier().tier is None, reason="no jail on this machine")


@pytest.fixture(autouse=True)
def found_by_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def job(number: int) -> Job:
    return Job(1, f"{number}", b"", (), SEED)


class Stand_in:  # noqa: N801
    """A worker that does as told, without a process."""

    tier = "none"
    pid = 0

    def __init__(self, setup: Setup) -> None:
        self.killed = False

    def get_ready(self) -> None:
        pass

    def judge(self, job: Job) -> Done:
        if job.source == "1":
            raise OSError("no such luck")
        return Done(job)

    def close(self) -> None:
        pass

    def kill(self) -> None:
        self.killed = True


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Local:
    monkeypatch.setattr(executors, "Worker", Stand_in)
    return Local(Setup("", (1,)), 2)


def test_every_job_comes_back_once(local: Local) -> None:
    assert sorted(done.job.source for done in local.run(map(job, range(2, 50)))) == sorted(map(str, range(2, 50)))


def test_a_job_that_breaks_its_worker_is_told_and_the_others_go_on(local: Local) -> None:
    problems = {done.job.source: done.problem for done in local.run(map(job, range(5)))}
    assert problems == {"0": "", "1": "no such luck", "2": "", "3": "", "4": ""}


def test_jobs_that_cannot_be_read_end_the_run(local: Local) -> None:
    def broken() -> Iterator[Job]:
        yield job(2)
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        list(local.run(broken()))


def test_a_run_that_is_closed_reads_no_more_jobs(local: Local) -> None:
    read: list[int] = []

    def endless() -> Iterator[Job]:
        number = 2
        while True:
            read.append(number)
            yield job(number)
            number += 1

    results = local.run(endless())
    next(results)
    results.close()
    time.sleep(0.5)
    count = len(read)
    time.sleep(0.3)
    assert len(read) == count


def test_as_many_processes_as_fit_and_one_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(executors, "_available_bytes", lambda: 1 * GIB)
    assert workers_that_fit({1}) == 1
    monkeypatch.setattr(executors, "_available_bytes", lambda: 9 * GIB)
    assert workers_that_fit({1}) == 2
    monkeypatch.setattr(executors, "_available_bytes", lambda: 900 * GIB)
    assert workers_that_fit({1}) == 8


@pytest.mark.parametrize("address", ["nonsense", "nonsense://127.0.0.1:1", "tcp://127.0.0.1", "tcp://"])
def test_what_is_no_schedulers_address_is_told_at_once(address: str) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(
        ExecutorError, match=f"there is no scheduler at {address}: an address is like tcp://host:8786"
    ):
        Cluster(address, Setup("", (1,)))


# --- real processes ---


def written_class(course: Course, where: Path, count: int) -> None:
    right = (course.root / "solutions" / "hour1_small.py").read_text(encoding="utf-8")
    with open_gradebook(where) as book:
        hand_in(book, **{f"s{number:02}": f"{right}\n# {number}\n" for number in range(count)})


@pytest.mark.parametrize(
    ("hour", "source", "imports"),
    [
        (1, b"import numpy as np\n", BARE),
        (1, b'"""See https://docs.pytorch.org/docs/stable/torch.html, from torch."""\n', BARE),
        (1, b"import numpy as np, torch\n", LIGHT),
        (1, b"def split():\n    from transformers import AutoTokenizer\n", LIGHT),
        (2, b"", HEAVY),
        (1, b"x = 1; import torch.nn as nn\n", LIGHT),
        (3, b"", HEAVY),
    ],
)
def test_a_jail_has_imported_what_a_file_imports(hour: int, source: bytes, imports: tuple[str, ...]) -> None:
    assert imports_for({hour}, [source]) == imports


PARTS = [b"\n", b";import ", b":  ", b"from", b"import " + b"t" * 190 + b";", b"\n import torc"]


@pytest.mark.parametrize("part", PARTS)
def test_no_file_takes_long_to_be_looked_at(part: bytes) -> None:
    # A search that grows with the square of a file's length would not come back today.
    assert imports_for({1}, [part * (MAX_BYTES // len(part))]) == BARE


@needs_jail
def test_files_with_torch_and_without_are_judged_by_one_process(small_course: Course, tmp_path: Path) -> None:
    right = (small_course.root / "solutions" / "hour1_small.py").read_text(encoding="utf-8")
    with_torch = right.replace("return 2 * x", "import torch; return (2 * torch.from_numpy(x)).numpy()")
    local = Local(Setup(str(small_course.root), (1,)), 1)
    with open_gradebook(tmp_path / "class.db") as book:
        hand_in(book, anna=right, bob=with_torch, carl=right + "# mine")
        keys = Keys(small_course, SEED)
        assert judge_all(book, local, keys, to_do(book, small_course, keys, {1})).problems.total() == 0
        assert list(states_in(book).values()) == ["passed"] * 15


class Killing:
    """Kills one of the processes as soon as the first job is done."""

    def __init__(self, inner: Local | Cluster, pid: int) -> None:
        self._inner, self._pid = inner, pid
        self.tier = inner.tier
        self.seen: list[str] = []

    def run(self, jobs: Iterable[Job]) -> Generator[Done]:
        for done in self._inner.run(jobs):
            if not self.seen:
                os.kill(self._pid, 9)
            self.seen.append(done.job.source)
            yield done


def judged_whole(course: Course, where: Path, executor: Killing, count: int) -> None:
    keys = Keys(course, SEED)
    with open_gradebook(where) as book:
        summary = judge_all(book, executor, keys, to_do(book, course, keys, {1}))
        assert summary.problems.total() == 0
        assert sorted(executor.seen) == sorted({entry.files["hour1_small.py"] for entry in book.entries()})
        assert len(executor.seen) == count
        assert len(states_in(book)) == 5 * count
        assert set(states_in(book).values()) == {"passed"}
        assert list(jobs_of(book, keys, [(1, source) for source in executor.seen])) == []


@needs_jail
@pytest.mark.slow
def test_a_working_process_killed_in_the_middle_costs_nothing(small_course: Course, tmp_path: Path) -> None:
    written_class(small_course, tmp_path / "class.db", 8)
    local = Local(Setup(str(small_course.root), (1,)), 2)
    try:
        judged_whole(small_course, tmp_path / "class.db", Killing(local, local._idle[0].pid), 8)
    finally:
        local.close()


HANGING = """
@exercise("double")
def test_waits_for_ever(answer):
    wrong = answer(np.array([1])) == 1
    while wrong:
        pass
"""


HUNG = r"no answer within 20 s, in test_waits_for_ever \(test_hour1_small.py, line \d+\)"


@pytest.fixture
def hanging(small_course: Course, monkeypatch: pytest.MonkeyPatch) -> Course:
    """The small course with a check that never ends when `double` is wrong."""
    checks = small_course.root / "checks" / "test_hour1_small.py"
    checks.write_text(checks.read_text(encoding="utf-8") + HANGING, encoding="utf-8")
    monkeypatch.setattr(executors, "patience_with", lambda job: 20.0)
    return load_course(small_course.root)


def right_and_wrong(course: Course) -> tuple[str, str]:
    right = (course.root / "solutions" / "hour1_small.py").read_text(encoding="utf-8")
    return right, right.replace("return 2 * x", "return x")


@needs_jail
@pytest.mark.slow
def test_a_check_that_never_ends_costs_its_own_job_and_a_new_process_does_the_others(
    hanging: Course, tmp_path: Path
) -> None:
    course, (right, wrong) = hanging, right_and_wrong(hanging)
    local = Local(Setup(str(course.root), (1,)), 1)
    first = local._idle[0].pid
    with open_gradebook(tmp_path / "class.db") as book:
        hand_in(book, anna=right, bob=wrong, carl=right + "# mine")
        keys = Keys(course, SEED)
        summary = judge_all(book, local, keys, to_do(book, course, keys, {1}))
        (problem,) = summary.problems
        assert summary.problems.total() == 1
        assert re.fullmatch(HUNG, problem)
        judged = {student: book.entries(student)[0].files["hour1_small.py"] for student in ("anna", "bob", "carl")}
        left = {source for _, source in to_do(book, course, keys, {1})}
        assert left == {judged["bob"]}
        assert set(states_in(book).values()) == {"passed"}
    assert not os.path.exists(f"/proc/{first}")


@needs_jail
@pytest.mark.slow
def test_a_check_that_never_ends_on_a_worker_of_a_cluster_is_told_and_not_tried_again(hanging: Course) -> None:
    setup = msgspec.json.encode(Setup(str(hanging.root), (1,)))
    right, wrong = (text.encode() for text in right_and_wrong(hanging))

    def judged(content: bytes) -> Done:
        checks = tuple(Keys(hanging, SEED).of(1, digest(content)))
        job = msgspec.json.encode(Job(1, digest(content), content, checks, SEED))
        return msgspec.json.decode(executors._judge(setup, job), type=Done)

    assert re.fullmatch(HUNG, judged(wrong).problem)
    assert {verdict.state for _, verdict in judged(right).verdicts} == {"passed"}
    executors._of_thread.worker.close()
    executors._of_thread.setup = None


def test_a_process_that_does_not_even_begin_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_READY_SECONDS", 0.05)
    with pytest.raises(ExecutorError, match=r"a working process could not start: no answer within 0 s"):
        Local(Setup(str(ROOT), (1,)), 1)


@pytest.mark.parametrize("hour", range(1, 7))
def test_patience_is_longer_than_the_limits_of_a_job_and_its_checks(hour: int) -> None:
    course = load_course(ROOT)
    checks = [check for exercise in course.hour(hour).exercises for check in exercise.checks]
    whole = Job(hour, "", b"", tuple(CheckKey("", check.name, "", "") for check in checks), SEED)
    longest = max(float(check.seconds or 0) for check in checks)
    assert executors.patience_with(whole) > executors.bounds_of(hour).wall_seconds + longest
    assert executors.patience_with(whole) < 3 * 3600


@contextmanager
def dask(tmp_path: Path, workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a scheduler, and its processes: the scheduler, then its workers."""
    distributed = pytest.importorskip("distributed")
    told = tmp_path / "scheduler.json"
    at = ("--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(told))
    with ExitStack() as ends:

        def start(what: str, *options: str) -> subprocess.Popen[bytes]:
            child = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{what}", *at, *options],
                cwd=tmp_path,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            ends.callback(child.wait, 30)
            ends.callback(child.kill)
            return child

        processes = [start("scheduler", "--port", "0")]
        until = time.monotonic() + 60
        while not told.exists() and time.monotonic() < until:
            time.sleep(0.2)
        processes += [start("worker", "--nthreads", "1", "--no-nanny") for _ in range(workers)]
        with distributed.Client(scheduler_file=str(told), set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=90)
            address = client.scheduler.address
        yield address, processes


@needs_jail
@pytest.mark.slow
def test_a_worker_of_a_cluster_killed_in_the_middle_loses_and_doubles_nothing(
    small_course: Course, tmp_path: Path
) -> None:
    written_class(small_course, tmp_path / "class.db", 12)
    with dask(tmp_path, workers=2) as (address, (_, first, _)):
        cluster = Cluster(address, Setup(str(small_course.root), (1,)))
        try:
            judged_whole(small_course, tmp_path / "class.db", Killing(cluster, first.pid), 12)
        finally:
            cluster.close()


@needs_jail
@pytest.mark.slow
def test_a_scheduler_killed_in_the_middle_is_told_and_what_was_done_is_kept(
    small_course: Course, tmp_path: Path
) -> None:
    written_class(small_course, tmp_path / "class.db", 30)
    keys = Keys(small_course, SEED)
    with dask(tmp_path, workers=1) as (address, (scheduler, _)), open_gradebook(tmp_path / "class.db") as book:
        cluster = Cluster(address, Setup(str(small_course.root), (1,)))
        executor = Killing(cluster, scheduler.pid)
        try:
            with pytest.raises(ExecutorError, match=f"the scheduler at {address} is gone; what was done is kept"):
                judge_all(book, executor, keys, to_do(book, small_course, keys, {1}))
        finally:
            cluster.close()
        left = to_do(book, small_course, keys, {1})
        assert 0 < len(executor.seen) == 30 - len(left) < 30
