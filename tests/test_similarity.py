"""Copies are found however they are dressed up, honest answers are not, and no file can harm the report."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from deepdive.course import Course, Hour, load_course
from deepdive.grading import reading
from deepdive.grading.classlist import HandedIn, class_of
from deepdive.grading.intake import Submission
from deepdive.grading.marks import Student
from deepdive.grading.reading import Reader, read
from deepdive.grading.similarity import RUN, Similarity, common, compare
from deepdive.report.similar import similarity_page
from tests.conftest import ROOT, Run
from tests.test_export import HOSTILE
from tests.test_pages import POLICY, Page

COURSE = load_course(ROOT)
COPY, HONEST = (
    0.4,
    0.1,
)  # measured: copies of hours 1 to 6, disguised as below, share 43 to 78 %, honest pairs 1 to 7 %


class Disguise(ast.NodeTransformer):
    """What somebody does to a copy: other names for everything, no docstrings, no comments, no annotations."""

    def __init__(self, source: str, keep: set[str]) -> None:
        self.tree = ast.parse(source)
        own = sorted(reading._bound(self.tree) - keep - {"np"})
        self.names = {name: f"thing_{number}" for number, name in enumerate(own)}

    def renamed(self, name: str) -> str:
        return self.names.get(name, name)

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.renamed(node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(self.renamed(node.arg))

    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        return ast.keyword(node.arg and self.renamed(node.arg), self.visit(node.value))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.name = self.renamed(node.name)
        node.body = node.body[ast.get_docstring(node) is not None :] or [ast.Pass()]
        return node


def solution(hour: Hour) -> str:
    return (ROOT / "solutions" / hour.file_name).read_text(encoding="utf-8")


def stub(hour: Hour) -> str:
    return (ROOT / "exercises" / hour.file_name).read_text(encoding="utf-8")


def disguised(hour: Hour) -> str:
    """The solution as a copy: everything renamed, and the functions in the opposite order."""
    disguise = Disguise(solution(hour), {exercise.name for exercise in hour.exercises})
    tree = disguise.visit(disguise.tree)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    others = [node for node in tree.body if not isinstance(node, ast.FunctionDef)]
    tree.body = others + functions[::-1]
    return ast.unparse(ast.fix_missing_locations(tree))


def honest(hour: Hour) -> str:
    """Somebody else's right answers to the same hour, one for each exercise."""
    tree = ast.parse((ROOT / "tests" / "alternatives" / hour.file_name).read_bytes())
    kept, answered = [], set[str]()
    for node in tree.body:
        decorators = [ast.unparse(each) for each in getattr(node, "decorator_list", [])]
        of = [decorator for decorator in decorators if decorator.startswith("alternative(")]
        if not of or of[0] not in answered:
            kept.append(node)
            answered.update(of)
    return ast.unparse(ast.Module(kept, []))


def handed_in(hour: Hour, **sources: str | bytes) -> list[HandedIn]:
    contents = {who: text.encode() if isinstance(text, str) else text for who, text in sources.items()}
    return [HandedIn(Student(who), Submission(who, {hour.file_name: content})) for who, content in contents.items()]


def shares(found: Similarity) -> dict[frozenset[str], float]:
    return {frozenset(student.id for student in pair.students): pair.share for pair in found.pairs}


# ── pairs ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("hour", COURSE.hours, ids=lambda hour: hour.topic)
def test_a_copy_with_other_names_in_another_order_is_found_and_honest_answers_are_not(hour: Hour) -> None:
    found = compare(
        COURSE,
        handed_in(hour, anna=solution(hour), bob=disguised(hour), carl=honest(hour)),
        {hour.number},
    )
    first = found.pairs[0]
    assert {student.id for student in first.students} == {"anna", "bob"}
    assert first.share > COPY
    assert not first.identical
    assert all(pair.share < HONEST for pair in found.pairs[1:])


def test_files_that_are_the_same_say_so() -> None:
    hour = COURSE.hours[0]
    (pair,) = compare(COURSE, handed_in(hour, anna=solution(hour), bob=solution(hour)), {1}).pairs
    assert (pair.share, pair.identical) == (pytest.approx(1), True)


def test_untouched_stubs_are_not_similar() -> None:
    hour = COURSE.hours[0]
    found = compare(COURSE, handed_in(hour, anna=stub(hour), bob=stub(hour), carl=solution(hour)), {1})
    assert found.pairs == []
    assert [(each.student.id, each.why) for each in found.left_out] == [
        ("anna", "too little of its own to be compared"),
        ("bob", "too little of its own to be compared"),
    ]


def test_one_copied_answer_in_a_short_file_is_found_in_a_long_one() -> None:
    hour = COURSE.hours[0]
    copied = ast.parse(solution(hour))
    names = {"multi_head_attention", "masked_lm_labels"}
    copied.body = [node for node in copied.body if not isinstance(node, ast.FunctionDef) or node.name in names]
    files = handed_in(hour, anna=solution(hour), bob=ast.unparse(copied), carl=honest(hour))
    found = shares(compare(COURSE, files, {1}))
    assert found[frozenset({"anna", "bob"})] > COPY
    assert found[frozenset({"anna", "carl"})] < HONEST


def test_attempts_of_one_student_are_one_and_are_not_compared_with_one_another() -> None:
    hour = COURSE.hours[0]
    text = solution(hour)
    attempts = [each for end in ("", "# again", "\nx = 1\n") for each in handed_in(hour, anna=text + end)]
    assert compare(COURSE, attempts, {1}).pairs == []
    assert len(compare(COURSE, [*attempts, *handed_in(hour, bob=text)], {1}).pairs) == 1


def test_two_students_with_many_attempts_hide_nobody_else() -> None:
    hour = COURSE.hours[0]

    def own(number: int) -> str:
        return "\n".join(f"def h{i}(x):\n    return x.argmax() @ {number} % x.ndim ** {i} // {i}" for i in range(20))

    attempts = [
        each for i in range(12) for each in handed_in(hour, anna=own(1) + f"\ny={i}", bob=own(1) + f"\nz={i}")
    ]
    found = shares(compare(COURSE, [*attempts, *handed_in(hour, carl=own(2), dora=own(2))], {1}))
    assert found[frozenset({"anna", "bob"})] > COPY
    assert found[frozenset({"carl", "dora"})] == pytest.approx(1)


def test_what_many_wrote_counts_less_than_what_only_two_did() -> None:
    hour = COURSE.hours[0]
    common_code = "\n".join(f"def f{i}(x):\n    return x.mean() + x.sum() * {i} - x.max() / {i}" for i in range(20))
    rare_code = "\n".join(f"def g{i}(x):\n    return x.std() - x.prod() / {i} + x.min() * {i}" for i in range(20))

    def own(number: int) -> str:
        return "\n".join(f"def h{i}(x):\n    return x.argmax() @ {number} % x.ndim ** {i} // {i}" for i in range(20))

    sources = {f"s{i}": common_code + "\n" + own(i) for i in range(2, 12)}
    sources |= {"t1": rare_code + "\n" + own(20), "t2": rare_code + "\n" + own(21)}
    found = shares(compare(COURSE, handed_in(hour, **sources), {1}))
    assert max(found, key=lambda who: found[who]) == frozenset({"t1", "t2"})
    assert len({round(share, 6) for who, share in found.items() if "t1" not in who}) == 1


def test_what_was_refused_is_told() -> None:
    empty = HandedIn(Student("anna"), Submission("anna.zip", {}, ("anna.zip: encrypted",)))
    (told,) = compare(COURSE, [empty], {1}).left_out
    assert (told.student.id, told.file, told.why) == ("anna", "anna.zip", "anna.zip: encrypted")


def test_what_is_usual_in_the_class_is_told() -> None:
    hour = COURSE.hours[0]
    (told,) = compare(COURSE, handed_in(hour, anna=solution(hour), bob=disguised(hour), carl=honest(hour)), {1}).hours
    assert told.files == 3
    assert told.median < HONEST
    assert told.high > COPY


# ── passages ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_passages_are_the_same_code_side_by_side() -> None:
    hour = COURSE.hours[0]
    (pair,) = compare(COURSE, handed_in(hour, anna=solution(hour), bob=disguised(hour)), {1}).pairs
    assert [passage.tokens for passage in pair.passages] == sorted((p.tokens for p in pair.passages), reverse=True)
    for passage in pair.passages:
        first, second = (" ".join(line.text for line in lines) for lines in (passage.first, passage.second))
        called = re.findall(r"np\.(\w+)", first)
        assert called == re.findall(r"np\.(\w+)", second) or len(passage.first) != len(passage.second)
        assert "Args:" not in second  # the stub's docstrings are no evidence
    text = solution(hour).split("\n")
    assert all(line.text == text[line.number - 1].rstrip() for p in pair.passages for line in p.first)


def test_passages_are_found_in_any_order_and_never_twice() -> None:
    one, two = (tuple(f"{word}{i}" for i in range(20)) for word in "ab")
    a, b = (*one, "x", *two), (*two, "y", "y", *one)
    assert common(a, b, [False] * len(a), [False] * len(b)) == [(0, 22, 20), (21, 0, 20)]
    again = one + one
    assert common(one, again, [False] * 20, [False] * 40) == [(0, 0, 20)]


def test_what_belongs_to_the_stub_cuts_a_passage() -> None:
    tokens = tuple(map(str, range(60)))
    stub_part = [20 <= i < 30 for i in range(60)]
    assert common(tokens, tokens, stub_part[:], [False] * 60) == [(30, 30, 30), (0, 0, 20)]
    assert RUN <= 20


def test_texts_that_repeat_themselves_without_end_take_a_bounded_search() -> None:
    tokens = ("name", "=", "1", ";") * 5000
    assert common(tokens, tokens, [False] * len(tokens), [False] * len(tokens))[0] == (0, 0, len(tokens))


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(x):\n    return np.exp(x)", "def g(value):\n    return np.exp(value)  # mine"),
        ("import numpy as np\ny = np.exp(1)", "import numpy as xp\nz = xp.exp(1)"),
        ('def f(x):\n    """Why."""\n    return x', "def f(x):\n    return x"),
        ("raise ValueError('no')", 'raise ValueError(f"{1} is not"  "right")'),
        ("x = (1,\n     2)", "x = (1, 2)"),
        ("x = 1; y = 2", "x = 1\n\n\ny = 2\n"),
        ("class A:\n    def go(self):\n        self.n = 1", "class B:\n    def run(me):\n        me.m = 1"),
        ("x = 1\r\ny = 2\r\n", "\ufeffx = 1\ny = 2\n"),
        ("x = 1\ry = 2\r", "x = 1\ny = 2"),
    ],
)
def test_what_can_be_changed_without_changing_anything_does_not_count(one: str, other: str) -> None:
    assert read(one.encode()).tokens == read(other.encode()).tokens != ()


@pytest.mark.parametrize(
    ("one", "other"), [("y = np.exp(x)", "y = np.log(x)"), ("x = 1", "x = 2"), ("x = a + b", "x = a - b")]
)
def test_what_changes_something_counts(one: str, other: str) -> None:
    assert read(one.encode()).tokens != read(other.encode()).tokens


def test_a_file_in_another_coding_is_read_in_it() -> None:
    latin = "# coding: latin-1\nx = 'é'\ny = 1\n".encode("latin-1")
    assert reading.text_of(latin).split("\n")[1] == "x = 'é'"
    assert read(latin).lines == (2, 2, 2, 2, 3, 3, 3, 3)
    assert read(latin.replace(b"latin-1", b"utf-8")).problem.startswith("no Python that can be read: 'utf-8' codec")


BAD = {
    "a letter": b"Dear teacher,\nI was ill.",
    "binary": bytes(range(256)) * 100,
    "NUL": b"x = 1\0",
    "UTF-16": "x = 1".encode("utf-16"),
    "no such coding": b"# coding: nonsense\nx = 1",
    "a coding of bytes": b"# coding: hex\nx = 1",
    "brackets": b"(" * 100_000,
    "closed brackets": b"[" * 90 + b"]" * 90 + b"(" * 300,
    "minus": b"x = " + b"-" * 500_000 + b"1",
    "dots": b"x = a" + b".b" * 300_000,
    "braces": b"{" * 60 + b"a" + b":" * 60,
    "one endless line": b"x = 1" + b" + 1" * 200_000,
    "an open text": b'"""' + b"x" * 1_000_000,
}


@pytest.mark.parametrize("content", BAD.values(), ids=list(BAD))
def test_whatever_a_file_holds_it_is_read_or_told_and_so_is_the_next(content: bytes) -> None:
    with Reader() as reader:
        found = reader.read(content)
        assert found.problem or len(found.tokens) <= reading.MOST_TOKENS
        assert reader.read(b"x = 1").tokens == ("name", "=", "1", ";")


def test_a_file_that_keeps_its_reader_busy_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SECONDS", 0.01)  # not even Python starts so fast
    with Reader() as reader:
        assert reader.read(b"x = 1").problem == "could not be read: it took longer than 0.01 s"
        monkeypatch.setattr(reading, "SECONDS", 60)
        assert reader.read(b"x = 1").problem == ""


def test_a_reader_that_dies_is_replaced() -> None:
    with Reader() as reader:
        assert not reader.read(b"x = 1").problem
        assert reader._process is not None
        reader._process.kill()
        assert reader.read(b"x = 1").problem == "could not be read: it took the parser's process down"
        assert not reader.read(b"x = 1").problem


def test_nothing_of_a_file_is_run(tmp_path: Path) -> None:
    hour = COURSE.hours[0]
    harm = f"open({str(tmp_path / 'harm')!r}, 'w')\n" + solution(hour)
    compare(COURSE, handed_in(hour, anna=harm, bob=harm + "\n"), {1})
    assert not (tmp_path / "harm").exists()


# ── the page and the command ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def page() -> Callable[..., str]:
    def write(name: str, remark: str = "") -> str:
        hour = COURSE.hours[0]
        code = "".join(f"def f{i}(x):\n    return x.mean() + x * {i}  # {remark}\n" for i in range(30))
        files = [
            HandedIn(Student(who, name), Submission(who, {hour.file_name: (code + end).encode()}))
            for who, end in (("1", ""), ("2", "\n"))
        ]
        files += [HandedIn(Student("3", name), Submission("3", {hour.file_name: b"no Python"}))]
        return similarity_page(compare(COURSE, files, {1}))

    return write


def test_the_page_says_what_it_is_and_shows_both_sides(page: Callable[..., str]) -> None:
    source = page("Jane")
    found = Page(source)
    assert found.open == []
    assert "This is no mark and no proof." in found.text
    assert "100%" in found.text
    assert source.count("return x.mean() + x * 7") == 2
    assert "Jane ( 3 ), hour1_attention.py : no Python on line 1" in found.text


def test_the_page_needs_nothing_else_and_forbids_it(page: Callable[..., str]) -> None:
    found = Page(page("Jane"))
    policies = [meta["content"] for meta in found.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [POLICY]
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & {tag for tag, _ in found.elements}
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert {a["href"] for a in found.all("a")} <= {f"#{each}" for each in ids}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_and_code_stay_texts(page: Callable[..., str], text: str) -> None:
    one_line = " ".join(text.encode("utf-8", "replace").decode().replace("\0", "").splitlines())
    source = page(text, one_line)
    found = Page(source)
    assert found.open == []
    assert found.comments == []
    assert {tag for tag, _ in found.elements} == {tag for tag, _ in Page(page("x")).elements}
    assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]", source)
    assert len(source) < 200_000


def test_no_submissions_are_no_trouble() -> None:
    found = Page(similarity_page(compare(COURSE, [], {1, 2})))
    assert found.open == []
    assert "No two files have anything of their own in common." in found.text


def test_the_command_takes_what_grade_takes_writes_the_page_and_tells_the_pairs(
    run: Run, small_course: Course, tmp_path: Path
) -> None:
    code = "".join(f"def f{i}(x):\n    return x.mean() + x * {i}\n" for i in range(30))
    for who, text in (("Jane Doe_1_assignsubmission_file_", code), ("bob", code + "y = 1\n"), ("carl", "no Python")):
        (tmp_path / "class" / who).mkdir(parents=True)
        (tmp_path / "class" / who / "hour1_small.py").write_text(text, encoding="utf-8")
    assert len(list(class_of(tmp_path / "class", small_course))) == 3
    done = run("deepdive", "similar", str(tmp_path / "class"), "--out", str(tmp_path / "page.html"))
    assert done.returncode == 0, done.stderr
    assert re.search(r"hour 1 · +\d+% · (Jane Doe, bob|bob, Jane Doe)", done.stdout)
    assert "not compared  carl, hour1_small.py: no Python on line 1" in done.stdout
    assert "Similar answers" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in small_course.root.iterdir() if path.suffix == ".db") == []


def test_the_command_answers_a_slip_with_a_sentence(run: Run, tmp_path: Path) -> None:
    done = run("deepdive", "similar", str(tmp_path / "nowhere"))
    assert (done.returncode, "there is no such folder or file" in done.stderr) == (2, True)
    done = run("deepdive", "similar", str(tmp_path), "--hour", "9")
    assert (done.returncode, "there is no hour 9" in done.stderr) == (2, True)
