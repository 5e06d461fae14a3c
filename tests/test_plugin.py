"""The product, through its front door: plain pytest on the small course, with answers of every kind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deepdive.course import Course
from deepdive.verdict import Record, read_record
from tests.conftest import ROOT, SOLUTION, Answers, Run


def with_double(body: str, before: str = "") -> str:
    """The right file, but for the body of `double`."""
    body = body.replace("\n", "\n    ")
    return before + re.sub(
        r"    ### BEGIN SOLUTION\n    return 2 \* x\n    ### END SOLUTION", lambda _: f"    {body}", SOLUTION
    )


@pytest.fixture
def judge(run: Run, answers: Answers, small_course: Course) -> Callable[..., Any]:
    """Run pytest on a learner's file; give its standard output and the record it wrote."""

    def call(text: str, *options: str, **environment: str) -> tuple[str, Record]:
        answers(text)
        limit = 60 if "torch" in text else 2  # importing torch takes seconds; an endless loop need not
        result = run("pytest", "--deepdive-json", "out.json", f"--time-limit={limit}", *options, **environment)
        assert (small_course.root / "out.json").exists(), result.stdout + result.stderr
        return result.stdout, read_record(small_course.root / "out.json")

    return call


def state_of(record: Record, check: str) -> str:
    return next(str(v.state) for v in record.verdicts if v.check == check)


# --- the states ---


def test_a_fresh_clone_is_all_to_do_on_one_screen(run: Run, small_course: Course) -> None:
    run("deepdive", "build")
    result = run("pytest")
    assert result.returncode == 0
    assert "5 todo" in result.stdout
    assert "write double" in result.stdout
    assert "pytest -k double" in result.stdout
    assert "Error" not in result.stdout
    assert len(result.stdout.splitlines()) <= 24


def test_a_run_on_stubs_imports_no_answer(run: Run, small_course: Course) -> None:
    run("deepdive", "build")
    path = small_course.root / "exercises" / "hour1_small.py"
    path.write_text(path.read_text() + "\nraise SystemExit('imported')\n")
    assert "5 todo" in run("pytest").stdout


def test_right_answers_pass_and_earn_all_points(judge: Any) -> None:
    out, record = judge(SOLUTION)
    assert "5 passed" in out
    assert "Every exercise passes" in out
    assert (record.earned, record.possible) == (4, 4)


def test_a_known_mistake_is_named_in_a_six_line_block(judge: Any) -> None:
    out, record = judge(with_double("return x**2"))
    block = out[out.index("✗ double") : out.index("✗ quadruple")]
    heading, *lines = block.splitlines()
    assert heading == "✗ double · doubles every value" + "hour 1 · 0/2 points".rjust(50)
    labelled = dict(line.split(maxsplit=1) for line in lines if re.match(r"  \w+  ", line))
    assert list(labelled) == ["called", "expected", "got", "likely", "next", "also"]
    assert labelled["called"] == "double(x: float64[2,3])"
    assert labelled["likely"] == "The values were squared instead of doubled."
    assert labelled["next"] == "deepdive hint double"
    assert "6 of 6 values differ, the worst by" in block
    assert {v.mistake for v in record.verdicts if v.exercise == "double"} == {"squared"}


def test_an_exercise_earns_its_points_only_when_all_of_its_checks_pass(judge: Any) -> None:
    _, record = judge(with_double("return 2.0 * x"))
    outcome = next(o for o in record.outcomes if o.exercise == "double")
    assert (str(outcome.state), outcome.earned, outcome.passed_checks, outcome.checks) == ("failed", 0, 1, 2)


def test_an_answer_that_calls_one_still_to_do_waits_for_it(judge: Any) -> None:
    _, record = judge(with_double("raise NotImplementedError"))
    (verdict,) = [v for v in record.verdicts if v.exercise == "quadruple"]
    assert (str(verdict.state), verdict.likely) == ("todo", "It calls double, which is still to do.")


def test_an_exception_shows_the_learners_own_frames_only(judge: Any) -> None:
    out, record = judge(with_double("return x.no_such_thing"))
    assert state_of(record, "test_doubles_every_value") == "error"
    assert "AttributeError: 'numpy.ndarray' object has no attribute 'no_such_thing'" in re.sub(r"\s+", " ", out)
    assert "File exercises/hour1_small.py, line" in out
    assert "return x.no_such_thing" in out
    assert "answers.py" not in out


@pytest.mark.parametrize(
    ("body", "state", "told"),
    [
        ("print(x)", "failed", "is a `return` missing?"),
        ("return x.tolist()", "failed", "np.array(…) makes one of it"),
        ("yield x", "failed", "has a `yield` where it should `return`"),
        ("import torch\nreturn torch.tensor(2 * x)", "failed", ".numpy() makes one of it"),
        ("return (2 * x).astype(object)", "failed", "object"),
        ("return (2 * x).astype(complex)", "failed", "complex"),
        ("return 2 * x[:1]", "failed", "shape differs"),
        ("x *= 2\nreturn x", "failed", "was changed in place"),
        ("x *= 3\nreturn x", "failed", "changed its input x in place"),
        ("return double(x)", "error", "calls itself without end"),
        ("import sys\nsys.exit(0)", "error", "tried to end the whole program"),
        ("import pytest\npytest.exit('bye')", "error", "tried to end the whole program"),
        ("import pytest\npytest.skip('bye')", "error", "tried to end the whole program"),
        ("while True:\n    pass", "timeout", "no answer within 2 s"),
        ("import os\nos._exit(0)", "crashed", "ended the whole process, with exit code 0"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "crashed", "segmentation fault"),
    ],
)
def test_odd_answers_get_a_clear_word_and_the_run_goes_on(judge: Any, body: str, state: str, told: str) -> None:
    out, record = judge(with_double(body))
    assert state_of(record, "test_doubles_every_value") == state
    assert told in re.sub(r"\s+", " ", out)
    assert state_of(record, "test_splits_in_the_middle") == "passed"
    assert "Traceback" not in out


@pytest.mark.skipif(sys.platform != "linux", reason="answers run in pytest's own process")
def test_an_answer_does_not_outlive_a_pytest_that_is_killed(small_course: Course, answers: Answers, run: Run) -> None:
    kills = "import os, time\nos.kill(os.getppid(), 9)\ntime.sleep(2)\nopen('outlived', 'w')"
    answers(with_double(kills))
    assert run("pytest").returncode == -signal.SIGKILL  # once nobody holds its pipes any more
    assert not (small_course.root / "outlived").exists()


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_an_endless_call_into_c_costs_only_its_own_verdict(judge: Any, options: tuple[str, ...]) -> None:
    out, record = judge(with_double("return sum(range(10**12))"), *options)
    assert state_of(record, "test_doubles_every_value") == "timeout"
    assert "did not react to the time limit" in re.sub(r"\s+", " ", out)
    assert state_of(record, "test_splits_in_the_middle") == "passed"


def test_an_exercise_that_hangs_is_waited_for_once(judge: Any) -> None:
    _, record = judge(with_double("while True:\n    pass"))
    seconds = [v.seconds for v in record.verdicts if v.exercise == "double"]
    assert seconds[0] >= 2 > seconds[1]


def test_a_megabyte_of_prints_is_capped(judge: Any) -> None:
    out, record = judge(with_double("print('a' * 1_000_000)\nprint('\\x1b[31mred')\nreturn x"))
    assert "characters left out" in out
    assert len(out) < 20_000
    assert "\x1b" not in out
    assert max(len(v.output) for v in record.verdicts) < 3_000


def test_prints_of_answers_that_pass_are_not_shown(judge: Any) -> None:
    out, _ = judge(with_double("print('hello there')\nreturn 2 * x"))
    assert "hello there" not in out


def test_a_library_that_has_not_implemented_something_is_no_todo(judge: Any) -> None:
    _, record = judge(with_double("import torch\nreturn torch.softmax(torch.tensor([1, 2]), 0).numpy()"))
    assert state_of(record, "test_doubles_every_value") == "error"


def test_an_answer_half_written_says_how_far_it_is(judge: Any) -> None:
    out, record = judge(with_double("if x.dtype.kind == 'i':\n    raise NotImplementedError\nreturn 2 * x"))
    assert state_of(record, "test_doubles_whole_numbers") == "todo"
    assert "double 1 of 2 checks pass" in out


def test_an_error_inside_another_exercise_says_which_to_mend_first(judge: Any) -> None:
    _, record = judge(with_double("return x.T @ x.nothing"))
    (verdict,) = [v for v in record.verdicts if v.exercise == "quadruple"]
    assert verdict.likely == "It goes wrong inside your double: mend that first."


def test_an_answer_that_returns_nothing_where_it_should_refuse(judge: Any) -> None:
    _, record = judge(
        SOLUTION.replace("    if len(x) % 2:", "    if len(x) % 2:\n        return").replace(
            "-> tuple[np.ndarray, np.ndarray]", ""
        )
    )
    (verdict,) = [v for v in record.verdicts if v.check == "test_refuses_an_odd_number"]
    assert verdict.got == "no error, but None"


def test_the_call_that_is_shown_is_the_one_that_went_wrong(judge: Any, small_course: Course) -> None:
    path = small_course.root / "checks" / "test_hour1_small.py"
    path.write_text(
        path.read_text()
        + """

@exercise("double")
def test_two_calls(answer):
    first, second = answer(np.ones(3)), answer(np.ones((2, 2)))
    expect(first).close_to(2 * np.ones(3))
"""
    )
    _, record = judge(with_double("return 3 * x"))
    (verdict,) = [v for v in record.verdicts if v.check == "test_two_calls"]
    assert verdict.called == "double(x: float64[3])"


def test_out_of_memory_is_called_by_its_name(judge: Any) -> None:
    """Under a limit of the test's own: the answer itself lowers it, so that no machine is filled."""
    body = """import resource
resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, resource.RLIM_INFINITY))
kept = []
while True:
    kept.append(np.ones(5_000_000))"""
    out, record = judge(with_double(body), "-k", "double", "--time-limit=60")
    assert "out of memory" in re.sub(r"\s+", " ", out) or "MemoryError" in out
    assert {str(v.state) for v in record.verdicts} <= {"error", "crashed"}


@pytest.mark.parametrize(
    "body",
    [
        "import os\nif os.fork() == 0:\n    pass\nreturn 2 * x",
        "import subprocess\nsubprocess.Popen(['sleep', '7'])\nreturn 2 * x",
    ],
)
def test_children_of_an_answer_change_nothing_and_do_not_outlive_it(judge: Any, body: str) -> None:
    out, record = judge(with_double(body))
    assert "5 passed" in out
    assert (record.earned, record.possible) == (4, 4)
    sleeping = subprocess.run(["pgrep", "-x", "-f", "sleep 7"], capture_output=True, text=True)
    assert sleeping.stdout == ""


# --- files that cannot be used ---


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def double(x:\n    return x\n", "exercises/hour1_small.py has a syntax error on line 1"),
        ("import no_such_module\n" + SOLUTION, "could not be loaded: ModuleNotFoundError: No module named"),
        ("raise SystemExit(0)\n" + SOLUTION, "could not be loaded: SystemExit: 0"),
        ("while True:\n    pass\n" + SOLUTION, "did not finish loading within"),
        ("import os\nos._exit(0)\n" + SOLUTION, "took its process down while it was loaded"),
        ("sum(range(10**12))\n" + SOLUTION, "took its process down while it was loaded"),
        ("x = '\0'\n", "syntax error"),
    ],
)
def test_a_broken_file_is_told_once_and_not_for_every_exercise(judge: Any, text: str, told: str) -> None:
    out, record = judge(text)
    assert told in re.sub(r"\s+", " ", out)
    assert out.count("✗ exercises") == 1
    assert "mend exercises/hour1_small.py" in out
    assert {str(v.state) for v in record.verdicts} <= {"error", "timeout", "crashed"}
    assert record.possible == 4


def test_a_missing_file_says_how_to_get_a_fresh_one(run: Run, small_course: Course) -> None:
    result = run("pytest")
    assert result.returncode == 1
    assert "exercises/hour1_small.py is missing" in result.stdout
    assert "deepdive build" in result.stdout


def test_a_renamed_function_is_asked_about(judge: Any) -> None:
    out, record = judge(SOLUTION.replace("def double(", "def doubles("))
    assert "Was it renamed? The file has doubles." in re.sub(r"\s+", " ", out)
    assert record.possible == 4


def test_a_changed_signature_is_told(judge: Any) -> None:
    out, _ = judge(SOLUTION.replace("def double(x: np.ndarray)", "def double(x, y)"))
    assert "double(x, y)" in out
    assert "missing a required argument: 'y'" in re.sub(r"\s+", " ", out)


def test_a_name_that_holds_no_function_is_told(judge: Any) -> None:
    out, _ = judge(SOLUTION + "\ndouble = 3\n")
    assert "The name double holds something else." in re.sub(r"\s+", " ", out)


def test_the_checks_own_failure_is_nobody_elses(judge: Any, small_course: Course) -> None:
    path = small_course.root / "checks" / "test_hour1_small.py"
    path.write_text(path.read_text().replace("x = rng.normal(size=(2, 3))", "x = rng.no_such_distribution()"))
    out, record = judge(SOLUTION)
    assert state_of(record, "test_doubles_every_value") == "kit error"
    assert "the kit's fault, not yours" in re.sub(r"\s+", " ", out)


def test_an_older_python_is_told_in_a_sentence() -> None:
    program = "import sys; sys.version_info = (3, 10, 4); exec(open('conftest.py').read())"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("deepdive needs Python 3.11 or newer; this is Python 3.10")


# --- what pytest users expect ---


def test_selection_by_exercise_hour_and_kind(judge: Any) -> None:
    for options, count in (
        (("-k", "double"), 2),
        (("--exercise", "halves"), 2),
        (("--exercise", "halves", "--exercise", "double"), 4),
        (("--hour", "1"), 5),
        (("--core",), 4),
        (("--stretch",), 1),
        (("--core", "--stretch"), 5),
        (("-m", "stretch and hour1"), 1),
    ):
        out, _ = judge(SOLUTION, *options)
        assert f"{count} passed" in out, options


@pytest.mark.parametrize("place", ["exercises", "exercises/hour1_small.py"])
def test_whoever_asks_for_the_exercises_gets_their_checks(judge: Any, place: str) -> None:
    out, _ = judge(SOLUTION, place)
    assert "5 passed" in out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--exercise", "duoble"), "there is no exercise 'duoble'; did you mean double?"),
        (("-k", "duoble"), "-k duoble matches no check: there is no exercise 'duoble'; did you mean double?"),
        (("--hour", "9"), "there is no hour 9; there are 1"),
        (("--against", "nowhere"), "--against nowhere: there is no such folder or file"),
        (("--against", "checks"), "the folder holds none of hour1_small.py"),
        (("--against", "conftest.py"), "a file of answers is called hour1_small.py"),
    ],
)
def test_a_slip_in_an_option_ends_with_a_sentence(run: Run, options: tuple[str, ...], told: str) -> None:
    result = run("pytest", *options)
    assert result.returncode == 4
    assert told in result.stderr
    assert "Traceback" not in result.stderr + result.stdout


def test_answers_can_come_from_solutions_a_folder_or_a_file(run: Run, small_course: Course, tmp_path: Path) -> None:
    other = small_course.root / "handed in" / "hour1_small.py"
    other.parent.mkdir()
    other.write_text(with_double("return 3 * x"))
    assert "5 passed" in run("pytest", "--against", "solutions").stdout
    for place in ("handed in", "handed in/hour1_small.py"):
        result = run("pytest", f"--against={place}")
        assert f"These are the answers of {place}." in result.stdout
        assert "added up once too often" in re.sub(r"\s+", " ", result.stdout)


def test_x_stops_at_the_first_failure_and_lf_runs_it_again(judge: Any) -> None:
    text = with_double("return 3 * x")
    out, _ = judge(text, "-x")
    assert "1 failed in" in out
    judge(text)
    out, _ = judge(text, "--lf")
    assert "3 failed, 2 deselected" in out or "3 failed" in out
    assert "passed" not in out.splitlines()[-1]


def test_quiet_and_verbose(judge: Any) -> None:
    text = with_double("return 3 * x")
    quiet, _ = judge(text, "-q")
    verbose, _ = judge(text, "-v")
    assert "test session starts" not in quiet
    assert "once too often" in re.sub(r"\s+", " ", quiet)
    assert "WrongAnswer" not in quiet
    assert "WrongAnswer" in verbose
    assert "checks/test_hour1_small.py::test_doubles_every_value FAILED double" in verbose


def test_one_block_an_exercise_unless_it_runs_alone(judge: Any) -> None:
    text = with_double("return x**2")
    out, _ = judge(text)
    assert out.count("✗ double ·") == 1
    assert "also      doubles whole numbers" in out
    out, _ = judge(text, "-k", "double")
    assert out.count("✗ double ·") == 2


def test_no_traceback_style_means_no_blocks(judge: Any) -> None:
    out, _ = judge(with_double("return 3 * x"), "--tb=no")
    assert "likely" not in out
    assert "3 failed" in out


def test_xdist_gives_the_same_verdicts(judge: Any) -> None:
    text = with_double("return x**2")
    _, alone = judge(text)
    out, spread = judge(text, "-n", "2")
    assert "2 workers" in out
    assert [v.state for v in spread.verdicts] == [v.state for v in alone.verdicts]
    assert [v.likely for v in spread.verdicts] == [v.likely for v in alone.verdicts]


def test_in_process_gives_the_same_verdicts(judge: Any) -> None:
    text = with_double("return x**2")
    _, forked = judge(text)
    _, plain = judge(text, "--in-process")
    assert [(v.state, v.likely, v.got) for v in plain.verdicts] == [
        (v.state, v.likely, v.got) for v in forked.verdicts
    ]


@pytest.mark.parametrize(("options", "forked"), [((), True), (("--in-process",), False), (("--pdb",), False)])
def test_answers_run_in_a_forked_child_unless_asked_not_to(
    run: Run, answers: Answers, small_course: Course, options: tuple[str, ...], forked: bool
) -> None:
    written = small_course.root / "parent"
    answers(with_double(f"import os; open({str(written)!r}, 'w').write(str(os.getppid()))\nreturn 2 * x"))
    run("pytest", *options)
    assert (written.read_text() != str(os.getpid())) is forked


def test_junit_xml_has_every_check_and_its_state(judge: Any, small_course: Course) -> None:
    judge(with_double("return 3 * x"), "--junitxml", "out.xml")
    cases = ET.parse(small_course.root / "out.xml").getroot().findall(".//testcase")
    assert len(cases) == 5
    failures = [case.find("failure") for case in cases]
    (first, *_) = [failure for failure in failures if failure is not None]
    assert "once too often" in re.sub(r"\s+", " ", first.text or "")
    properties = {p.get("value") for case in cases for p in case.iter("property")}
    assert properties == {"passed", "failed"}


def test_the_json_record_is_complete_and_reads_back(judge: Any, small_course: Course) -> None:
    _, record = judge(with_double("return 3 * x"))
    raw = json.loads((small_course.root / "out.json").read_text())
    assert raw["version"] == 1
    assert msgspec.convert(raw, Record) == record
    assert record.assets["source"] == "embedded"
    assert len(record.verdicts) == 5
    assert (record.earned, record.possible) == (1, 4)


def test_the_seed_decides_the_random_inputs(judge: Any, small_course: Course) -> None:
    text = with_double("print(x.ravel()[:3])\nreturn x")
    printed = [
        next(
            v.output
            for v in judge(text, "--deepdive-seed", seed)[1].verdicts
            if v.check == "test_doubles_every_value"
        )
        for seed in ("1", "2", "1")
    ]
    assert printed[0] == printed[2] != printed[1]


def test_a_debugger_stops_in_the_learners_frame(answers: Answers, small_course: Course) -> None:
    answers(with_double("y = 'in my frame'\nraise RuntimeError('stop')"))
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "--pdb", "-x", "-k", "double"],
        cwd=small_course.root,
        input="p y\nq\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "'in my frame'" in result.stdout, result.stdout


def test_a_record_that_cannot_be_written_is_told(run: Run, answers: Answers, small_course: Course) -> None:
    answers(SOLUTION)
    result = run("pytest", "--deepdive-json", "conftest.py/out.json")
    assert result.returncode == 3
    assert "could not be written" in result.stdout + result.stderr
    assert "INTERNALERROR" not in result.stdout + result.stderr


def test_the_record_is_written_without_a_terminal_too(judge: Any) -> None:
    _, record = judge(SOLUTION, "-p", "no:terminal")
    assert record.earned == record.possible


def test_an_answer_that_raises_only_when_it_is_timed_is_its_own_error(judge: Any, small_course: Course) -> None:
    path = small_course.root / "checks" / "test_hour1_small.py"
    path.write_text(
        path.read_text()
        + """

@exercise("double")
def test_is_fast(answer):
    expect(answer).faster_than(lambda x: x + x, on=lambda: (np.ones(7),), at_least=1e-9)
"""
    )
    _, record = judge(with_double("if len(x) == 7:\n    raise RuntimeError('seven')\nreturn 2 * x"))
    assert state_of(record, "test_is_fast") == "error"


def test_ctrl_c_ends_an_answer_that_will_not_end(answers: Answers, small_course: Course) -> None:
    answers(
        with_double(
            "open('begun', 'w')\n"
            "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
        )
    )
    started = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--time-limit=60"],
        cwd=small_course.root,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background have it ignored
    )
    while not (small_course.root / "begun").exists():
        assert started.poll() is None
        time.sleep(0.1)
    os.killpg(started.pid, signal.SIGINT)
    out, _ = started.communicate(timeout=30)
    assert started.returncode == 2
    assert "KeyboardInterrupt" in out
    with pytest.raises(ProcessLookupError):
        os.killpg(started.pid, 0)  # nobody of its group is left


# --- the board ---


def test_the_board_fits_80_columns_in_ascii_without_colour(judge: Any) -> None:
    out, _ = judge(with_double("return x**2"), PYTHONIOENCODING="ascii", NO_COLOR="1")
    assert out.isascii()
    assert "\x1b" not in out
    tail = out[out.index("x double") :]
    assert max(map(len, tail.splitlines())) <= 80
    assert "....." in tail  # the bar


@pytest.mark.parametrize("columns", [40, 60, 120])
def test_the_board_fits_the_terminal(judge: Any, columns: int) -> None:
    out, _ = judge(with_double("return x**2"), COLUMNS=str(columns))
    tail = out[out.index("✗ double") :].splitlines()
    assert max(map(len, tail)) <= columns


def test_colour_is_there_when_asked_for(judge: Any) -> None:
    out, _ = judge(with_double("return x**2"), "--color=yes")
    assert "\x1b[31m" in out


def test_a_partial_run_counts_only_what_ran(judge: Any) -> None:
    out, _ = judge(SOLUTION, "-k", "halves")
    assert "1 of 3 ran" in out
    assert "1/1 points" in out
    assert "see the whole board" in out


def test_an_exercise_by_its_full_name_means_itself_alone(judge: Any, small_course: Course) -> None:
    path = small_course.root / "checks" / "test_hour1_small.py"
    path.write_text(path.read_text().replace("def test_quadruples", "def test_is_double_double"))
    out, _ = judge(SOLUTION, "-k", "double")
    assert "2 passed" in out


def test_the_next_step_is_what_is_wrong_then_what_is_to_do(judge: Any) -> None:
    out, _ = judge(with_double("raise NotImplementedError").replace("x[: len(x) // 2], x", "x, x"))
    assert "mend halves" in out
    out, _ = judge(with_double("raise NotImplementedError"))
    assert "write double" in out


def test_stand_ins_are_never_passed_off_as_originals(judge: Any) -> None:
    out, _ = judge(SOLUTION)
    assert "embedded; stand-ins for bert-base-uncased" in re.sub(r"\s+", " ", out)


def test_an_unknown_source_of_assets_is_told(run: Run, answers: Answers) -> None:
    answers(SOLUTION)
    result = run("pytest", DEEPDIVE_ASSETS="floppy")
    assert result.returncode == 4
    assert "neither of the two" in result.stderr
