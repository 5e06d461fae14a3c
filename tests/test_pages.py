"""Pages: complete in themselves, readable by everybody, and closed to what students write into them."""

import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from deepdive.course import Course, load_course
from deepdive.grading.export.text import file_names
from deepdive.grading.marks import NOT_HANDED_IN, Mark, Student
from deepdive.report import pages
from deepdive.report.pages import class_page, student_page
from deepdive.verdict import State
from tests.conftest import ROOT
from tests.test_export import HOSTILE, RIGHT, hostile, mark, marks

__all__ = ["hostile", "marks"]  # fixtures

VOID = {"meta", "br", "img", "link", "hr", "input", "wbr"}
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Page(HTMLParser):
    """A page's elements with their attributes, its text, and whether every element is closed."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.comments: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def both(small_course: Course, marks: list[Mark]) -> dict[str, str]:
    """The page of the student with the known mistake, and the class's."""
    return {
        "student": student_page(small_course, marks[1]),
        "class": class_page(small_course, marks, ["a", "b", "c"]),
    }


# ── both ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("which", ["student", "class"])
def test_a_page_needs_nothing_else_and_forbids_it(both: dict[str, str], which: str) -> None:
    page = Page(both[which])
    policies = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [POLICY]
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & {tag for tag, _ in page.elements}
    assert not re.search(r"url\(|@import|https?:|javascript:", both[which])
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


@pytest.mark.parametrize("which", ["student", "class"])
def test_a_page_can_be_read_by_its_structure(both: dict[str, str], which: str) -> None:
    page = Page(both[which])
    assert page.open == []
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("title")) == len(page.all("svg")) + 1
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    ids = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert set(ids.values()) == {1}
    for _, attributes in page.elements:
        assert set((attributes.get("aria-labelledby") or "").split()) <= set(ids)
        if attributes.get("role") == "img":
            assert attributes.get("aria-label") or attributes.get("aria-labelledby")


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_colour_of_text_stands_out_in_light_in_dark_and_on_paper(both: dict[str, str]) -> None:
    palettes = [
        dict(re.findall(r"--(\w+): (#\w{6})", found))
        for found in re.findall(r":root \{(.*?)\}", both["student"], re.S)
    ]
    assert len(palettes) == 3
    for palette in palettes:
        for ground in ("ground", "raised"):
            for ink in ("text", "quiet", "good", "bad", "odd", "link"):
                dark, light = sorted([luminance(palette[ground]), luminance(palette[ink])])
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (ground, ink, palette)  # WCAG 2.2, level AA


@pytest.mark.parametrize("place", range(len(HOSTILE)))
def test_hostile_texts_stay_texts(small_course: Course, hostile: list[Mark], place: int) -> None:
    plain = mark(small_course, Student("x", "x", "x", "x", "x"), dict.fromkeys(RIGHT, State.FAILED), {"got": "x"})
    tags = {tag for tag, _ in Page(student_page(small_course, plain)).elements} | {"pre", "ul", "li", "section"}
    for source in (student_page(small_course, hostile[place]), class_page(small_course, hostile)):
        page = Page(source)
        assert page.open == []
        assert page.comments == []
        assert not re.search(
            r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]", source
        )
        assert not {"script", "img", "b"} & {tag for tag, _ in page.elements}
        assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert {tag for tag, _ in Page(student_page(small_course, hostile[place])).elements} <= tags
    assert len(source.encode()) < 2_000_000


def test_what_looks_like_a_template_is_only_text(small_course: Course, hostile: list[Mark]) -> None:
    page = Page(student_page(small_course, hostile[HOSTILE.index("{{ 7 * 7 }}{% raw %}${jndi:x}`id`")]))
    assert "{{ 7 * 7 }}{% raw %}" in page.text


# ── one student ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_student_sees_the_board_and_every_failing_check(both: dict[str, str]) -> None:
    text = Page(both["student"]).text
    assert "1 of 4 points" in text
    assert "Hour 1 · Small things · 1 of 4 points" in text
    assert "double ✗ failed 0 of 2 0 of 2" in text
    assert "quadruple stretch · todo 0 of 1 0 of 1" in text
    for check in ("double · doubles every value", "double · doubles whole numbers"):
        assert f"{check} hour 1 · 0/2 points called double(x: float64[2,3]) expected float64[2,3]" in text
    assert text.count("likely The values were squared instead of doubled. next deepdive hint double") == 2
    assert text.count("printed in double x is 3") == 2
    assert "halves · " not in text


def test_a_student_reads_what_the_policy_did(small_course: Course, marks: list[Mark]) -> None:
    text = Page(student_page(small_course, marks[0])).text
    assert "3.6 of 4 points One day late: 10% less. The checks gave 4 points." in text
    assert "attempt 2 of 3 counts" in text
    assert "2026-03-01 12:30 UTC" in text
    assert "What went wrong" not in text


def test_a_student_reads_what_was_not_taken_and_what_stood_in(small_course: Course, marks: list[Mark]) -> None:
    text = Page(student_page(small_course, marks[2])).text
    assert "What was not taken hour1_small (1).py: another file of that name was taken" in text
    assert "Assets: embedded. Stand-ins, not the originals: bert-base-uncased." in text
    assert "bert-base-uncased : weights of all-MiniLM-L6-v2" in text
    assert "gpt2" not in text


def test_a_file_that_cannot_be_loaded_is_told_once(small_course: Course) -> None:
    told = {"file": "hour1_small.py", "got": "hour1_small.py cannot be loaded: SyntaxError", "likely": "Mend line 3."}
    unloaded = mark(small_course, Student("x"), dict.fromkeys(RIGHT, State.ERROR), told)
    text = Page(student_page(small_course, unloaded)).text
    assert text.count("cannot be loaded: SyntaxError next Mend line 3.") == 1


def test_a_student_sees_neither_seed_nor_the_mistakes_own_name_nor_the_checks_code(both: dict[str, str]) -> None:
    text = Page(both["student"]).text
    assert not re.search(r"\bseed\b|\bsquared\b(?! instead)|expect\(|rng\.", text)


# ── the class ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_mistakes_are_counted_by_students_and_named_by_their_sentence(
    small_course: Course, marks: list[Mark]
) -> None:
    told = {"likely": "other words of the record's day", "mistake": "squared"}
    again = mark(small_course, Student("carl"), dict.fromkeys(RIGHT, State.FAILED), told)
    text = Page(class_page(small_course, [*marks, again])).text
    assert "2 double squared The values were squared instead of doubled." in text
    # Of a mistake that the course does not know (any more), the record's own words remain.
    assert "1 quadruple squared other words of the record's day" in text


def test_the_courses_own_mistakes_are_found() -> None:
    course = load_course(ROOT)
    sentences = pages._sentences(course, {"softmax"})
    assert "overflow" in sentences["softmax", "forgot_the_maximum"]


def test_the_histogram_says_in_words_what_it_shows(both: dict[str, str]) -> None:
    page = Page(both["class"])
    counts = {label: int(count) for label, count in re.findall(r"(\d+–\d+)%: (\d+) student", page.text)}
    assert len(counts) == 10
    assert (counts["0–10"], counts["20–30"], counts["90–100"]) == (1, 1, 1)
    assert sum(counts.values()) == 3
    heights = [float(rect["height"] or 0) for rect in page.all("rect")]
    assert [height > 0 for height in heights] == [count > 0 for count in counts.values()]


def test_scores_are_summed_up(both: dict[str, str]) -> None:
    assert "Of 4 points: median 1, mean 1.53, from 0 to 3.6." in Page(both["class"]).text


def test_the_hardest_checks_come_first_by_the_share_of_those_who_tried(both: dict[str, str]) -> None:
    text = Page(both["class"]).text
    hardest = text[text.index("Hardest checks") : text.index("Slowest checks")]
    assert "1 double doubles every value 67% 2 of 3 0" in hardest
    assert "1 halves refuses an odd number 33% 1 of 3 0" in hardest
    assert hardest.index("67%") < hardest.index("33%")
    assert "quadruples" not in hardest


def test_who_handed_in_nothing_is_among_the_students_and_in_no_statistics(
    small_course: Course, marks: list[Mark]
) -> None:
    nothing = mark(small_course, Student("dora"), {}, {}, submission=NOT_HANDED_IN, attempt=0, attempts=0)
    alone, beside = (Page(class_page(small_course, every)).text for every in (marks, [*marks, nothing]))
    assert "dora 0 0 not handed in" in beside
    assert "1 student handed in nothing" in beside
    assert "4 students" in beside
    assert "handed in nothing" not in alone
    start, end = "Of 4 points", "Students Student"
    statistics = beside[beside.index(start) : beside.index(end)].replace(
        "1 student handed in nothing: no points, and counted in nothing but the list of students. ", ""
    )
    assert statistics == alone[alone.index(start) : alone.index(end)]


def test_what_may_not_be_the_answers_fault_is_flagged_with_the_kits_own_failures_first(both: dict[str, str]) -> None:
    text = Page(both["class"]).text
    flags = text[text.index("To look at") : text.index("Mistakes by name")]
    places = [flags.index(found) for found in ("kit error halves", "crashed double", "timeout double")]
    assert places == sorted(places)
    assert "Zoë O'Neil ( zoe/o'neil )" in flags
    assert "Bob" not in flags


def test_what_went_wrong_alike_is_flagged_once(small_course: Course) -> None:
    slow = mark(small_course, Student("x"), dict.fromkeys(RIGHT, State.TIMEOUT), {"got": "no answer within 10 s"})
    text = Page(class_page(small_course, [slow])).text
    assert text.count("no answer within 10 s") == 1
    assert "x timeout double, halves, quadruple no answer within 10 s" in text


def test_a_file_that_cannot_be_loaded_makes_no_check_a_hard_one(small_course: Course) -> None:
    told = {"file": "hour1_small.py", "got": "hour1_small.py was not handed in", "likely": "Hand it in."}
    nothing = mark(small_course, Student("x"), dict.fromkeys(RIGHT, State.ERROR), told)
    assert "None: no check failed." in Page(class_page(small_course, [nothing])).text


def test_refusals_are_listed_with_who_and_why(both: dict[str, str]) -> None:
    text = Page(both["class"]).text
    assert "What was not taken Zoë O'Neil ( zoe/o'neil ): hour1_small (1).py: another file" in text


def test_the_class_links_to_its_students(small_course: Course, marks: list[Mark]) -> None:
    links = [f"students/{name}.html" for name in file_names([m.student.id for m in marks])]
    assert [a["href"] for a in Page(class_page(small_course, marks, links)).all("a")] == links
    assert Page(class_page(small_course, marks)).all("a") == []


def test_a_class_in_which_nothing_went_wrong_says_so(small_course: Course, marks: list[Mark]) -> None:
    text = Page(class_page(small_course, marks[:1])).text
    for words in ("Nothing: no check of the kit broke", "None: no check failed", "No answer was exactly a mistake"):
        assert words in text


def test_a_class_of_two_hundred_is_one_page_of_a_decent_size(small_course: Course, marks: list[Mark]) -> None:
    many = [
        msgspec.structs.replace(m, student=msgspec.structs.replace(m.student, id=f"{m.student.id}{n}"))
        for n in range(67)
        for m in marks
    ]
    page = class_page(small_course, many)
    assert "201 students" in page
    assert len(page.encode()) < 200_000


def test_the_templates_are_part_of_the_package() -> None:
    names = sorted(path.name for path in (Path(pages.__file__).parent / "templates").iterdir())
    assert names == [
        *("base.html", "class.html", "learner.html", "names.html", "parts.html", "similar.html", "student.html")
    ]
