"""The pytest plugin: the fixtures of checks, the `exercise` marker, and the board at the end of a run.

Plain `pytest` at the course's root runs the checks on the learner's answers. What pytest does well it goes on
doing: selection, `-x`, `--lf`, `--pdb`, JUnit XML, xdist. This plugin adds what a check is about (an exercise of
the course), what its result means (a verdict), and how that is shown.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from _pytest.outcomes import Skipped  # what pytest.skip raises; its public name is not a type

from deepdive import limits, selection, supervisor
from deepdive.answer_files import AnswerFiles, StillToDo
from deepdive.answers import SECONDS_AFTER_TIMEOUT, Answer
from deepdive.assets import AssetError, describe, use_offline
from deepdive.course import Check, Course, CourseError, Exercise, is_course, load_course
from deepdive.expect import NotApplicable, Undecided
from deepdive.judge import rng_for, verdict_on, verdict_on_loss, waits_for_the_quick_ones
from deepdive.kept import Kept, Keys, settings_of
from deepdive.outline import outline_of
from deepdive.printed import capped
from deepdive.report.block import block, file_block
from deepdive.scratch import scratch, temporary_files_in
from deepdive.threads import use_one_thread
from deepdive.verdict import HELD_AGAINST_NOBODY, State, Verdict, in_course_order, record_of, write_record

if TYPE_CHECKING:
    import numpy as np
    from _pytest.terminal import TerminalReporter

# How a verdict is told to pytest: its outcome (which decides the exit code, -x and --lf), the word and the letter.
_AS_PYTEST = {
    State.PASSED: ("passed", "passed", "."),
    State.FAILED: ("failed", "failed", "F"),
    State.ERROR: ("failed", "failed", "E"),
    State.TIMEOUT: ("failed", "failed", "T"),
    State.CRASHED: ("failed", "failed", "C"),
    State.KIT_ERROR: ("failed", "failed", "!"),
    State.TODO: ("skipped", "todo", "t"),
    State.INCONCLUSIVE: ("skipped", "inconclusive", "?"),
    State.NOT_APPLICABLE: ("skipped", "not applicable", "n"),
}
_REPORT_KEY = "deepdive_verdict"
_REUSED_KEY = "deepdive_reused"  # whether a report's verdict is an earlier run's; its keys, when it is new
_KEYS_KEY = "deepdive_keys"


def exercise(
    name: str,
    *,
    points: int | None = None,
    minutes: int | None = None,
    stretch: bool = False,
    seconds: float | None = None,
) -> pytest.MarkDecorator:
    """Declare a function of `checks/test_hourN_topic.py` a check of an exercise.

    Args:
        name: the exercise's name. Its first check states its points and minutes.
        points: what the exercise is worth, 1 to 5 by effort.
        minutes: about how long it takes to write.
        stretch: worth points, but not needed for the hour's green tick.
        seconds: how long all calls of the answer in this check may take together, if not the usual time.
    """
    return pytest.mark.exercise(name, points=points, minutes=minutes, stretch=stretch, seconds=seconds)


@dataclass
class Session:
    """What one pytest run knows: the course, whose answers are tried, and the verdicts so far."""

    course: Course
    files: AnswerFiles
    scratch: Path
    against: str
    seed: int
    supervised: bool
    kept: Kept | None = None
    reused: int = 0
    new: list[tuple[Keys, Verdict]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    timed_out: set[str] = field(default_factory=set)
    supervisor: supervisor.Supervisor | None = None


@dataclass
class Attempt:
    """One check about to run: the exercise, and the answer once it has been found."""

    exercise: Exercise
    seconds: float
    answer: Answer | None = None


_SESSION = pytest.StashKey[Session]()
_ATTEMPT = pytest.StashKey[Attempt]()


def pytest_addoption(parser: pytest.Parser) -> None:
    selection.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "exercise(name, points, minutes, stretch, seconds): a check of an exercise")
    config.addinivalue_line("markers", "core: a check of a core exercise")
    config.addinivalue_line("markers", "stretch: a check of a stretch exercise")
    if not is_course(config.rootpath):
        return
    try:
        course = load_course(config.rootpath)
    except (CourseError, SyntaxError) as error:
        raise pytest.UsageError(f"the course cannot be read: {error}") from error
    for hour in course.hours:
        config.addinivalue_line("markers", f"hour{hour.number}: a check of hour {hour.number}")
    use_one_thread()
    try:
        use_offline()
    except AssetError as error:
        raise pytest.UsageError(str(error)) from error
    here = config.invocation_params.dir
    config.args[:] = [selection.checks_for(course, argument, here) for argument in config.args]
    against: str = config.getoption("--against")
    place = selection.place_of(course, against, here)
    debugging = config.getoption("usepdb") or config.getoption("trace", False) or sys.gettrace() is not None
    resources = ExitStack()
    session = Session(
        course=course,
        scratch=resources.enter_context(scratch()),
        files=AnswerFiles(course, place, config.getoption("--time-limit")),
        against="" if against == "exercises" else against,
        seed=config.getoption("--deepdive-seed"),
        supervised=supervisor.available() and not debugging and not config.getoption("--in-process"),
    )
    if not session.against and not debugging:
        session.kept = Kept(course, settings_of(session.seed, config.getoption("--time-limit")))
    config.stash[_SESSION] = session
    config.add_cleanup(resources.close)
    config.pluginmanager.register(_Collector(session), "deepdive-collector")


class _Collector:
    """Gathers the verdicts as they come in, from this process, the supervisor's child or xdist's workers."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not hasattr(report, _REPORT_KEY):
            return
        verdict = msgspec.convert(getattr(report, _REPORT_KEY), Verdict)
        self._session.verdicts.append(verdict)
        self._session.reused += hasattr(report, _REUSED_KEY)
        if hasattr(report, _KEYS_KEY):
            self._session.new.append((msgspec.convert(getattr(report, _KEYS_KEY), Keys), verdict))


# --- which checks run ---


def _attempt(item: pytest.Item) -> Attempt | None:
    """The attempt that an item is; None for an item that is no check of the course."""
    session = item.config.stash.get(_SESSION, None)
    marker = item.get_closest_marker("exercise")
    if session is None or marker is None:
        return None
    if _ATTEMPT not in item.stash:
        try:
            found = session.course.exercise(marker.args[0])
        except KeyError as error:
            raise pytest.UsageError(f"{item.nodeid}: {error.args[0]}") from None
        item.stash[_ATTEMPT] = Attempt(found, marker.kwargs["seconds"] or item.config.getoption("--time-limit"))
    return item.stash[_ATTEMPT]


def pytest_itemcollected(item: pytest.Item) -> None:
    attempt = _attempt(item)
    if attempt is not None:
        item.extra_keyword_matches.add(attempt.exercise.name)
        item.add_marker(f"hour{attempt.exercise.hour}")
        item.add_marker("stretch" if attempt.exercise.stretch else "core")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Import no file of checks of which none will run: to do still, known already, or not asked for."""
    config = parent.config
    session = config.stash.get(_SESSION, None)
    if session is None or module_path.parent != session.course.root / "checks":
        return None
    hour = next((h for h in session.course.hours if module_path.name == f"test_{h.file_name}"), None)
    wanted = selection.wanted(config, session.course)
    if hour is None or any(wanted(each) and _may_run(session, each, config) for each in hour.exercises):
        return None
    return outline_of(module_path, parent, exercise)


def _may_run(session: Session, about: Exercise, config: pytest.Config) -> bool:
    """Whether a check of this exercise may have to run."""
    if session.files.is_stub(about):
        return False
    if session.kept is None:
        return True
    path = session.files.path(about)
    return any(_known(session, session.kept.keys(about, check.name, path), config) is None for check in about.checks)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    session = config.stash.get(_SESSION, None)
    if session is None:
        return
    selection.refuse_a_misspelt_keyword(config, session.course, items)
    wanted = selection.wanted(config, session.course)
    kept, dropped = list[pytest.Item](), list[pytest.Item]()
    for item in items:
        attempt = _attempt(item)
        (kept if attempt is None or wanted(attempt.exercise) else dropped).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
    items[:] = sorted(kept, key=_takes_minutes)


def _takes_minutes(item: pytest.Item) -> bool:
    attempt = _attempt(item)
    check = _check(item, attempt.exercise) if attempt else None
    return check is not None and check.long


def _check(item: pytest.Item, exercise: Exercise) -> Check | None:
    return next((check for check in exercise.checks if check.name == item.name), None)


# --- running one check ---


@pytest.fixture
def answer(request: pytest.FixtureRequest) -> Iterator[Answer]:
    """The learner's function for the exercise this check is about."""
    attempt, session = _attempt(request.node), request.config.stash.get(_SESSION, None)
    if attempt is None or session is None:
        raise pytest.UsageError(f"{request.node.nodeid} asks for `answer` but has no @exercise(…)")
    seconds = SECONDS_AFTER_TIMEOUT if attempt.exercise.name in session.timed_out else attempt.seconds
    try:
        attempt.answer = session.files.answer(attempt.exercise, min(seconds, attempt.seconds))
    except StillToDo as todo:
        raise _SetAside(str(todo)) from todo
    with temporary_files_in(session.scratch):
        yield attempt.answer


@pytest.fixture
def given(answer: Answer) -> Callable[..., Any]:
    """Calls a function of `checks/given/` where the answer runs: `model, tokenizer = given(encoder, checkpoint)`."""
    return answer.given


@pytest.fixture
def clean_room(answer: Answer) -> Callable[..., Any]:
    """Calls a function of `checks/given/` where none of the learner's code is: `clean_room(latency, files)`."""
    return answer.clean_room


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers, seeded afresh for every graded run and for every check."""
    attempt = _attempt(request.node)
    if attempt is None:
        raise pytest.UsageError(f"{request.node.nodeid} asks for `rng` but has no @exercise(…)")
    return rng_for(request.config.stash[_SESSION].seed, attempt.exercise, request.node.name)


class _SetAside(Skipped):
    """What is neither right nor wrong is skipped, for pytest: no traceback, no debugger. Its cause says why."""


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    try:
        return (yield)
    except (NotImplementedError, Undecided, NotApplicable) as error:
        if _attempt(pyfuncitem) is None:
            raise
        raise _SetAside(str(error)) from error


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Have the supervisor's child run a check that would run changed code of the learner's."""
    attempt = _attempt(item)
    session = item.config.stash.get(_SESSION, None)
    if attempt is None or session is None or session.files.is_stub(attempt.exercise):
        return None
    keys = _keys(session, attempt, item)
    known = _known(session, keys, item.config)
    waiting = None if known else _waiting(session, attempt, item)
    if known is None and waiting is None and not session.supervised:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    if known is not None:
        reports = _reports_of(item, attempt, known)
        setattr(reports[0], _REUSED_KEY, True)
    elif waiting is not None:
        reports = _reports_of(item, attempt, waiting)
    else:
        if session.supervisor is None:
            session.supervisor = supervisor.Supervisor(lambda index: _run_in_child(item.session.items[index]))
        reports = _supervised(item, attempt, session, session.supervisor)
        for report in reports if keys else ():
            if hasattr(report, _REPORT_KEY):
                setattr(report, _KEYS_KEY, msgspec.to_builtins(keys))
    for report in reports:
        if _state(report) is State.TIMEOUT:
            session.timed_out.add(attempt.exercise.name)
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _keys(session: Session, attempt: Attempt, item: pytest.Item) -> Keys | None:
    if session.kept is None:
        return None
    return session.kept.keys(attempt.exercise, item.name, session.files.path(attempt.exercise))


def _known(session: Session, keys: Keys | None, config: pytest.Config) -> Verdict | None:
    """The verdict of an earlier run, if nothing has changed; with `-v`, a wrong one only with its traceback."""
    if session.kept is None or keys is None or config.getoption("--fresh"):
        return None
    verdict = session.kept.find(keys)
    wanted = verdict is not None and (verdict.state is State.PASSED or config.get_verbosity() <= 0)
    return verdict if wanted else None


def _waiting(session: Session, attempt: Attempt, item: pytest.Item) -> Verdict | None:
    """The verdict on a check that takes minutes, as long as quicker ones have something to say."""
    exercise = attempt.exercise
    check = _check(item, exercise)
    if check is None or not check.long:
        return None
    if not any(v.exercise == exercise.name and v.state not in HELD_AGAINST_NOBODY for v in session.verdicts):
        reporter = item.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and not hasattr(item.config, "workerinput"):
            reporter.write_line(f"{exercise.name} {check.title}: this takes minutes, once; the verdict is kept.")
        return None
    return waits_for_the_quick_ones(exercise, check.name)


def _supervised(
    item: pytest.Item, attempt: Attempt, session: Session, child: supervisor.Supervisor
) -> list[pytest.TestReport]:
    result = child.run(item.session.items.index(item))
    if isinstance(result, list) and "quit" in result[0]:
        pytest.exit(result[0]["quit"])
    if isinstance(result, list) and "broken" in result[0]:
        raise RuntimeError(f"the kit itself failed, in the process that runs the answers:\n{result[0]['broken']}")
    if isinstance(result, supervisor.Lost):
        return _reports_of_loss(item, attempt, session, result)
    return [item.config.hook.pytest_report_from_serializable(config=item.config, data=data) for data in result]


def _run_in_child(item: pytest.Item) -> list[dict[str, Any]]:
    from _pytest.runner import runtestprotocol

    try:
        reports = runtestprotocol(item, nextitem=None, log=False)
    except pytest.exit.Exception as error:  # somebody has left the debugger
        return [{"quit": str(error)}]
    except Exception:  # not the answer's, whose exceptions are in the reports: nobody's verdict must say it was
        return [{"broken": traceback.format_exc()}]
    to_data = item.config.hook.pytest_report_to_serializable
    return [to_data(config=item.config, report=report) for report in reports]


def _reports_of_loss(
    item: pytest.Item, attempt: Attempt, session: Session, lost: supervisor.Lost
) -> list[pytest.TestReport]:
    verdict = verdict_on_loss(session.course, session.files, attempt.exercise, item.name, lost)
    return _reports_of(item, attempt, verdict)


def _reports_of(item: pytest.Item, attempt: Attempt, verdict: Verdict) -> list[pytest.TestReport]:
    """What pytest is told of a check that was not run in its own process, nor in the supervisor's child."""
    keywords: dict[str, Any] = dict.fromkeys(item.keywords, 1)
    properties = [("deepdive_state", str(verdict.state))]
    report, end = (
        pytest.TestReport(item.nodeid, item.location, keywords, "passed", None, when, user_properties=properties)
        for when in ("call", "teardown")
    )
    _tell(report, verdict, attempt.exercise, "")
    return [report, end]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport | None:
    attempt, session = _attempt(item), item.config.stash.get(_SESSION, None)
    if attempt is None or session is None or (call.excinfo is None and call.when != "call"):
        return None
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, _SetAside):
        error = error.__cause__
    report = pytest.TestReport.from_item_and_call(item, _without_error(call))
    report.sections = [(name, capped(text)) for name, text in report.sections]
    verdict = verdict_on(
        session.course,
        attempt.exercise,
        item.name,
        attempt.answer,
        error,
        path=session.files.path(attempt.exercise),
        seconds=round(call.duration, 4),
        output=capped(report.capstdout) if error is not None else "",
    )
    if verdict.state is State.TIMEOUT:
        session.timed_out.add(attempt.exercise.name)
    if not session.supervised and (keys := _keys(session, attempt, item)):
        setattr(report, _KEYS_KEY, msgspec.to_builtins(keys))
    item.user_properties.append(("deepdive_state", str(verdict.state)))  # JUnit XML shows it
    shown = ""
    if _without_tracebacks(item.config):
        _tell(report, verdict, attempt.exercise, "")
        report.longrepr = str(report.longrepr).partition("\n")[0] if report.failed else report.longrepr
        return report
    if call.excinfo and (item.config.get_verbosity() > 0 or verdict.state is State.KIT_ERROR):
        shown = str(item.repr_failure(call.excinfo))
    _tell(report, verdict, attempt.exercise, shown)
    return report


def _without_error(call: pytest.CallInfo[None]) -> pytest.CallInfo[None]:
    """The same call as if it had gone well: pytest takes 40 ms to write a traceback that nobody will read."""
    well = copy(call)
    well.excinfo = None
    well._result = None
    return well


def _tell(report: pytest.TestReport, verdict: Verdict, exercise: Exercise, shown: str) -> None:
    """Put a verdict into a pytest report, in pytest's own terms."""
    report.outcome = _AS_PYTEST[verdict.state][0]  # type: ignore[assignment]
    if report.outcome == "skipped":
        path, line, _ = report.location
        reason = f"{verdict.state}: {verdict.likely}" if verdict.likely else str(verdict.state)
        report.longrepr = (path, line or 0, reason)
    elif report.outcome == "failed":
        text = file_block(verdict) if verdict.file else block(verdict, exercise)
        report.longrepr = f"{text}\n\n{shown}" if shown else text
    else:
        report.longrepr = None
    setattr(report, _REPORT_KEY, msgspec.to_builtins(verdict))


def _without_tracebacks(config: pytest.Config) -> bool:
    return bool(config.getoption("tbstyle", "auto") == "no")  # `-p no:terminal` takes the option away


def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport, sched: Any) -> None:
    """Under xdist, a worker died in the middle of a check that was not supervised."""
    config = getattr(sched, "config", None)
    session = config.stash.get(_SESSION, None) if config else None
    if session is None:
        return
    name = crashitem.rpartition("::")[2]
    for found in session.course.exercises:
        if name in {check.name for check in found.checks}:
            verdict = Verdict(
                hour=found.hour, exercise=found.name, check=name, state=State.CRASHED, got="its process died"
            )
            _tell(report, verdict, found, "")


def pytest_enter_pdb() -> None:
    limits.suspend()


@pytest.hookimpl(tryfirst=True)  # before the terminal's summary
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    ours = config.stash.get(_SESSION, None)
    if ours is None:
        return
    if ours.supervisor is not None:
        ours.supervisor.close()
    ours.verdicts = in_course_order(ours.course, ours.verdicts)
    if ours.kept is not None and not hasattr(config, "workerinput"):
        ours.kept.add(ours.new)
    path = config.getoption("--deepdive-json")
    if path and not hasattr(config, "workerinput"):
        try:
            against = ours.against or "exercises"
            write_record(record_of(ours.course, ours.verdicts, against, ours.seed, describe()), path)
        except OSError as error:
            pytest.exit(f"--deepdive-json {path} could not be written: {error.strerror}", returncode=3)


# --- telling people ---


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, Any] | None:
    state = _state(report)
    if state is None:
        return None
    _, word, letter = _AS_PYTEST[state]
    colour = {"passed": "green", "failed": "red"}.get(word, "yellow")
    return word, letter, (f"{str(state).upper()} {getattr(report, _REPORT_KEY)['exercise']}", {colour: True})


def pytest_report_header(config: pytest.Config) -> str | None:
    session = config.stash.get(_SESSION, None)
    if session is None or not session.against:
        return None
    return f"deepdive: the answers of {session.against}"


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outside pytest's own, which writes its failures first
def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> Generator[None, None, None]:
    from deepdive.callees import with_callees
    from deepdive.report import terminal
    from deepdive.report.board import board_of
    from deepdive.stubs import changed_stubs

    session = config.stash.get(_SESSION, None)
    if session is None or not session.verdicts:
        yield
        return
    quietly = config.get_verbosity() <= 0 and not _without_tracebacks(config)
    failed = terminalreporter.stats.pop("failed", []) if quietly else []
    others = [r for r in failed if _state(r) in (None, State.KIT_ERROR)]
    if others:
        terminalreporter.stats["failed"] = others
    if quietly:
        terminalreporter.ensure_newline()
        shown = session.verdicts
        if session.kept is not None:
            shown = with_callees(session.course, session.files, session.kept, shown)
        terminal.write_blocks(terminalreporter._tw, session.course, shown)
    yield
    if failed:
        terminalreporter.stats["failed"] = failed
    if config.get_verbosity() >= -1:
        changed = () if session.against else changed_stubs(session.course).lines
        board = board_of(session.course, session.verdicts, session.files, session.against, session.reused, changed)
        terminalreporter.ensure_newline()
        terminal.write_board(terminalreporter._tw, board, brief=config.get_verbosity() < 0)


def _state(report: pytest.TestReport) -> State | None:
    data = getattr(report, _REPORT_KEY, None)
    return State(data["state"]) if data else None
