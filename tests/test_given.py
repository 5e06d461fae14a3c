"""What an answer is handed that is not plain data: made where it runs, looked into there, made anew for diagnosis.

Every test runs both ways: in this process, and with the answer in a jail.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deepdive.answers import Answer
from deepdive.course import Course, load_course
from deepdive.diagnose import name_mistake
from deepdive.expect import WrongAnswer
from deepdive.jail.zygote import choose_tier
from deepdive.judge import verdict_on
from deepdive.transcript import own_copies
from deepdive.verdict import State, Verdict, read_record
from tests.conftest import Run

SOLUTION = '''"""Hour 1 · Objects

The plan.
"""

import json


class Counter:
    def __init__(self, steps):
        self.steps = steps


def advance(counter: object, n: int) -> int:
    """Move a counter, and say where it stands."""
    ### BEGIN SOLUTION
    counter.value += n
    return counter.value
    ### END SOLUTION


def steps_of(n: int) -> object:
    """A counter of n steps."""
    ### BEGIN SOLUTION
    return Counter(n)
    ### END SOLUTION


def first_line(path: str) -> str:
    """The first line of a file."""
    ### BEGIN SOLUTION
    with open(path) as file:
        return file.readline()
    ### END SOLUTION


def save_total(numbers: list, folder: str) -> None:
    """Save the sum of some numbers as JSON in `total.json`."""
    ### BEGIN SOLUTION
    with open(f"{folder}/total.json", "w") as file:
        json.dump({"total": sum(numbers)}, file)
    ### END SOLUTION
'''

GIVEN = """import json
import os
import tempfile
from pathlib import Path


class Counter:
    def __init__(self, value):
        self.value = value


def counter(value):
    return Counter(value), value


def written(lines):
    path = os.path.join(tempfile.mkdtemp(), "lines.txt")
    with open(path, "w") as file:
        file.write("\\n".join(lines))
    return path


def steps_in(made):
    if not hasattr(made, "steps"):
        raise TypeError(f"a counter was asked for, not a {type(made).__name__}")
    return made.steps


def unpacked(files):
    place = tempfile.mkdtemp()
    for name, content in files.items():
        Path(place, name).write_bytes(content)
    return place


def twice(function, counter, n):
    return [function(counter, n), function(counter, n)]


def folder():
    return tempfile.mkdtemp()


def files_in(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def total_in(files):
    if files["total.json"] == b"abort":  # as a model might do to a library that loads it
        os.abort()
    return json.loads(files["total.json"])["total"]


def broken():
    raise RuntimeError("the kit's own fault")
"""

CHECKS = """from checks.given.hour1_objects import broken, counter, files_in, folder, steps_in, total_in
from checks.given.hour1_objects import twice, unpacked, written
from deepdive.expect import expect
from deepdive.pytest_plugin import exercise


@exercise("advance", points=1, minutes=1)
def test_moves_from_where_it_stands(answer, given):
    made, value = given(counter, 5)
    expect(answer(made, 2)).equals(value + 2)
    expect(answer(made, 3)).equals(value + 5)


@exercise("advance")
def test_can_be_called_by_others(answer, given):
    made, _ = given(counter, 1)
    expect(given(twice, answer, made, 4)).equals([5, 9])


@exercise("advance")
def test_is_faster_than_counting(answer, given):
    def slowly(counter, n):
        total = 0
        for _ in range(2_000_000):
            total += 1
        counter.value += n
        return counter.value

    made, _ = given(counter, 0)
    expect(answer).faster_than(slowly, on=lambda: (made, 1), at_least=2)


@exercise("steps_of", points=1, minutes=1)
def test_keeps_the_steps(answer, given):
    made = answer(7)
    expect(given(steps_in, made)).equals(7)


@exercise("first_line", points=1, minutes=1)
def test_reads_the_first_line(answer, given):
    expect(answer(given(written, ["one", "two"]))).equals("one\\n")


@exercise("first_line")
def test_reads_the_first_line_of_a_file_of_the_checks(answer, given):
    expect(answer(given(unpacked, {"lines.txt": b"one\\ntwo"}) + "/lines.txt")).equals("one\\n")


@exercise("save_total", points=1, minutes=1)
def test_saves_the_sum(answer, given, clean_room):
    place = given(folder)
    answer([2, 3], place)
    expect(clean_room(total_in, given(files_in, place))).equals(5)
"""

MISTAKES = '''from deepdive.diagnose import mistake


@mistake(of="advance")
def set_instead(counter, n):
    """The counter was set instead of moved."""
    counter.value = n
    return counter.value


@mistake(of="advance")
def said_and_then_moved(counter, n):
    """The counter was read before it was moved."""
    value = counter.value
    counter.value += n
    return value


@mistake(of="steps_of")
def one_too_many(n):
    """A step was counted twice."""
    return type("Counter", (), {"steps": n + 1})()


@mistake(of="first_line")
def the_whole_file(path):
    """The whole file was read."""
    with open(path) as file:
        return file.read()


@mistake(of="save_total")
def counted(numbers, folder):
    """The numbers were counted instead of summed."""
    with open(f"{folder}/total.json", "w") as file:
        file.write(f'{{"total": {len(numbers)}}}')
'''

LEARNT = SOLUTION.replace("### BEGIN SOLUTION", "").replace("### END SOLUTION", "")
CHOICE = choose_tier()


@pytest.fixture
def course(small_course: Course) -> Course:
    root = small_course.root
    for path in root.glob("**/*hour1_small*"):
        path.unlink()
    for name, text in {
        "solutions/hour1_objects.py": SOLUTION,
        "checks/test_hour1_objects.py": CHECKS,
        "checks/mistakes/hour1_objects.py": MISTAKES,
        "checks/given/hour1_objects.py": GIVEN,
    }.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return load_course(root)


Judged = Callable[[str], dict[str, Verdict]]


@pytest.fixture(params=["in process", "jailed"])
def judged(request: pytest.FixtureRequest, course: Course, run: Run) -> Judged:
    """Write a learner's file; the verdicts by check."""
    if request.param == "jailed" and CHOICE.tier is None:
        pytest.skip("; ".join(CHOICE.reasons))
    folder = course.root / "exercises"
    commands = {
        "in process": (["pytest", "--deepdive-json", "record.json"], course.root / "record.json"),
        "jailed": (["deepdive", "grade", str(folder), "--seed", "0", "--json", "."], course.root / "exercises.json"),
    }
    command, record = commands[request.param]

    def judge(text: str) -> dict[str, Verdict]:
        folder.mkdir(exist_ok=True)
        (folder / "hour1_objects.py").write_text(text)
        result = run(*command)
        assert record.exists(), result.stdout + result.stderr
        return {verdict.check: verdict for verdict in read_record(record).verdicts}

    return judge


def test_a_right_answer_passes(judged: Judged) -> None:
    verdicts = judged(LEARNT)
    assert {v.check: (v.state, v.got, v.likely) for v in verdicts.values() if v.state is not State.PASSED} == {}
    assert len(verdicts) == 7


@pytest.mark.parametrize(
    ("right", "wrong", "names"),
    [
        ("counter.value += n\n", "counter.value = n\n", {"set_instead"}),
        (
            "counter.value += n\n    return counter.value",
            "counter.value += n\n    return counter.value - n",
            {"said_and_then_moved"},
        ),
        ("return Counter(n)", "return Counter(n + 1)", {"one_too_many"}),
        ("return file.readline()", "return file.read()", {"the_whole_file"}),
        ("sum(numbers)", "len(numbers)", {"counted"}),
    ],
)
def test_a_mistake_is_named_by_what_it_did_with_objects_of_its_own(
    judged: Judged, right: str, wrong: str, names: set[str]
) -> None:
    assert right in LEARNT
    verdicts = judged(LEARNT.replace(right, wrong))
    assert {v.mistake for v in verdicts.values() if v.mistake} == names
    untimed = [v for check, v in verdicts.items() if check != "test_is_faster_than_counting"]
    assert all(v.mistake for v in untimed if v.state is State.FAILED)


def test_what_cannot_be_looked_into_is_a_wrong_answer_and_says_why(judged: Judged) -> None:
    verdict = judged(LEARNT.replace("return Counter(n)", "return [n]"))["test_keeps_the_steps"]
    assert verdict.state is State.FAILED
    assert "a counter was asked for, not a list" in verdict.got


def test_an_error_of_the_answer_that_others_called_is_its_own_error(judged: Judged) -> None:
    verdict = judged(LEARNT.replace("counter.value += n", "counter.valeu += n"))["test_can_be_called_by_others"]
    assert verdict.state is State.ERROR
    assert "valeu" in verdict.got
    assert "counter.valeu += n" in verdict.frames


def test_a_maker_that_breaks_is_the_kits_fault(judged: Judged, course: Course) -> None:
    path = course.root / "checks" / "test_hour1_objects.py"
    path.write_text(
        path.read_text().replace("given(written, ", "given(broken, ").replace('broken, ["one", "two"]', "broken")
    )
    verdict = judged(LEARNT)["test_reads_the_first_line"]
    assert verdict.state is State.KIT_ERROR
    assert "the kit's own fault" in verdict.got


def test_what_an_answer_made_and_nobody_can_use_is_a_wrong_answer(judged: Judged) -> None:
    verdict = judged(LEARNT.replace('json.dump({"total": sum(numbers)}, file)', 'file.write("{")'))[
        "test_saves_the_sum"
    ]
    assert verdict.state is State.FAILED
    assert "what it made cannot be used" in verdict.got


@pytest.mark.parametrize("judged", ["jailed"], indirect=True)
@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("json.loads = lambda text: {'total': 5}; file.write('{}')", "'total'"),  # no patch of its own is there
        ("file.write('abort')", "it died"),
    ],
)
def test_the_clean_room_holds_nothing_of_the_answer_and_outlives_what_it_loads(
    judged: Judged, made: str, told: str
) -> None:
    verdicts = judged(LEARNT.replace('json.dump({"total": sum(numbers)}, file)', made))
    assert verdicts["test_saves_the_sum"].state is State.FAILED
    assert told in verdicts["test_saves_the_sum"].got
    assert verdicts["test_reads_the_first_line"].state is State.PASSED


@pytest.mark.parametrize("way", ["clean_room", "given"])
def test_what_an_answer_made_is_never_loaded_by_the_grader_itself(small_course: Course, way: str) -> None:
    loaded = []

    def saved() -> dict[str, bytes]:
        return {"model.onnx": b"hostile"}

    def load(files: dict[str, bytes]) -> int:
        loaded.append(files)
        return 1

    answer = Answer(small_course.exercise("double"), lambda x: 3 * x)
    answer.jailed = True
    answer(np.arange(3.0))
    getattr(answer, way)(load, answer.given(saved))
    answer(np.arange(4.0))
    loaded.clear()
    known = name_mistake(small_course, answer)
    assert known is not None  # by the calls before the file came up
    assert known.name == "tripled"
    own_copies(answer, (np.arange(3.0),))
    wrong = WrongAnswer("float64", "something else")
    verdict_on(small_course, answer.exercise, "test_doubles_every_value", answer, wrong, path=Path())
    assert loaded == []


def test_nothing_is_left_in_the_folder_for_temporary_files(course: Course, run: Run, tmp_path: Path) -> None:
    (tmp_path / "exercises").mkdir()
    (tmp_path / "exercises" / "hour1_objects.py").write_text(LEARNT)
    folder = tmp_path / "temporary"
    folder.mkdir()
    assert run("pytest", TMPDIR=str(folder)).returncode == 0
    assert list(folder.iterdir()) == []
