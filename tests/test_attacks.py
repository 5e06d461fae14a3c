"""Attacks, and honest submissions that look odd, graded by the real command in the real jail."""

import ctypes
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from deepdive.course import load_course
from deepdive.jail.zygote import choose_tier
from deepdive.verdict import Record, State, read_record
from tests.attacks.build import EXERCISES, FILE, MARK, ROOT, Attack, file_of, honest
from tests.attacks.odd import ODD
from tests.attacks.table import ATTACKS

SEED = 20_261
SECONDS_OF_A_RUN = 1800
MOST_SECONDS = 90  # that one submission may take of the run
MOST_BYTES = 1 << 20  # of a record
CHOICE = choose_tier()
pytestmark = pytest.mark.skipif(CHOICE.tier is None, reason=f"no jail on this machine: {'; '.join(CHOICE.reasons)}")

# What still goes wrong, by the name of the attack; or what of which group.
KNOWN: dict[str, str] = {}
CHECKS = {exercise.name: len(exercise.checks) for exercise in load_course(ROOT).hour(1).exercises}


@dataclass
class Run:
    """What one run of the command came to.

    Args:
        records: of each submission, by its name; those that are missing were not graded.
        order: the names, as they were graded; honest ones are called `honest-…`.
        printed: on stdout and stderr.
        code: the command's exit code.
        left: what it left behind, in words.
    """

    records: dict[str, Record] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    printed: str = ""
    code: int = 0
    left: list[str] = field(default_factory=list)


def group_of(attack: Attack) -> str:
    return "fast" if attack.fast else attack.group


GROUPS = sorted({group_of(attack) for attack in (*ATTACKS, *ODD)})


@pytest.fixture(scope="session")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """The run of a group; each is run once."""
    return cache(lambda group: graded(group, tmp_path_factory.mktemp(group)))


def graded(group: str, place: Path) -> Run:
    run, paths = Run(), dict[str, Path]()
    members = [attack for attack in (*ATTACKS, *ODD) if group_of(attack) == group]
    for attack in members:
        paths[attack.name] = _written(attack.make, place / "submissions" / attack.name)
        if attack.followed or attack is members[-1]:
            name = f"honest-after-{attack.name}"
            paths[name] = _written(file_of(honest()), place / "submissions" / name)
    run.order = list(paths)
    before, files = _outside(), _tree(place / "submissions")
    with _adopting() as orphans:
        run.code, run.printed = _graded(list(paths.values()), place)
        run.left += [f"the process {orphan}" for orphan in orphans()]
    run.left += sorted(_outside() - before)
    run.left += [f"{path} was changed" for path, _ in _tree(place / "submissions") ^ files]
    for name, path in paths.items():
        record = place / "records" / f"{path.resolve().name.removesuffix('.py')}.json"
        if record.exists():
            run.sizes[name] = record.stat().st_size
            run.records[name] = read_record(record)
    return run


def _written(make: Callable[[Path], Path | None], folder: Path) -> Path:
    folder.mkdir(parents=True)
    return make(folder) or folder


def _graded(paths: list[Path], place: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "deepdive.cli", "grade", "--hour", "1", "--seed", str(SEED)]
    command += ["--json", str(place / "records"), "--", *map(os.fspath, paths)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS_OF_A_RUN,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    (place / "printed").write_bytes(done.stdout)
    return done.returncode, done.stdout.decode("utf-8", "replace")


# --- from outside ---


class _adopting:  # noqa: N801
    """Whoever loses its parent within the block becomes a child of this process; the function given tells them."""

    _PR_SET_CHILD_SUBREAPER = 36

    def __enter__(self) -> Callable[[], list[str]]:
        self._before = set(_children())
        ctypes.CDLL(None).prctl(self._PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        return self._orphans

    def __exit__(self, *_: object) -> None:
        ctypes.CDLL(None).prctl(self._PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)

    def _orphans(self) -> list[str]:
        until = time.monotonic() + 3
        while True:
            left = [child for child in _children() if child not in self._before and not _reaped(child)]
            if not left or time.monotonic() > until:
                return [f"{child} {Path(f'/proc/{child}/cmdline').read_bytes()[:200]!r}" for child in left]
            time.sleep(0.1)


def _children() -> list[int]:
    return [int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]


def _reaped(child: int) -> bool:
    with suppress(ChildProcessError):
        return os.waitpid(child, os.WNOHANG)[0] == child
    return True


def _outside() -> set[str]:
    """What a submission could leave outside its jail: mounts, and files that bear its mark or belong to no user."""
    found = {f"the mount {line}" for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    for place in map(Path, ("/", "/tmp", "/dev/shm", "/var/tmp", Path.home(), ROOT, ROOT / "solutions")):
        for path in place.iterdir():
            with suppress(OSError):
                if MARK in path.name or 61_337 <= path.lstat().st_uid < 65_000:
                    found.add(f"the file {path}")
    return found


def _tree(top: Path) -> set[tuple[str, int]]:
    return {(os.fsdecode(path), path.lstat().st_mtime_ns) for path in top.rglob("*")}


# --- the tests ---


def _cases(attacks: list[Attack]) -> list[ParameterSet]:
    cases = []
    for attack in attacks:
        marks = [] if attack.fast else [pytest.mark.slow]
        if attack.name in KNOWN:
            marks.append(pytest.mark.xfail(strict=True, reason=KNOWN[attack.name]))
        cases.append(pytest.param(attack, id=f"{group_of(attack)}-{attack.row:02}-{attack.name}", marks=marks))
    return cases


def _groups(what: str) -> list[ParameterSet]:
    cases = []
    for group in GROUPS:
        marks = [] if group == "fast" else [pytest.mark.slow]
        if f"{what} of {group}" in KNOWN:
            marks.append(pytest.mark.xfail(strict=True, reason=KNOWN[f"{what} of {group}"]))
        cases.append(pytest.param(group, marks=marks))
    return cases


@pytest.mark.parametrize("attack", _cases(ATTACKS))
def test_an_attack_gains_nothing(attack: Attack, run_of: Callable[[str], Run]) -> None:
    run = run_of(group_of(attack))
    assert attack.name in run.records, f"it was not graded; the run ended with {run.code}: {run.printed[-600:]}"
    record = run.records[attack.name]
    _is_complete(record)
    states = {outcome.exercise: outcome.state for outcome in record.outcomes if outcome.hour == 1}
    points = {outcome.exercise: outcome.earned for outcome in record.outcomes if outcome.hour == 1}
    gained = [name for name in EXERCISES if points[name] and name not in attack.worth]
    assert not gained, f"it gained points for {gained}"
    assert states[attack.attacked] not in (State.PASSED, State.KIT_ERROR)
    if attack.states:
        assert states[attack.attacked] in attack.states, _told(record, attack.attacked)
    if not attack.may_lose:
        lost = [name for name in attack.worth if not points[name]]
        assert not lost, _told(record, lost[0])
    assert sum(verdict.seconds for verdict in record.verdicts) < MOST_SECONDS
    assert run.sizes[attack.name] < MOST_BYTES
    following = run.order[run.order.index(attack.name) + 1]
    assert following in run.records, f"the run ended with {run.code}: {run.printed[-600:]}"
    if following.startswith("honest"):
        _has_full_marks(run.records[following])


@pytest.mark.parametrize("submission", _cases(ODD))
def test_an_honest_answer_that_looks_odd_has_full_marks(submission: Attack, run_of: Callable[[str], Run]) -> None:
    _has_full_marks(run_of(group_of(submission)).records[submission.name])


@pytest.mark.parametrize("group", _groups("the end"))
def test_a_run_ends_well_and_leaves_nothing_behind(group: str, run_of: Callable[[str], Run]) -> None:
    run = run_of(group)
    assert run.code == 0, run.printed[-2000:]
    assert set(run.records) == set(run.order)
    assert run.left == []


@pytest.mark.parametrize("group", _groups("the text"))
def test_nothing_that_steers_a_terminal_is_printed(group: str, run_of: Callable[[str], Run]) -> None:
    steering = re.findall(r".{,40}[\x00-\x09\x0b-\x1f\x7f-\x9f].{,20}", run_of(group).printed)
    assert steering == []


def test_submissions_of_one_name_have_a_record_each(tmp_path: Path) -> None:
    paths = []
    for student, source in (("alice", "x = 1\n"), ("bob", "x = 2\n")):
        (tmp_path / student).mkdir()
        file_of(source)(tmp_path / student)
        paths.append(tmp_path / student / FILE)
    code, printed = _graded(paths, tmp_path)
    assert code == 0, printed[-600:]
    assert len(list((tmp_path / "records").iterdir())) == 2


def _is_complete(record: Record) -> None:
    found: dict[str, int] = {}
    for verdict in record.verdicts:
        found[verdict.exercise] = found.get(verdict.exercise, 0) + 1
        assert verdict.state is not State.KIT_ERROR, verdict.got
    assert found == CHECKS


def _has_full_marks(record: Record) -> None:
    _is_complete(record)
    lost = [outcome.exercise for outcome in record.outcomes if outcome.hour == 1 and not outcome.earned]
    assert not lost, _told(record, lost[0])


def _told(record: Record, exercise: str) -> str:
    told = [v for v in record.verdicts if v.exercise == exercise and v.state is not State.PASSED]
    return f"{exercise}: " + "; ".join(f"{v.check} {v.state}: {v.got} {v.likely} {v.frames}" for v in told)[:1500]
