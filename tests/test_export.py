"""Exports: each format as its golden has it and as its own parser reads it, whatever names and messages hold.

The goldens are in `goldens/export/`. After a change that is meant, run these tests with DEEPDIVE_GOLDENS=write, and
read the difference.
"""

import base64
import csv
import io
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from deepdive.course import Course
from deepdive.grading.export import FORMATS, ExportError, classroom, write
from deepdive.grading.export.exercism import OUTPUT
from deepdive.grading.export.text import capped, cell, file_names, number, visible
from deepdive.grading.marks import NOT_HANDED_IN, Mark, Student
from deepdive.verdict import WRONG, State, Verdict, record_of

GOLDENS = Path(__file__).parent / "goldens" / "export"
ASSETS = {
    "line": "Assets: embedded. Stand-ins, not the originals: bert-base-uncased.",
    "assets": {"bert-base-uncased": {"stand_in": "weights of all-MiniLM-L6-v2"}, "gpt2": {"stand_in": ""}},
}
RIGHT = {
    "test_doubles_every_value": State.PASSED,
    "test_doubles_whole_numbers": State.PASSED,
    "test_splits_in_the_middle": State.PASSED,
    "test_refuses_an_odd_number": State.PASSED,
    "test_quadruples": State.PASSED,
}
FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1"]
HOSTILE = [
    *FORMULAS,
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>' & <b>",
    "]]><!-- &xxe; <![CDATA[",
    "\x1b[31mred\x1b[0m\x07\x00\x7f\x9b",
    "two\nlines\r\nand,a;comma\u2028\u2029",
    "\u202egnp.exe\u202c\u2066\ufeff\u200b",
    "half \ud800 a pair \udfff \uffff\ufffe",
    "../../etc/passwd",
    "C:\\windows\\..\\con",
    "{{ 7 * 7 }}{% raw %}${jndi:x}`id`",
    "Points Possible",
    "x" * 10_000,
    "日本語 Ünïcödé",
]


def mark(course: Course, student: Student, states: dict[str, State], told: dict[str, str], **fields: object) -> Mark:
    """A mark whose checks ended in these states; `told` is what every check that went wrong says."""
    verdicts = [
        Verdict(
            hour=exercise.hour,
            exercise=exercise.name,
            check=check.name,
            state=states[check.name],
            seconds=0.25,
            **(told if states[check.name] in WRONG | {State.KIT_ERROR} else {}),
        )
        for exercise in course.exercises
        for check in exercise.checks
        if check.name in states
    ]
    record = record_of(course, verdicts, "", 7, ASSETS)
    record = msgspec.structs.replace(record, kit="0.1.0", python="3.11.2")
    raw, possible = float(record.earned), float(record.possible)
    return Mark(**{"student": student, "submission": "x.zip", "record": record} | points(raw, possible) | fields)


def points(raw: float, possible: float) -> dict[str, float]:
    return {"raw": raw, "possible": possible, "final": raw}


@pytest.fixture
def marks(small_course: Course) -> list[Mark]:
    """Three students: one late, one with a known mistake, one on whose answers everything broke."""
    late = {"final": 3.6, "policy": "One day late: 10% less.", "attempt": 2, "attempts": 3}
    when = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    squared = {
        "called": "double(x: float64[2,3])",
        "expected": "float64[2,3]  [[0.251, -0.264, 1.281]], …",
        "got": "float64[2,3]  [[0.016, 0.017, 0.410]], …   6 of 6 values differ, the worst by 1.2 at [1,0]",
        "likely": "The values were squared instead of doubled.",
        "mistake": "squared",
        "output": "in double\nx is 3",
    }
    wrong = {
        "test_doubles_every_value": State.FAILED,
        "test_doubles_whole_numbers": State.FAILED,
        "test_splits_in_the_middle": State.PASSED,
        "test_refuses_an_odd_number": State.PASSED,
        "test_quadruples": State.TODO,
    }
    broken = {
        "test_doubles_every_value": State.TIMEOUT,
        "test_doubles_whole_numbers": State.CRASHED,
        "test_splits_in_the_middle": State.KIT_ERROR,
        "test_refuses_an_odd_number": State.ERROR,
        "test_quadruples": State.NOT_APPLICABLE,
    }
    trouble = {"got": "ValueError: no", "frames": '  File "hour1_small.py", line 9, in double\n    return x'}
    anna = Student("anna", "Anna Arendt", "anna@example.org", "aa1", "A")
    bob = Student("4711", "Bob", "bob@example.org")
    zoe = Student("zoe/o'neil", "Zoë O'Neil", "zoe@example.org", section="B")
    refused = ("hour1_small (1).py: another file of that name was taken",)
    return [
        mark(small_course, anna, RIGHT, {}, submitted=when, tier="zygote", **late),
        mark(small_course, bob, wrong, squared, tier="zygote"),
        mark(small_course, zoe, broken, trouble, refused=refused, tier="zygote"),
    ]


@pytest.fixture
def hostile(small_course: Course) -> list[Mark]:
    """A student for each hostile text, which is in everything that a student has a say in."""
    states = dict(zip(RIGHT, (State.FAILED, State.ERROR, State.FAILED, State.CRASHED, State.FAILED), strict=True))
    marks = []
    for place, text in enumerate(HOSTILE):
        fields = ("called", "expected", "got", "likely", "mistake", "frames", "output")
        student = Student(text, text, f"{place}@x", text, text)
        extra = {"submission": text, "policy": text, "refused": (text, text), "tier": text}
        marks.append(mark(small_course, student, states, dict.fromkeys(fields, text), **extra))
    return marks


# ── goldens ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "html"])
def test_a_format_is_as_its_golden(small_course: Course, marks: list[Mark], tmp_path: Path, name: str) -> None:
    out, golden = tmp_path / "out", GOLDENS / name
    written = {path.relative_to(out).as_posix(): path.read_bytes() for path in write(name, small_course, marks, out)}
    if os.environ.get("DEEPDIVE_GOLDENS") == "write":
        write(name, small_course, marks, golden)
    kept = {path.relative_to(golden).as_posix(): path for path in golden.rglob("*") if path.is_file()}
    assert set(written) == set(kept)
    for file, content in written.items():
        assert content.decode().splitlines() == kept[file].read_bytes().decode().splitlines(), file


# ── each format, read back ──────────────────────────────────────────────────────────────────────────────────────


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def test_gradescope_has_the_final_score_on_top_and_the_raw_points_below(
    small_course: Course, marks: list[Mark]
) -> None:
    results = json.loads(FORMATS["gradescope"](small_course, marks)["anna/results.json"])
    assert results["score"] == 3.6
    assert sum(test["score"] for test in results["tests"]) == 4
    assert "10% less" in results["output"]
    assert {test["status"] for test in results["tests"]} == {"passed"}
    assert {results["output_format"], *(test["output_format"] for test in results["tests"])} == {"text"}


def test_gradescope_shows_the_block_of_every_failing_check(small_course: Course, marks: list[Mark]) -> None:
    results = json.loads(FORMATS["gradescope"](small_course, marks)["4711/results.json"])
    double, halves, quadruple = results["tests"]
    assert double["status"] == "failed"
    assert double["output"].count("The values were squared instead of doubled.") == 2
    assert (halves["status"], halves["score"], halves["number"]) == ("passed", 1, "1.2")
    assert quadruple["output"].startswith("todo")


def test_a_student_is_not_told_the_seed(small_course: Course, marks: list[Mark]) -> None:
    for name in ("gradescope", "exercism", "junit", "html"):
        for file, text in FORMATS[name](small_course, marks).items():
            assert "seed" not in text, file


def test_what_a_broken_check_says_is_not_for_students(small_course: Course, marks: list[Mark]) -> None:
    told = {"got": "KeyError in /home/teacher/checks/secret.py", "frames": "/home/teacher/checks/secret.py"}
    broken = mark(small_course, Student("eve"), dict.fromkeys(RIGHT, State.KIT_ERROR), told)
    for name in ("gradescope", "exercism", "junit"):
        assert not any("secret" in text for text in FORMATS[name](small_course, [broken]).values())
    assert "secret" not in FORMATS["html"](small_course, [broken])["students/eve.html"]
    assert "secret" in FORMATS["html"](small_course, [broken])["class.html"]


def test_canvas_has_its_header_and_the_row_of_points(small_course: Course, marks: list[Mark]) -> None:
    titles = {"total": "Attention (4711)", "hour 1": "Hour one"}
    header, worth, anna, bob, zoe = rows(FORMATS["canvas"](small_course, marks, assignments=titles)["canvas.csv"])
    assert header == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Attention (4711)", "Hour one"]
    assert worth == ["    Points Possible", "", "", "", "", "4.00", "4.00"]
    assert anna == ["Anna Arendt", "", "", "aa1", "A", "3.60", "3.60"]
    assert bob == ["Bob", "4711", "", "bob@example.org", "", "1.00", "1.00"]
    assert zoe[0] == "Zoë O'Neil"


def test_canvas_takes_no_student_for_the_row_of_points(small_course: Course, hostile: list[Mark]) -> None:
    table = rows(FORMATS["canvas"](small_course, hostile)["canvas.csv"])
    assert [row[0] for row in table if "Points Possible" in row[0]] == ["    Points Possible"]


def test_canvas_is_given_an_id_only_if_it_is_one_of_its_own(small_course: Course) -> None:
    odd = mark(small_course, Student("4711; the other one's"), RIGHT, {})  # Canvas would read 4711
    sis = mark(small_course, Student("0815"), RIGHT, {})
    assert rows(FORMATS["canvas"](small_course, [odd])["canvas.csv"])[2][1] == ""
    assert rows(FORMATS["canvas"](small_course, [sis], ids="sis")["canvas.csv"])[2][1:3] == ["", "0815"]


@pytest.mark.parametrize(
    ("titles", "problem"),
    [
        ({"total": "Final Score of hour 1"}, "because of 'Final Score'"),
        ({"hour 9": "Nine"}, "no points of 'hour 9'; there are total, hour 1"),
        ({"total": "One", "hour 1": "One"}, "the same title"),
        ({"total": " "}, "is no title"),
    ],
)
def test_a_title_that_canvas_would_overlook_is_refused(
    small_course: Course, marks: list[Mark], titles: dict[str, str], problem: str
) -> None:
    with pytest.raises(ExportError, match=problem):
        FORMATS["canvas"](small_course, marks, assignments=titles)


def test_canvas_refuses_marks_out_of_different_points(small_course: Course, marks: list[Mark]) -> None:
    other = msgspec.structs.replace(marks[0], possible=5.0)
    with pytest.raises(ExportError, match="out of 4, 5"):
        FORMATS["canvas"](small_course, [other, *marks])


def test_moodle_finds_students_by_address_or_by_number(small_course: Course, marks: list[Mark]) -> None:
    by_email = rows(FORMATS["moodle"](small_course, marks)["moodle.csv"])
    assert by_email[:2] == [["Email address", "deepdive (points)"], ["anna@example.org", "3.60"]]
    nobody = mark(small_course, Student("carl"), RIGHT, {})
    by_id = rows(FORMATS["moodle"](small_course, [*marks, nobody], item="NLP")["moodle.csv"])
    assert (by_id[0], by_id[-1]) == (["ID number", "NLP (points)"], ["carl", "4.00"])
    with pytest.raises(ExportError, match="without an email address: carl"):
        FORMATS["moodle"](small_course, [*marks, nobody], by="email")
    with pytest.raises(ExportError, match=r"cannot tell these apart: anna@example\.org"):
        FORMATS["moodle"](small_course, [*marks, marks[0]])


def test_the_tests_of_github_classroom_add_up_to_the_mark(small_course: Course, marks: list[Mark]) -> None:
    files = FORMATS["classroom"](small_course, marks)
    result = json.loads(base64.b64decode(files["anna/result.txt"], validate=True))
    assert (result["version"], result["status"], result["max_score"]) == (1, "pass", 4)
    assert sum(test["score"] for test in result["tests"]) == pytest.approx(3.6)
    assert result["tests"][-1]["message"] == "One day late: 10% less."
    assert json.loads(files["anna/notice.json"]) == {"totalPoints": 3.6, "maxPoints": 4.0}
    bob = json.loads(base64.b64decode(files["4711/result.txt"]))
    assert [test["status"] for test in bob["tests"]] == ["fail", "pass", "fail"]
    assert bob["tests"][0]["filename"] == "hour1_small.py"


@pytest.mark.parametrize("most", [classroom.MAX_BYTES, 10_000])
def test_a_result_of_github_classroom_fits_into_an_environment_variable(
    small_course: Course, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(classroom, "MAX_BYTES", most)  # the small course has too few exercises to reach the real one
    long = {"got": "漢" * 100_000, "frames": "line\n" * 100_000, "output": "\x00" * 100_000}
    text = classroom.encoded(small_course, mark(small_course, Student("x"), dict.fromkeys(RIGHT, State.ERROR), long))
    assert len(text) <= most
    assert json.loads(base64.b64decode(text))["status"] == "error"


def test_exercism_has_a_test_a_check_in_the_files_order(small_course: Course, marks: list[Mark]) -> None:
    files = FORMATS["exercism"](small_course, marks)
    anna, bob = json.loads(files["anna/results.json"]), json.loads(files["4711/results.json"])
    assert (anna["version"], anna["status"], anna["message"]) == (3, "pass", None)
    assert [test["name"] for test in anna["tests"]][:3] == [
        "double · doubles every value",
        "double · doubles whole numbers",
        "halves · splits in the middle",
    ]
    assert [test["task_id"] for test in anna["tests"]] == [1, 1, 2, 2, 3]
    assert [test["status"] for test in bob["tests"]] == ["fail", "fail", "pass", "pass", "fail"]
    assert "likely    The values were squared" in bob["tests"][0]["message"]
    assert bob["tests"][0]["output"] == "in double\nx is 3"


def test_exercism_leaves_out_what_was_not_decided(small_course: Course, marks: list[Mark]) -> None:
    zoe = next(text for name, text in FORMATS["exercism"](small_course, marks).items() if name.startswith("zoe"))
    assert [test["status"] for test in json.loads(zoe)["tests"]] == ["error"] * 4


def test_exercism_is_told_that_no_test_ran_when_the_file_could_not_be_loaded(small_course: Course) -> None:
    told = {"file": "hour1_small.py", "got": "hour1_small.py cannot be loaded: SyntaxError", "likely": "Mend line 3."}
    unloaded = mark(small_course, Student("x"), dict.fromkeys(RIGHT, State.ERROR), told)
    results = json.loads(FORMATS["exercism"](small_course, [unloaded])["x/results.json"])
    assert (results["status"], "tests" in results) == ("error", False)
    assert results["message"].count("SyntaxError") == 1


def test_what_an_answer_printed_is_cut_as_exercism_asks(small_course: Course) -> None:
    told = {"output": "spam " * 1000}
    loud = mark(small_course, Student("x"), dict.fromkeys(RIGHT, State.FAILED), told)
    tests = json.loads(FORMATS["exercism"](small_course, [loud])["x/results.json"])["tests"]
    assert {len(test["output"]) for test in tests} == {OUTPUT}
    assert tests[0]["output"].endswith("Output was truncated. Please limit to 500 chars")


def test_junit_counts_failures_errors_and_what_was_skipped(small_course: Course, marks: list[Mark]) -> None:
    files = FORMATS["junit"](small_course, marks)
    bob = ET.fromstring(files["4711.xml"])
    suite = bob.find("testsuite")
    assert suite is not None
    counts = {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped", "time")}
    assert counts == {"tests": "5", "failures": "2", "errors": "0", "skipped": "1", "time": "1.250"}
    case = suite.find("testcase")
    assert case is not None
    assert (case.get("classname"), case.get("name")) == ("hour1_small.double", "test_doubles_every_value")
    assert case.findtext("system-out") == "in double\nx is 3"
    zoe = ET.fromstring(next(text for name, text in files.items() if name.startswith("zoe")))
    assert len(zoe.findall(".//error")) == 4


def test_who_handed_in_nothing_is_in_every_format_without_points(small_course: Course, marks: list[Mark]) -> None:
    who = Student("4712", "Dora", "dora@example.org")
    nothing = mark(small_course, who, {}, {}, submission=NOT_HANDED_IN, attempt=0, attempts=0)
    every = {name: FORMATS[name](small_course, [*marks, nothing]) for name in FORMATS}
    (row,) = [row for row in rows(every["csv"]["marks.csv"]) if row[0] == "4712"]
    told = dict(zip(rows(every["csv"]["marks.csv"])[0], row, strict=True))
    assert (told["submission"], told["attempts (count)"], told["final (points)"]) == ("not handed in", "0", "0.00")
    assert rows(every["moodle"]["moodle.csv"])[-1] == ["dora@example.org", "0.00"]
    assert rows(every["canvas"]["canvas.csv"])[-1][-1] == "0.00"
    gradescope = json.loads(every["gradescope"]["4712/results.json"])
    assert (gradescope["score"], gradescope["output"].splitlines()[1]) == (0, "not handed in")
    assert {test["status"] for test in gradescope["tests"]} == {"failed"}
    assert "not handed in" in json.loads(every["exercism"]["4712/results.json"])["message"]
    assert json.loads(base64.b64decode(every["classroom"]["4712/result.txt"]))["status"] == "fail"
    assert 'name="points" value="0"' in every["junit"]["4712.xml"]
    assert json.loads(every["jsonl"]["marks.jsonl"].splitlines()[-1])["submission"] == "not handed in"
    assert "handed in: " not in every["html"]["students/4712.html"]


def test_every_number_in_a_csv_has_its_unit_in_the_header(small_course: Course, marks: list[Mark]) -> None:
    files = FORMATS["csv"](small_course, marks) | FORMATS["moodle"](small_course, marks)
    for text in files.values():
        header, *body = rows(text)
        for place, title in enumerate(header):
            column = [row[place] for row in body]
            if title not in ("id", "kit (version)") and any(re.fullmatch(r"-?[0-9.]+", value) for value in column):
                assert re.search(r"\((points|ms|number|count)\)$", title), title


def test_json_lines_hold_the_whole_record(small_course: Course, marks: list[Mark]) -> None:
    lines = FORMATS["jsonl"](small_course, marks)["marks.jsonl"].splitlines()
    anna, bob = json.loads(lines[0]), json.loads(lines[1])
    assert (anna["raw_points"], anna["final_points"], anna["possible_points"]) == (4.0, 3.6, 4.0)
    assert anna["submitted"] == "2026-03-01T12:30:00Z"
    assert bob["record"] == json.loads(msgspec.json.encode(marks[1].record))


def test_a_record_of_an_exercise_that_the_course_has_dropped_is_still_written(small_course: Course) -> None:
    old = mark(small_course, Student("x"), dict.fromkeys(RIGHT, State.FAILED), {"got": "nothing"})
    bare = Course(small_course.root, ())
    for name in FORMATS:
        assert FORMATS[name](bare, [old])


@pytest.mark.parametrize("name", FORMATS)
def test_no_marks_are_no_trouble(small_course: Course, name: str) -> None:
    assert isinstance(FORMATS[name](small_course, []), dict)


# ── hostile texts ───────────────────────────────────────────────────────────────────────────────────────────────

UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_texts_are_written_visibly_and_can_be_read_back(
    small_course: Course, hostile: list[Mark], tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    written = write(name, small_course, hostile, out)
    assert sorted(written) == sorted(path for path in out.rglob("*") if path.is_file())
    for path in written:
        text = path.read_bytes().decode()
        assert not UNSEEN.search(text.replace("\r\n", "\n")), path
        if path.suffix == ".json":
            assert not UNSEEN.search(str(json.loads(text)))
        elif path.suffix == ".jsonl":
            assert [bool(json.loads(line)) for line in text.splitlines()] == [True] * len(HOSTILE)
        elif path.suffix == ".xml":
            assert len(ET.fromstring(text).findall(".//testcase")) == 5
        elif path.suffix == ".csv":
            table = rows(text)
            assert len({len(row) for row in table}) == 1
            assert not any(re.match(r"\s*[=+@＝]|-(?![0-9.]+$)", value) for row in table for value in row)
        elif path.suffix == ".txt":
            assert not UNSEEN.search(str(json.loads(base64.b64decode(text))))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_is_never_a_formula(text: str) -> None:
    assert not re.match(r"[=+\-@\t\r＝]", cell(text).lstrip(" "))
    assert re.match(r"['\\]", cell(text))


def test_numbers_stay_numbers() -> None:
    assert (cell(-1.5), cell(3), cell(0.0)) == ("-1.50", "3", "0.00")
    assert (number(18.0), number(16.204), number(-0.001), number(0.1)) == ("18", "16.2", "0", "0.1")


def test_what_is_cut_says_how_much() -> None:
    assert capped("short", 100) == "short"
    cut = capped("a" * 500 + "b" * 500, 100)
    assert 95 < len(cut) <= 100
    assert (cut[0], cut[-1]) == ("a", "b")
    assert re.search(r"… 9\d\d characters left out …", cut)
    assert len(capped("x" * 100, 5)) == 5


def test_visible_text_keeps_what_people_write() -> None:
    assert visible("Zoë O'Neil, 日本語, עברית, 🙂") == "Zoë O'Neil, 日本語, עברית, 🙂"
    assert visible("\x1b[31m\u202e\ud800\n") == "\\x1b[31m\\u202e\\ud800\\n"


# ── files' names ────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_ordinary_id_is_its_files_own_name() -> None:
    assert file_names(["anna", "bob_2", "c.d-e@x.org", "4711", "Zoë"]) == [
        "anna",
        "bob_2",
        "c.d-e@x.org",
        "4711",
        "Zoë",
    ]


def test_no_id_makes_a_name_that_leaves_the_folder() -> None:
    ids = [
        *HOSTILE,
        "",
        ".",
        "..",
        "...",
        ".bashrc",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "-rf",
        "NUL",
        "con.txt",
        "COM¹",
        "x.",
        "é" * 300,
    ]
    names = file_names(ids)
    for one, name in zip(ids, names, strict=True):
        assert re.fullmatch(r"[\w_][\w.@-]*", name), one
        assert len(name.encode()) <= 220
        assert name.partition(".")[0].upper() not in ("CON", "NUL", "COM¹")
    assert len({name.casefold() for name in names}) == len(names)


def test_names_differ_where_only_the_case_or_nothing_differs() -> None:
    names = file_names(["Anna", "anna", "ANNA", "bob", "bob", "a/b", "a_b", "ﬁ", "fi"])
    assert len({name.casefold() for name in names}) == len(names)
    assert all(name.lower().startswith("anna-") for name in names[:3])
    assert names[3:5] == ["bob", "bob-2"]


def test_a_name_does_not_depend_on_who_else_is_in_the_class() -> None:
    assert file_names(["a/b"]) == file_names(["zoe", "a/b"])[1:]


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_format_is_named_with_those_that_exist(small_course: Course, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no format 'excel'; there are gradescope, canvas"):
        write("excel", small_course, [], tmp_path)


def test_a_file_is_written_whole_or_not_at_all(
    small_course: Course, marks: list[Mark], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("csv", small_course, marks[:1], tmp_path)
    before = (tmp_path / "marks.csv").read_bytes()

    def fails(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fails)
    with pytest.raises(OSError, match="No space left"):
        write("csv", small_course, marks, tmp_path)
    assert (tmp_path / "marks.csv").read_bytes() == before


def test_nothing_is_written_of_marks_that_a_format_refuses(
    small_course: Course, marks: list[Mark], tmp_path: Path
) -> None:
    with pytest.raises(ExportError):
        write("moodle", small_course, [*marks, marks[0]], tmp_path / "out")
    assert not (tmp_path / "out").exists()
