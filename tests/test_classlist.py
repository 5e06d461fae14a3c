"""Who handed in what, by the names that course systems give to the submissions of a class."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deepdive.course import Course
from deepdive.grading.classlist import LONGEST_ID, HandedIn, Roster, class_of, fit_id, read_roster
from deepdive.grading.marks import Student
from deepdive.grading.policy import Attempt, Policy, read_policy

NAME = "hour1_small.py"
Tree = dict[str, str | bytes]
Taken = Callable[..., dict[str, HandedIn]]


def as_folder(files: Tree, place: Path) -> Path:
    folder = place / "submissions"
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def as_zip(files: Tree, place: Path) -> Path:
    path = place / "submissions.zip"
    path.write_bytes(packed(files))
    return path


def packed(files: Tree) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


@pytest.fixture(params=[as_folder, as_zip], ids=["folder", "zip"])
def taken(request: pytest.FixtureRequest, small_course: Course, tmp_path: Path) -> Taken:
    """The submissions of a class by student, handed in as a folder and as a zip of the same names."""

    def take_class(files: Tree, roster: Roster | None = None) -> dict[str, HandedIn]:
        found = list(class_of(request.param(files, tmp_path), small_course, roster))
        assert len({each.student.id for each in found}) == len(found)
        return {each.student.id: each for each in found}

    return take_class


def content_of(handed_in: HandedIn) -> str:
    return handed_in.submission.files[NAME].decode()


# --- names ---


def test_canvas_tells_the_user_and_what_was_late(taken: Taken) -> None:
    found = taken({f"doejane_4711_90210_{NAME}": "jane", f"roebob_LATE_4712_90211_{NAME}": "bob"})
    assert (content_of(found["4711"]), content_of(found["4712"])) == ("jane", "bob")
    assert (found["4711"].late, found["4712"].late) == (False, True)
    assert found["4711"].student == Student("4711", "doejane")


def test_canvas_counts_files_that_are_handed_in_again(taken: Taken) -> None:
    assert content_of(taken({"doejane_4711_90210_hour1_small-1.py": "jane"})["4711"]) == "jane"


def test_a_zip_or_a_notebook_handed_in_to_canvas_is_taken(taken: Taken) -> None:
    notebook = json.dumps({"cells": [{"cell_type": "code", "source": "bob = 1"}]})
    found = taken(
        {
            "doejane_LATE_4711_90210_my work.zip": packed({f"a/{NAME}": "jane"}),
            "roebob_4712_90211_hour1_small-2.ipynb": notebook,
        }
    )
    assert content_of(found["4711"]) == "jane"
    assert found["4711"].late
    assert content_of(found["4712"]) == "bob = 1\n"


@pytest.mark.parametrize("end", ["_file_", "_file"])
def test_moodle_tells_name_and_id(taken: Taken, end: str) -> None:
    found = taken(
        {f"Jane Doe_1234567_assignsubmission{end}/{NAME}": "jane", f"Bob_7_assignsubmission{end}/a.txt": ""}
    )
    assert content_of(found["1234567"]) == "jane"
    assert found["1234567"].student.name == "Jane Doe"
    assert found["7"].submission.files == {}
    assert found["7"].submission.refused


def test_a_zip_handed_in_to_moodle_lies_in_the_students_folder(taken: Taken) -> None:
    folder = "Jane Doe_1234567_assignsubmission_file_"
    deeper = packed({NAME: "deeper"})
    found = taken(
        {
            f"{folder}/my work.zip": packed({f"work/{NAME}": "jane", "more.zip": deeper}),
            f"{folder}/old/first.zip": deeper,
            f"Bob_7_assignsubmission_file_/{NAME}": "bob",
            "Bob_7_assignsubmission_file_/all.zip": packed({f"exercises/{NAME}": "the zip's"}),
            "Eve_8_assignsubmission_file_/broken.zip": "no zip",
        }
    )
    assert content_of(found["1234567"]) == "jane"
    assert content_of(found["7"]) == "the zip's"  # exercises/ comes first, wherever it lies
    assert found["8"].submission.files == {}
    assert "broken.zip: not a zip that can be read" in found["8"].submission.refused[0]


@pytest.mark.parametrize(
    ("name", "student"),
    [
        (f"Eve_1_assignsubmission_file_x_8_assignsubmission_file_/{NAME}", "8"),
        (f"Eve_1_2_8_assignsubmission_file_/{NAME}", "8"),
        (f"Eve_1_2_x_8_assignsubmission_file_/{NAME}", "8"),
        (f"Eve_1_8_assignsubmission_file_{NAME}", "8"),
        ("roeeve_8_90211_x_1_assignsubmission_file_.zip", "8"),
        ("Eve_8_assignsubmission_file_x_1_assignsubmission_file_.zip", "8"),
    ],
)
def test_nobody_hands_in_for_somebody_else_by_a_name_of_their_choice(taken: Taken, name: str, student: str) -> None:
    text: str | bytes = packed({NAME: "eve"}) if name.endswith(".zip") else "eve"
    found = taken({name: text, f"Jane Doe_1_assignsubmission_file_/{NAME}": "jane"})
    assert {who: content_of(each) for who, each in found.items()} == {"1": "jane", student: "eve"}


def test_moodle_without_folders_puts_files_side_by_side(taken: Taken) -> None:
    assert content_of(taken({f"Jane Doe_1234567_assignsubmission_file_{NAME}": "jane"})["1234567"]) == "jane"


def test_text_typed_into_moodle_is_no_second_attempt(taken: Taken) -> None:
    folder = "Jane Doe_1234567_assignsubmission"
    found = taken({f"{folder}_file_/{NAME}": "jane", f"{folder}_onlinetext_/onlinetext.html": "<p>hi"})
    assert content_of(found["1234567"]) == "jane"


GRADESCOPE = """
submission_1:
  :submitters:
  - :name: Jane Doe
    :sid: '4711'
    :email: jane@example.org
  :created_at: 2026-11-30 23:30:00.489917000 -08:00
submission_2:
  :submitters:
  - :name: Bob
    :sid:
    :email: bob@example.org
submission_3: nonsense
"""


def test_gradescope_tells_who_and_when_in_a_file(taken: Taken) -> None:
    files: Tree = {f"submission_{number}/{NAME}": f"{number}" for number in (1, 2, 3)}
    found = taken({**files, "submission_metadata.yml": GRADESCOPE})
    assert {student: content_of(each) for student, each in found.items()} == {
        "4711": "1",
        "bob@example.org": "2",
        "submission_3": "3",
    }
    submitted = found["4711"].submitted
    assert submitted is not None
    assert submitted.astimezone(UTC) == datetime(2026, 12, 1, 7, 30, 0, 489917, UTC)


def test_gradescopes_zip_has_a_folder_around_the_class(small_course: Course, tmp_path: Path) -> None:
    files: Tree = {f"assignment_5_export/submission_{number}/{NAME}": f"{number}" for number in (1, 2)}
    place = as_zip({**files, "assignment_5_export/submission_metadata.yml": GRADESCOPE}, tmp_path)
    found = {each.student.id: content_of(each) for each in class_of(place, small_course)}
    assert found == {"4711": "1", "bob@example.org": "2"}


@pytest.mark.parametrize(
    "told", ["[", "- a", "a: " + "[" * 5000, "a: &a [*a]", "!!python/object:os.system {}", "\x00"]
)
def test_a_broken_list_of_gradescopes_costs_only_the_names(taken: Taken, told: str) -> None:
    assert content_of(taken({f"submission_1/{NAME}": "1", "submission_metadata.yml": told})["submission_1"]) == "1"


def test_github_classroom_puts_the_login_last(taken: Taken) -> None:
    roster = Roster((Student("1", login="doe"), Student("2", login="jane-doe"), Student("3", login="bob")))
    found = taken({f"hours-jane-doe/exercises/{NAME}": "jane", f"hours-bob/exercises/{NAME}": "bob"}, roster)
    assert {student: content_of(each) for student, each in found.items()} == {"2": "jane", "3": "bob"}


def test_anything_else_is_the_students_name(taken: Taken) -> None:
    found = taken({f"jane/{NAME}": "jane", "bob.zip": packed({f"b/{NAME}": "bob"}), f"hours-7/x/{NAME}": "seven"})
    assert {student: content_of(each) for student, each in found.items()} == {
        "jane": "jane",
        "bob": "bob",
        "hours-7": "seven",
    }


def test_a_broken_zip_costs_its_own_student(taken: Taken) -> None:
    found = taken({"bob.zip": b"PK nonsense", f"jane/{NAME}": "jane"})
    assert content_of(found["jane"]) == "jane"
    assert "not a zip" in found["bob"].submission.refused[0]


def test_one_submission_is_a_class_of_one(small_course: Course, tmp_path: Path) -> None:
    for files in ({NAME: "1"}, {f"exercises/{NAME}": "1", f"solutions/{NAME}": "2"}):
        for place in (as_folder(files, tmp_path), as_zip(files, tmp_path)):
            (found,) = class_of(place, small_course)
            assert (found.student.id, content_of(found)) == ("submissions", "1")
            (found,) = class_of(place, small_course)
    (found,) = class_of(tmp_path / "submissions" / NAME, small_course)
    assert found.student.id == "submissions"


def test_a_file_by_itself_may_have_a_course_systems_name(small_course: Course, tmp_path: Path) -> None:
    name = f"doejane_LATE_4711_90210_{NAME}"
    (found,) = class_of(as_folder({name: "jane"}, tmp_path) / name, small_course)
    assert (found.student.id, content_of(found), found.late) == ("4711", "jane", True)


def test_a_large_class_in_one_zip_is_taken_whole(
    small_course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepdive.grading.intake.MOST_ENTRIES", 10)
    place = as_zip({f"s{number}/{name}": "x" for number in range(30) for name in (NAME, "a", "b")}, tmp_path)
    assert sum(bool(each.submission.files) for each in class_of(place, small_course)) == 30


def test_a_submissions_name_says_nothing_of_the_instructors_folders(small_course: Course, tmp_path: Path) -> None:
    folder = tmp_path / "secret" / "class" / "jane"
    folder.mkdir(parents=True)
    (folder / "hour1_small.py").write_text("x = 1")
    for place in (folder.parent, folder):
        (found,) = class_of(place, small_course)
        assert found.submission.name == "class/jane"


def test_a_link_among_the_submissions_is_refused(small_course: Course, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / NAME).write_text("secret = 1")
    folder = as_folder({f"jane/{NAME}": "jane"}, tmp_path)
    (folder / "bob").symlink_to(elsewhere)
    found = {each.student.id: each.submission for each in class_of(folder, small_course)}
    assert found["bob"].files == {}
    assert found["bob"].refused == ("a symbolic link is not followed",)
    assert found["jane"].files


# --- ids ---


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "unnamed"),
        (" \t\n", "unnamed"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("a\nb\tc", "a b c"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\udce4", "\\udce4"),
        ("x\x00y", "x\\x00y"),
        ("Żółć", "Żółć"),
    ],
)
def test_an_id_is_one_line_of_visible_characters(text: str, shown: str) -> None:
    assert fit_id(text) == shown


def test_an_id_of_ten_thousand_characters_is_cut_and_still_tells_two_students_apart() -> None:
    ids = [fit_id("a" * 10_000 + end) for end in "xy"]
    assert ids[0] != ids[1]
    assert all(len(each) <= LONGEST_ID and each.startswith("aaaa") for each in ids)
    assert fit_id("a" * 10_000 + "x") == ids[0]


def test_folders_whose_names_are_not_utf8_are_two_students(small_course: Course, tmp_path: Path) -> None:
    folder = tmp_path / "submissions"
    for name in (b"J\xe4ne", b"J\xf6ne"):
        path = folder / os.fsdecode(name)
        path.mkdir(parents=True)
        (path / NAME).write_text("x = 1")
    ids = {each.student.id.encode().decode() for each in class_of(folder, small_course)}
    assert ids == {"J\\udce4ne", "J\\udcf6ne"}


# --- rosters ---


def roster(text: str | bytes, place: Path) -> Roster:
    path = place / "roster.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_roster(path)


def test_a_roster_is_read_in_any_order_of_columns_with_or_without_a_bom(tmp_path: Path) -> None:
    for start in ("", "\ufeff"):
        found = roster(f'{start}Name, ID ,email,colour\n"Doe, Jane", 7 ,jane@example.org,red\nBob,8\n', tmp_path)
        assert found.students == (Student("7", "Doe, Jane", "jane@example.org"), Student("8", "Bob"))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_roster_has_the_separators_of_wherever_it_was_saved(tmp_path: Path, separator: str) -> None:
    text = "id,name,section\r\n7,Jane,A\r\n,,\r\n8,Bob,\r\n".replace(",", separator)
    assert roster(text, tmp_path).students == (Student("7", "Jane", section="A"), Student("8", "Bob"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,email\nJane,j@x\n", "no column `id`, only name, email"),
        ("", "no column `id`, only nothing"),
        ("id.name\n7.Jane\n", "no column `id`, only id.name"),
        ("id,name\n7,Jane\n,Bob\n", "line 3: the id is missing"),
        ("id,name\n7,Jane\n8,Bob\n7,Eve\n", "line 4: the id 7 occurs twice"),
        ("id\nann\nAnn\n", "line 3: the id Ann occurs twice"),
        (b"id,name\n7,J\xe4ne\n", "is no CSV in UTF-8 (byte 12): save it as what Excel calls CSV UTF-8"),
        ("id,name\n7,Jane\n".encode("utf-16"), "is no CSV in UTF-8 (byte 1)"),
        ("id,name\n7," + "a" * 200_000 + "\n", "is no CSV: field larger than field limit"),
        ('id,name\n7,"Jane\nDoe"\n,Bob\n', "line 4: the id is missing"),
    ],
)
def test_a_roster_that_cannot_be_used_is_refused_with_the_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"roster\.csv") as raised:
        roster(text, tmp_path)
    assert problem in str(raised.value)


def test_a_student_is_found_by_id_login_email_or_name() -> None:
    jane = Student("7", "Jane Doe", "jane@example.org", "jdoe")
    assert all(Roster((jane,)).find(told) is jane for told in ("7", " JDoe ", "Jane@example.org", "jane  doe"))


def test_an_id_tells_more_than_a_name_that_is_the_same() -> None:
    odd, jane = Student("8", name="7"), Student("7", name="Jane")
    for students in ((odd, jane), (jane, odd)):
        assert Roster(students).find("7") is jane


def test_a_name_that_two_students_share_tells_of_neither() -> None:
    found = Roster((Student("7", "Jane Doe"), Student("8", "Jane Doe"))).find("Jane Doe")
    assert found == Student("Jane Doe")


def test_who_is_not_in_the_roster_is_taken_by_the_name_given() -> None:
    assert Roster((Student("7"),)).find("8", "Bob") == Student("8", "Bob")


# --- policies ---

DEADLINE = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)


def policy(text: str, place: Path) -> Policy:
    path = place / "policy.toml"
    path.write_text(text)
    return read_policy(path)


def test_the_example_of_the_documentation_is_a_policy(tmp_path: Path) -> None:
    from deepdive.grading import policy as module

    assert module.__doc__ is not None
    found = policy(module.__doc__.partition("\n\n")[2], tmp_path)
    assert (found.attempt, found.grace_minutes, found.penalty_per_day, found.lowest) == (Attempt.BEST, 15, 0.1, 0.5)
    assert found.deadline == datetime(2026, 11, 30, 22, 59, tzinfo=UTC)


def test_an_empty_policy_changes_nothing(tmp_path: Path) -> None:
    found = policy("", tmp_path)
    assert found == Policy()
    assert found.apply(7, found.days_late(DEADLINE, called_late=False)) == (7, "")


@pytest.mark.parametrize(
    ("minutes", "days"), [(-1000, 0), (0, 0), (15, 0), (16, 1), (24 * 60 + 15, 1), (24 * 60 + 16, 2)]
)
def test_every_day_begun_after_the_grace_counts(minutes: int, days: int) -> None:
    found = Policy(deadline=DEADLINE, grace_minutes=15)
    assert found.days_late(DEADLINE + timedelta(minutes=minutes), called_late=False) == days


def test_a_deadline_without_a_zone_is_utcs(tmp_path: Path) -> None:
    found = policy("deadline = 2026-11-30T23:59:00", tmp_path)
    assert found.days_late(DEADLINE + timedelta(seconds=1), called_late=False) == 1
    assert found.days_late(DEADLINE, called_late=False) == 0


def test_what_was_called_late_without_a_time_is_a_day_late() -> None:
    assert Policy(deadline=DEADLINE).days_late(None, called_late=True) == 1
    assert Policy(deadline=DEADLINE).days_late(DEADLINE, called_late=True) == 0


@pytest.mark.parametrize(("days", "final"), [(0, 10), (1, 9), (3, 7), (5, 5), (100, 5)])
def test_a_day_costs_its_share_down_to_the_floor(days: int, final: float) -> None:
    assert Policy(penalty_per_day=0.1, lowest=0.5).apply(10, days)[0] == final


def test_a_penalty_is_told_in_words() -> None:
    assert Policy(penalty_per_day=0.1).apply(10, 2)[1] == "2 days late: −20 %"
    assert Policy(penalty_per_day=0.1).apply(10, 1)[1] == "1 day late: −10 %"


@pytest.mark.parametrize(("attempt", "which"), [("best", 1), ("last", 3), ("first", 0)])
def test_an_attempt_is_chosen_and_of_equal_ones_the_first(attempt: str, which: int) -> None:
    assert Policy(attempt=Attempt(attempt)).choose([3, 7, 7, 1]) == which


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("attempt = 'worst'", "worst"),
        ("penalty_per_day = 10", "no share between 0 and 1"),
        ("lowest = nan", "no share between 0 and 1"),
        ("grace_minutes = -1", "grace_minutes"),
        ("grace_minutes = inf", "grace_minutes"),
        ("deadline = 'tomorrow'", "deadline"),
        ("deadline = 2026-11-30", "deadline"),
        ("penalty = 0.1", "penalty"),
        ("attempt = ", "policy.toml"),
    ],
)
def test_a_policy_that_says_something_strange_is_refused_with_what(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"policy\.toml") as raised:
        policy(text, tmp_path)
    assert problem in str(raised.value)


def test_a_policy_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"policy\.toml"):
        read_policy(tmp_path / "policy.toml")
