"""The learner's own page, and the arrays that verdicts keep for it."""

import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from deepdive.answers import Answer
from deepdive.bench.magics import checked, shown
from deepdive.course import Course
from deepdive.grids import compare
from deepdive.judge import judge
from deepdive.kept import Kept, Keys
from deepdive.proof import checks_of
from deepdive.report.learner import learner_page
from deepdive.verdict import State, Verdict
from tests.conftest import ROOT, SOLUTION, Answers, Run
from tests.test_pages import POLICY, Page, luminance

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
WRONG = SOLUTION.replace("return 2 * x", "print('x is', x)\n    return 3.0 * x")
HOSTILE = SOLUTION.replace("return 2 * x", "raise ValueError('<script>alert(1)</script>\\x1b[31m\\u202e')")


@pytest.fixture
def page(run: Run, answers: Answers, small_course: Course) -> Page:
    """The page of somebody who has tripled instead of doubled."""
    answers(WRONG)
    assert run("pytest").returncode == 1
    result = run("deepdive", "report")
    assert result.returncode == 0
    assert f"{small_course.root / 'report.html'} is written: open it in a browser" in result.stdout
    return Page((small_course.root / "report.html").read_text(encoding="utf-8"))


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_says_where_one_stands_and_what_is_next(page: Page) -> None:
    assert "1 of 4 points" in page.text
    assert "1 Small things 1/2 1/4 5 min" in page.text
    assert "What is next Mend double · about 3 min, 2 points where exercises/hour1_small.py:9" in page.text
    assert "then run pytest -k double" in page.text


def test_it_has_the_block_of_every_failing_check_with_three_pictures_of_its_arrays(page: Page) -> None:
    for check in ("double · doubles every value", "double · doubles whole numbers", "quadruple · quadruples"):
        assert f"{check} hour 1 · 0/" in page.text
    assert "called double(x: float64[2,3]) expected float64[2,3]" in page.text
    assert "likely The values were added up once too often. next deepdive hint double" in page.text
    assert "printed x is [[" in page.text
    # The whole numbers came back as floating point ones: their values are drawn all the same.
    titles = [str(svg["aria-label"]).partition(".")[0] for svg in page.all("svg")]
    assert titles == ["Expected", "Yours", "Difference"] * 3


def test_it_needs_nothing_else_and_forbids_it(page: Page, small_course: Course) -> None:
    policies = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [POLICY]
    source = (small_course.root / "report.html").read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"url\(|@import|https?:|javascript:", source)
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & {tag for tag, _ in page.elements}


def test_it_can_be_read_by_its_structure(page: Page) -> None:
    assert page.open == []
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        assert set((attributes.get("aria-labelledby") or "").split()) <= set(ids)
        assert tag != "svg" or attributes["aria-label"]
    assert len(page.all("title")) == len(page.all("desc")) + 1


def test_what_an_answer_says_stays_text(run: Run, answers: Answers, small_course: Course) -> None:
    answers(HOSTILE)
    run("pytest")
    run("deepdive", "report")
    source = (small_course.root / "report.html").read_text(encoding="utf-8")
    assert "alert(1)" in Page(source).text
    assert "script" not in {tag for tag, _ in Page(source).elements}
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", source)


def test_before_anything_was_run_it_says_what_to_write_first(small_course: Course, run: Run) -> None:
    assert run("deepdive", "build").returncode == 0
    text = Page(learner_page(small_course, NOW)).text
    assert "0 of 4 points" in text
    assert "2026-03-01 12:30" in text
    assert "Write double" in text
    assert "What is wrong" not in text
    assert "What your functions draw" not in text


def test_of_answers_that_were_not_tried_since_they_changed_it_says_so(
    run: Run, answers: Answers, small_course: Course
) -> None:
    answers(SOLUTION)
    run("pytest", "--exercise", "double")
    run("deepdive", "report")
    text = Page((small_course.root / "report.html").read_text(encoding="utf-8")).text
    assert "2 of 4 points" in text
    assert "Of 2 exercises it is not known how your answers do: run pytest" in text


def test_when_everything_passes_it_says_so(run: Run, answers: Answers, small_course: Course) -> None:
    answers(SOLUTION)
    assert run("pytest").returncode == 0
    run("deepdive", "report")
    text = Page((small_course.root / "report.html").read_text(encoding="utf-8")).text
    assert "4 of 4 points" in text
    assert "it is not known" not in text
    assert "Every exercise passes." in text


def test_it_goes_where_it_is_told_and_says_when_it_cannot(run: Run, answers: Answers, tmp_path: Path) -> None:
    answers(SOLUTION)
    assert run("deepdive", "report", "--out", "mine.html").stdout.startswith("mine.html is written")
    for place in (tmp_path, tmp_path / "nowhere" / "report.html"):
        result = run("deepdive", "report", "--out", str(place))
        assert result.returncode == 2
        assert f"{place} cannot be written" in result.stderr
        assert "Traceback" not in result.stderr


def test_functions_that_are_right_draw_and_no_others(tmp_path: Path) -> None:
    for name in ("solutions", "checks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "solutions", tmp_path / "exercises")
    for command in (["pytest", "-q", "--exercise", "sinusoidal_positions"], ["deepdive.cli", "report"]):
        subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, timeout=120, check=True)
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "What your functions draw Sinusoidal positions drawn by your sinusoidal_positions" in text
    assert "Attention in MiniLM" not in text


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
@pytest.mark.parametrize("width", [360, 1400])
def test_in_a_browser_nothing_is_wider_than_the_window(page: Page, small_course: Course, width: int) -> None:
    frame = small_course.root / "frame.html"
    frame.write_text(
        f"""<!doctype html><iframe src="report.html" style="width: {width}px; height: 800px; border: 0"></iframe>
<p></p><script>onload = () => {{
  const page = document.querySelector("iframe").contentDocument;
  document.querySelector("p").textContent = `${{page.documentElement.scrollWidth}} wide`;
}}</script>""",
        encoding="utf-8",
    )
    assert CHROMIUM is not None
    flags = "--headless=new --no-sandbox --disable-gpu --hide-scrollbars --allow-file-access-from-files --dump-dom"
    command = [CHROMIUM, *flags.split(), f"--user-data-dir={small_course.root / 'profile'}", frame.as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert f"<p>{width} wide</p>" in dumped


def test_the_pictures_own_text_has_the_pages_colour(page: Page, small_course: Course) -> None:
    source = (small_course.root / "report.html").read_text(encoding="utf-8")
    grounds = re.findall(r"--raised: (#\w{6});.*?--text: (#\w{6})", source)
    assert len(grounds) == 3  # light, dark, paper
    for ground, ink in grounds:
        dark, light = sorted((luminance(ground), luminance(ink)))
        assert (light + 0.05) / (dark + 0.05) >= 4.5
    assert all(svg["fill"] == "currentColor" for svg in page.all("svg"))


# ── the arrays ──────────────────────────────────────────────────────────────────────────────────────────────────


def verdicts_on(course: Course, name: str, function: Any, *, jailed: bool = False) -> list[Verdict]:
    exercise, found = course.exercise(name), []
    for check, seconds in checks_of(course, exercise):
        answer = Answer(exercise, function, seconds)
        answer.jailed = jailed
        found.append(judge(course, exercise, check, answer))
    return found


def test_a_verdict_keeps_the_arrays_that_differ(small_course: Course) -> None:
    arrays = verdicts_on(small_course, "double", lambda x: 3 * x)[1].arrays
    assert arrays is not None
    assert arrays.difference is not None
    assert (arrays.expected.cells, arrays.got.cells) == ([[2, 4, 10]], [[3, 6, 15]])
    assert arrays.difference.cells == [[1, 2, 5]]
    second = verdicts_on(small_course, "halves", lambda x: (x[:3], x[:3]))[0].arrays
    assert second is not None
    assert second.expected.cells == [[3, 4, 5]]  # the second of two arrays, which is the wrong one


def test_a_verdict_of_a_graded_run_keeps_none_of_random_inputs(small_course: Course) -> None:
    (drawn, written_down) = verdicts_on(small_course, "double", lambda x: 3 * x, jailed=True)
    assert drawn.state is written_down.state is State.FAILED
    assert drawn.arrays is None
    assert written_down.arrays is not None
    assert written_down.arrays.got.cells == [[3, 6, 15]]


def test_arrays_that_take_long_to_draw_are_not_looked_at() -> None:
    assert compare(np.zeros(3), np.broadcast_to(np.zeros(1), (1 << 40,))) is None


def test_arrays_survive_json_with_nan_and_infinities(small_course: Course) -> None:
    def odd(x: np.ndarray) -> np.ndarray:
        result = 2.0 * x
        result[0] = [np.nan, np.inf, -np.inf]
        return result

    (verdict, _) = verdicts_on(small_course, "double", odd)
    again = msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict)
    assert again == verdict
    assert again.arrays is not None
    assert again.arrays.got.cells[0] == ["nan", "inf", "-inf"]


def test_what_passes_or_is_no_array_keeps_none(small_course: Course) -> None:
    assert [v.arrays for v in verdicts_on(small_course, "double", lambda x: 2 * x)] == [None, None]
    assert [v.arrays for v in verdicts_on(small_course, "double", lambda x: 7)] == [None, None]


def test_only_what_a_check_has_said_last_keeps_its_arrays(small_course: Course) -> None:
    first, second = (verdicts_on(small_course, "double", function)[0] for function in (np.abs, np.negative))
    keys = [Keys("first", "l"), Keys("second", "l")]
    for key, verdict in zip(keys, (first, second), strict=True):
        Kept(small_course, "").add([(key, verdict)])
    kept = json.loads((small_course.root / ".deepdive" / "verdicts.json").read_text())
    assert set(kept) == {"first", "second"}
    assert "arrays" not in kept["first"]
    assert "arrays" in kept["second"]


# ── the command and the notebook ────────────────────────────────────────────────────────────────────────────────


def test_show_prints_a_failure_and_writes_it_as_svg(run: Run, answers: Answers, small_course: Course) -> None:
    answers(WRONG)
    run("pytest")
    result = run("deepdive", "show", "failure", "double")
    assert [line for line in result.stdout.splitlines() if line in ("Expected", "Yours", "Difference")] == [
        "Expected",
        "Yours",
        "Difference",
    ]
    result = run("deepdive", "show", "failure", "double", "--svg", "double.svg")
    assert result.stdout.splitlines()[0] == "double-expected.svg is written"
    assert (small_course.root / "double-difference.svg").read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("show", "cat"), "there is no picture cat; there are attention,"),
        (("show", "failure"), "say of which exercise"),
        (("show", "failure", "double"), "deepdive check double tries it again"),
        (("show", "positions"), "this course has no exercise sinusoidal_positions"),
        (("show", "lengths", "--svg", "/nowhere/x.svg"), "/nowhere/x.svg cannot be written"),
    ],
)
def test_a_slip_is_answered_with_a_sentence(run: Run, command: tuple[str, ...], told: str) -> None:
    result = run("deepdive", *command)
    assert result.returncode == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_nobody_waits_for_pictures_that_are_not_shown() -> None:
    code = "import sys, deepdive.cli, deepdive.pytest_plugin, deepdive.bench.standing; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in loaded if name.startswith(("deepdive.pictures", "torch", "matplotlib", "jinja2"))]


def test_a_check_in_a_notebook_shows_the_arrays_below_the_six_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    told = checked("softmax", {"softmax": lambda x, axis=-1: x})
    assert [picture.title for picture in told.pictures] == ["Expected", "Yours", "Difference"]
    html = told._repr_html_()
    assert html.index("</pre>") < html.index("<svg")
    assert html.count("<svg") == 3


def test_show_in_a_notebook_draws_with_what_was_found_right(monkeypatch: pytest.MonkeyPatch) -> None:
    from solutions.hour1_attention import sinusoidal_positions as mine

    monkeypatch.chdir(ROOT)
    told = shown("positions", {"sinusoidal_positions": mine})
    assert repr(told) == "Sinusoidal positions · drawn by your sinusoidal_positions"
    assert told._repr_html_().count("<svg") == 1
    assert repr(shown("positions", {})).endswith("drawn by the reference's sinusoidal_positions")
    assert "%show what? There are attention," in repr(shown("", {}))
    assert "there is no picture cat" in repr(shown("cat", {}))
    assert "No closing quotation" in repr(shown('attention "the cat', {}))
