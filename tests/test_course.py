"""The course is found from its files, and files that contradict one another are told."""

import pytest

from deepdive.course import Course, CourseError, find_root, load_course


def test_exercises_come_from_solutions_and_checks(small_course: Course) -> None:
    assert [exercise.name for exercise in small_course.exercises] == ["double", "halves", "quadruple"]
    double = small_course.exercise("double")
    assert (double.hour, double.points, double.minutes, double.stretch) == (1, 2, 3, False)
    assert double.signature == "double(x)"
    assert double.returns == "np.ndarray"
    assert double.summary == "Twice every value."
    assert [check.title for check in double.checks] == ["doubles every value", "doubles whole numbers"]
    assert double.hints == ("What is x + x?", "Arrays multiply by numbers.", "`2 * x`")
    assert small_course.exercise("quadruple").stretch


def test_an_hour_takes_its_title_and_plan_from_the_docstring(small_course: Course) -> None:
    (hour,) = small_course.hours
    assert (hour.number, hour.topic, hour.title) == (1, "small", "Small things")
    assert "The plan." in hour.plan


def test_reading_the_course_runs_none_of_it(small_course: Course) -> None:
    path = small_course.root / "solutions" / "hour1_small.py"
    path.write_text(path.read_text() + "\nraise SystemExit('executed')\n")
    assert len(list(load_course(small_course.root).exercises)) == 3


def test_a_new_hour_is_only_new_files(small_course: Course) -> None:
    for folder, name in (("solutions", "hour1_small.py"), ("checks", "test_hour1_small.py")):
        text = (small_course.root / folder / name).read_text()
        for word in ("double", "halves", "quadruple"):
            text = text.replace(word, f"{word}_again")
        (small_course.root / folder / name.replace("hour1", "hour7")).write_text(text)
    assert [hour.number for hour in load_course(small_course.root).hours] == [1, 7]


def test_an_unknown_exercise_is_answered_with_the_nearest_name(small_course: Course) -> None:
    with pytest.raises(KeyError, match="did you mean double"):
        small_course.exercise("duoble")


def test_the_root_is_found_from_any_folder_below(small_course: Course) -> None:
    assert find_root(small_course.root / "checks" / "mistakes") == small_course.root
    assert find_root(small_course.root.parent) is None


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            '@exercise("halves", points=1, minutes=4)',
            '@exercise("halves")',
            "halves .* no check that states its points",
        ),
        ('@exercise("quadruple"', '@exercise("quadrupel"', "checks quadrupel"),
        ("def test_quadruples", "def test_doubles_every_value", "defines test_doubles_every_value twice"),
    ],
)
def test_checks_that_contradict_the_solutions_are_told(
    small_course: Course, old: str, new: str, complaint: str
) -> None:
    path = small_course.root / "checks" / "test_hour1_small.py"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CourseError, match=complaint):
        load_course(small_course.root)
