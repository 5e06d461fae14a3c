"""Pictures: well formed, told in words, readable by everybody, and honest about what they leave out."""

import io
import json
import math
import random
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest
from rich.console import Console

from deepdive.course import Course, load_course
from deepdive.grids import MOST, Comparison, Grid, compare, grid_of
from deepdive.pictures import deployment, palette
from deepdive.pictures.bars import histogram
from deepdive.pictures.comparison import comparison, side_by_side
from deepdive.pictures.confusion import confusion_matrix
from deepdive.pictures.curve import learning_curve
from deepdive.pictures.gallery import DRAWN, HEADS, PICTURES, CannotShow, Functions, draw
from deepdive.pictures.heatmap import Names, heatmap
from deepdive.pictures.palette import Scale, contrast, ink_on, scale_of, signed_scale_of
from deepdive.pictures.pieces import pieces
from deepdive.pictures.reliability import reliability
from deepdive.pictures.show import print_pictures, write_pictures
from deepdive.pictures.svg import Picture
from deepdive.pictures.tradeoff import Model, tradeoff
from tests.conftest import ROOT
from tests.test_export import HOSTILE

SVG = "{http://www.w3.org/2000/svg}"
COURSE = load_course(ROOT)
ODD = np.array([[1.0, np.nan, np.inf], [-np.inf, 2.0, 3.0]])


def grid(array: np.ndarray) -> Grid:
    found = grid_of(array)
    assert found is not None
    return found


def training(steps: int = 400) -> list[tuple[float, float]]:
    noise = random.Random(7)
    return [(step, 0.6 * math.exp(-step / 90) + 0.1 + noise.gauss(0, 0.02)) for step in range(steps)]


def calibration(rows: int = 500) -> tuple[list[float], list[bool]]:
    chance = random.Random(7)
    sure = [0.5 + 0.5 * chance.random() for _ in range(rows)]
    return sure, [chance.random() < each - 0.05 for each in sure]


def every_kind(name: str = "negative") -> list[Picture]:
    """One picture of each kind, with real-looking numbers; `name` is what a person may have written."""
    models = [Model(name, 38.2, 0.78, 91.0), Model("int8", 8.1, 0.771, 23.4), Model("lost", math.nan, 0.5, 1.0)]
    array = np.random.default_rng(7).normal(size=(2, 3, 4))
    arrays = compare(array, array + 0.1)
    assert arrays is not None
    return [
        heatmap(grid(array[0]), scale_of(grid(array[0])), name, names=Names([name] * 3, [name] * 4), percent=True),
        heatmap(grid(ODD), Scale(0, 3), "odd ones"),
        *comparison(arrays),
        pieces({name: [name, "##s", name], "GPT-2": ["Ġa", "b"]}, name, note=name),
        histogram([float(len(name)), 3, 5, 8, 100, math.nan], name, "tokens", of=name, marks={name: 50}),
        learning_curve({name: training(), "validation": [(0, 0.7), (100, math.nan), (200, 0.4)]}, name),
        confusion_matrix([[2104, 396], [311, 2189]], [name, "positive"], name),
        reliability(*calibration(), name),
        tradeoff(models, name),
    ]


# ── all of them ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_picture_is_well_formed_and_says_in_words_what_it_shows() -> None:
    for picture in every_kind():
        for source in (picture.svg(), picture.file()):
            root = ET.fromstring(source)
            assert root.tag == f"{SVG}svg"
            assert root.get("role") == "img"
            title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
            assert title is not None
            assert title.text == picture.title
            assert desc is not None
            assert len(desc.text or "") > 10
            assert f"{title.text}. {desc.text}" == root.get("aria-label")


def test_a_picture_needs_nothing_from_elsewhere() -> None:
    for picture in every_kind():
        source = picture.file().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?:|href|url\(|@import|<script|\bon\w+=", source)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_stay_texts(text: str) -> None:
    plain = {element.tag for picture in every_kind() for element in ET.fromstring(picture.svg()).iter()}
    for picture in every_kind(text):
        source = picture.file()
        tags = {element.tag for element in ET.fromstring(source).iter()}
        assert tags <= plain | {f"{SVG}style"}
        assert not re.search(
            r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]", source
        )
        assert len(source.encode()) < 200_000
    assert "<script" not in side_by_side(every_kind(text))


def test_what_stands_on_a_colour_is_black_or_white_and_all_else_has_the_texts_own_colour() -> None:
    for picture in every_kind():
        inks = {text.get("fill") for text in ET.fromstring(picture.svg()).iter(f"{SVG}text")}
        assert inks <= {None, "#000000", "#ffffff"}


def test_every_text_stands_out_from_the_colour_it_stands_on() -> None:
    scales = [Scale(0, 1), signed_scale_of(grid(ODD)), Scale(0, 1, ("#f4f8fc", "#9ecae1", "#4292c6", "#08519c"))]
    grounds = {
        scale.colour(scale.least + (scale.greatest - scale.least) * step / 200)
        for scale in scales
        for step in range(201)
    }
    assert len(grounds) > 100
    for ground in {*grounds, *palette.PIECES, *palette.MARKS, palette.ODD}:
        assert contrast(ink_on(ground), ground) >= 4.5, ground  # WCAG 2.2, level AA


def test_a_file_of_its_own_is_readable_in_light_and_in_dark() -> None:
    pairs = re.findall(r"svg \{ color: (#\w{6}); background: (#\w{6}) \}", every_kind()[0].file())
    assert len(pairs) == 2
    for ink, ground in pairs:
        assert contrast(ink, ground) >= 4.5
        for mark in palette.MARKS:
            assert contrast(mark, ground) >= 3 or mark == palette.PINK, (mark, ground)  # WCAG 2.2, 1.4.11


def test_viridis_is_ordered_by_lightness_alone() -> None:
    shades = [contrast("#000000", Scale(0, 1).colour(step / 20)) for step in range(21)]
    assert shades == sorted(shades)
    assert len(set(shades)) == 21


# ── heatmaps and grids ──────────────────────────────────────────────────────────────────────────────────────────


def cells_of(picture: Picture) -> list[tuple[float, float]]:
    """Where the cells of a heatmap are."""
    paths = ET.fromstring(picture.svg()).findall(f"{SVG}g[@class='cells']/{SVG}path")
    return [
        (float(x), float(y)) for path in paths for x, y in re.findall(r"M([\d.]+) ([\d.]+)h", path.get("d") or "")
    ]


@pytest.mark.parametrize(
    ("shape", "rows", "columns", "slices"),
    [
        ((7,), 1, 7, (0, 0)),
        ((3, 5), 3, 5, (0, 0)),
        ((2, 3, 5), 6, 5, (3, 0)),
        ((2, 3, 4, 5), 8, 15, (4, 5)),
        ((2, 2, 3, 4, 5), 16, 15, (4, 5)),
        ((64, 64), 64, 64, (0, 0)),
        ((65, 1), 33, 1, (0, 0)),
        ((300, 1000), 60, 63, (0, 0)),
    ],
)
def test_a_heatmap_has_a_cell_for_every_value_or_block(
    shape: tuple[int, ...], rows: int, columns: int, slices: tuple[int, int]
) -> None:
    found = grid(np.random.default_rng(1).normal(size=shape))
    assert found.size == (rows, columns)
    assert found.slices == slices
    assert max(found.size) <= MOST
    cells = cells_of(heatmap(found, scale_of(found), "x"))
    assert len(set(cells)) == len(cells) == rows * columns
    assert found.kind == f"float64[{','.join(map(str, shape))}]"


def test_a_four_dimensional_array_has_its_last_leading_axis_side_by_side() -> None:
    array = np.arange(2 * 3 * 2 * 2.0).reshape(2, 3, 2, 2)
    assert grid(array).cells[0] == [0, 1, 4, 5, 8, 9]  # row 0 of [0,0], [0,1] and [0,2]
    assert grid(array).cells[2] == [12, 13, 16, 17, 20, 21]


def test_blocks_are_means_but_no_difference_is_lost_in_them() -> None:
    expected = np.zeros((640, 640))
    got = expected.copy()
    got[321, 17] = -8.0
    arrays = compare(expected, got)
    assert arrays is not None
    assert arrays.difference is not None
    assert arrays.got.cells[32][1] == pytest.approx(-0.08)
    assert arrays.difference.cells[32][1] == -8.0
    assert sum(cell != 0 for row in arrays.difference.cells for cell in row) == 1
    assert "A cell is 10 by 10 values." in comparison(arrays)[2].text


def test_nan_and_infinities_have_signs_of_their_own_and_are_told() -> None:
    found = grid(ODD)
    assert found.cells == [[1.0, "nan", "inf"], ["-inf", 2.0, 3.0]]
    picture = heatmap(found, Scale(0, 3), "x")
    assert "1 NaN, drawn as ×. 2 infinite, drawn as ▲ or, below 0, ▼." in picture.text
    assert "Values from 1 to 3." in picture.text
    root = ET.fromstring(picture.svg())
    assert len(root.findall(f"{SVG}path[@class='odd']")) == 3
    assert "× 1 NaN" in [text.text for text in root.iter(f"{SVG}text")]


def test_one_nan_in_a_block_is_never_averaged_away() -> None:
    array = np.zeros((128, 128))
    array[5, 5] = np.nan
    array[90, 90] = -np.inf
    cells = grid(array).cells
    assert (cells[2][2], cells[45][45], cells[0][0]) == ("nan", "-inf", 0.0)


@pytest.mark.parametrize(
    "array",
    [
        np.array(3.0),
        np.array([1.0]),
        np.zeros((0, 4)),
        np.array(["a", "b"]),
        np.array([1j, 2j]),
        np.array([{}, None]),
    ],
    ids=["a number", "one value", "none", "texts", "complex", "objects"],
)
def test_what_cannot_be_drawn_is_not_drawn(array: np.ndarray) -> None:
    assert grid_of(array) is None
    assert compare(array, np.zeros(3)) is None
    assert compare(np.zeros(3), array) is None


def test_masks_and_whole_numbers_are_drawn_as_numbers() -> None:
    arrays = compare(np.array([True, False]), np.array([True, True]))
    assert arrays is not None
    assert arrays.difference is not None
    assert (arrays.expected.cells, arrays.difference.cells) == ([[1.0, 0.0]], [[0.0, 1.0]])
    ids = compare(np.array([101, 30521]), np.array([101, 30522]))
    assert ids is not None
    assert ids.difference is not None
    assert ids.difference.cells == [[0.0, 1.0]]


@pytest.mark.parametrize("scale", [float(np.finfo(float).max), 5e-324, 0.0])
def test_the_largest_and_the_smallest_numbers_are_drawn(scale: float) -> None:
    array = np.full((130, 3), scale)
    array[::2] *= -1
    arrays = compare(array, -array)
    assert arrays is not None
    assert msgspec.json.decode(msgspec.json.encode(arrays), type=Comparison) == arrays
    for picture in comparison(arrays):
        ET.fromstring(picture.svg())
        assert printed(picture)


def test_rounding_is_no_difference() -> None:
    arrays = compare(np.array([0.1 + 0.2, 1e6, 0.0]), np.array([0.3, 1e6 + 0.01, 2.0]))
    assert arrays is not None
    assert arrays.difference is not None
    assert arrays.difference.cells == [[0.0, 0.0, 2.0]]


def test_arrays_of_different_shapes_have_no_difference() -> None:
    arrays = compare(np.zeros((2, 3)), np.ones((3, 2)))
    assert arrays is not None
    assert [picture.title for picture in comparison(arrays)] == ["Expected", "Yours"]


def test_expected_and_yours_have_the_same_colours_for_the_same_numbers() -> None:
    arrays = compare(np.array([[0.0, 1.0]]), np.array([[0.0, 9.0]]))
    assert arrays is not None
    first, second = (
        re.findall(r'class="cells".*?fill="(#\w+)"', picture.svg())[0] for picture in comparison(arrays)[:2]
    )
    assert first == second


# ── in a terminal ───────────────────────────────────────────────────────────────────────────────────────────────


def printed(picture: Picture, width: int = 80, *, colour: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=colour, color_system="truecolor" if colour else None
    )
    with console.capture() as captured:
        print_pictures([picture], console)
    return captured.get()


def test_a_terminal_without_colours_shows_all_pictures_and_no_escapes() -> None:
    for picture in every_kind():
        shown = printed(picture)
        assert picture.title in shown
        assert len(shown.splitlines()) > 2
        assert "\x1b" not in shown


def test_without_colours_darker_signs_are_greater_numbers() -> None:
    found = grid(np.arange(80.0).reshape(2, 40))
    _, first, second, *_ = printed(heatmap(found, scale_of(found), "x")).splitlines()
    assert (first[0], first[-1], second[-1]) == (" ", "=", "@")
    assert len(first) == 40


def test_a_terminal_with_colours_shows_numbers_by_the_colour_behind_them() -> None:
    found = grid(np.arange(6.0).reshape(2, 3))
    shown = printed(heatmap(found, scale_of(found), "x"), colour=True)
    assert "48;2;68;1;84m" in shown  # the first colour of viridis, as a background
    assert "48;2;253;231;37m" in shown


def test_a_picture_wider_than_the_terminal_says_so() -> None:
    found = grid(np.zeros((2, 60)))
    assert "cut at 40 columns, it has 60" in " ".join(printed(heatmap(found, Scale(0, 1), "x"), 40).split())


def test_pieces_can_be_told_apart_without_colours() -> None:
    assert "play│##ing" in printed(pieces({"BERT": ["play", "##ing"]}, "x"))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_moves_the_cursor_or_is_taken_for_markup(text: str) -> None:
    for picture in every_kind(text):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", printed(picture))


# ── charts ──────────────────────────────────────────────────────────────────────────────────────────────────────


def elements(picture: Picture, tag: str, name: str) -> list[ET.Element]:
    return [e for e in ET.fromstring(picture.svg()).iter(f"{SVG}{tag}") if e.get("class") == name]


def test_a_histogram_counts_every_value_once() -> None:
    lengths = [int(100 + 900 * random.Random(3).random() ** 2) for _ in range(1000)]
    picture = histogram([*lengths, math.inf], "lengths", "tokens", of="reviews", marks={"limit": 512})
    heights = [float(bar.get("height") or 0) for bar in elements(picture, "rect", "bar")]
    assert 10 <= len(heights) <= 30
    above = sum(length > 512 for length in lengths)
    assert f"1,000 reviews: from {min(lengths)} to {max(lengths)}" in picture.text
    assert f"{above:,} are above limit, 512." in picture.text
    assert "NaN or infinite, and left out: 1." in picture.text


@pytest.mark.parametrize("values", [[], [math.nan], [5.0], [5.0, 5.0], [0.0], [-3.0, 1e9], [1e-12, 2e-12]])
def test_a_histogram_of_next_to_nothing_is_drawn(values: list[float]) -> None:
    ET.fromstring(histogram(values, "x", "tokens").svg())


def test_a_learning_curve_has_a_gap_where_the_loss_is_nan() -> None:
    points = [(step, math.nan if 10 <= step < 15 else 1.0 / (step + 1)) for step in range(50)]
    picture = learning_curve({"training": points, "validation": points[:5]})
    first, second = (line.get("d") or "" for line in elements(picture, "path", "line"))
    assert (first.count("M"), first.count("L")) == (2, 43)
    assert (second.count("M"), second.count("L")) == (1, 4)
    assert "training: 1 at 0, 0.02 at 49, lowest 0.02 at 49. NaN or infinite 5 times" in picture.text


def test_lines_are_told_apart_without_colour_and_no_more_than_can_be() -> None:
    lines = {name: [(0.0, 1.0), (1.0, 2.0)] for name in "abcd"}
    dashes = {line.get("stroke-dasharray") for line in elements(learning_curve(lines), "path", "line")}
    assert len(dashes) == 4
    with pytest.raises(ValueError, match="got 5"):
        learning_curve(lines | {"e": []})


@pytest.mark.parametrize("lines", [{}, {"a": []}, {"a": [(0, 1)]}, {"a": [(0, math.nan)]}])
def test_a_learning_curve_of_next_to_nothing_is_drawn(lines: dict[str, list[tuple[float, float]]]) -> None:
    ET.fromstring(learning_curve(lines).svg())


def test_a_confusion_matrix_has_every_count_and_names_the_worst() -> None:
    counts = [[10, 0, 1], [0, 4, 5], [1, 0, 20]]
    picture = confusion_matrix(counts, ["world", "sports", "business"])
    texts = [text.text for text in ET.fromstring(picture.svg()).iter(f"{SVG}text")]
    assert len(elements(picture, "rect", "cell")) == 9
    assert [text for text in texts if text in {"10", "4", "5", "20"}] == ["10", "4", "5", "20"]
    assert picture.text == "34 of 41 right. Most often wrong: 5 sports were called business."
    with pytest.raises(ValueError, match=r"2 labels need .* \[3, 3, 3\]"):
        confusion_matrix(counts, ["a", "b"])


def test_a_reliability_diagram_agrees_with_hour_5() -> None:
    from solutions.hour5_finetuning import calibration_error

    sure, right = calibration()
    rows = np.array([[1 - p, p] for p in sure])
    error = calibration_error(rows, np.array(right).astype(int))
    picture = reliability(sure, right)
    assert f"Calibration error {error:.3f} over 500 predictions." in picture.text
    assert len(elements(picture, "rect", "bar")) == 5
    with pytest.raises(ValueError, match="got 2 and 1"):
        reliability([0.5, 0.6], [True])
    assert "No predictions. NaN or infinite, and left out: 1." in reliability([math.nan], [True]).text


def test_the_area_of_a_model_is_its_size_and_one_that_was_not_measured_is_only_listed() -> None:
    models = [Model("large", 40, 0.8, 100), Model("quarter", 10, 0.79, 25), Model("lost", math.nan, 0.5, 1)]
    picture = tradeoff(models)
    circles = [float(c.get("r") or 0) for c in ET.fromstring(picture.svg()).iter(f"{SVG}circle") if c.get("stroke")]
    assert circles == [24, 12]
    assert "quarter: 10 ms, 79.0% right, 25 MB" in picture.text
    assert "Not measured, and not drawn: 1." in picture.text
    ET.fromstring(tradeoff([]).svg())


def test_pieces_stay_in_the_picture_and_the_rest_is_counted() -> None:
    picture = pieces({"BERT": ["transformers"] * 300, "empty": [], "odd": ["", "日本語", "x" * 500]}, "x")
    boxes = elements(picture, "rect", "piece")
    assert len(boxes) == 200 + 0 + 3
    assert all(float(b.get("x") or 0) + float(b.get("width") or 0) <= 361 for b in boxes)
    assert "300 pieces, the first 200" in picture.svg()


# ── what `deepdive show` draws ──────────────────────────────────────────────────────────────────────────────────


def test_attention_is_drawn_by_the_reference_until_ones_own_is_right() -> None:
    pictures = draw(Functions(COURSE), "attention")
    assert len(pictures) == len(HEADS)
    assert {picture.by for picture in pictures} == {"the reference's scaled_dot_product_attention"}
    assert [len(cells_of(picture)) for picture in pictures] == [13 * 13] * len(HEADS)
    names = [text.text for text in ET.fromstring(pictures[0].svg()).iter(f"{SVG}text")]
    assert names.count("mat") == 2


def test_attention_is_drawn_by_ones_own_function_and_says_so() -> None:
    from solutions.hour1_attention import scaled_dot_product_attention as mine

    functions = Functions(COURSE, {"scaled_dot_product_attention": lambda q, k, v, mask=None: mine(q, k, v, mask)})
    pictures = draw(functions, "attention", "hello <world>")
    assert pictures[0].by == "your scaled_dot_product_attention"
    assert functions.all_own
    assert len(cells_of(pictures[0])) == 6 * 6


def test_what_fails_after_all_is_drawn_by_the_reference_and_that_is_said() -> None:
    def broken(n: int, d: int) -> np.ndarray:
        raise ZeroDivisionError

    functions = Functions(COURSE, {"sinusoidal_positions": broken})
    (picture,) = draw(functions, "positions")
    assert picture.by == "(yours raised ZeroDivisionError) the reference's sinusoidal_positions"
    assert not functions.all_own
    assert len(cells_of(picture)) == 64 * 64


def test_pieces_are_those_of_both_tokenizers() -> None:
    (picture,) = draw(Functions(COURSE), "pieces", "Transformers are amazing")
    assert picture.by == "the reference's bert_tokenize and gpt2_tokenize"
    assert "transformers | are | amazing" in picture.text
    assert "Transform | ers | Ġare | Ġamazing" in picture.text
    assert len(elements(picture, "rect", "piece")) == 7


def test_lengths_are_those_of_a_thousand_reviews() -> None:
    (picture,) = draw(Functions(COURSE), "lengths")
    assert "1,000 reviews" in picture.text
    assert "are above BERT's limit, 512." in picture.text


def test_a_long_sentence_is_cut_and_that_is_said() -> None:
    picture = draw(Functions(COURSE), "attention", "word " * 600)[0]
    assert len(cells_of(picture)) == 24 * 24
    assert "Only the first 24 tokens are shown." in picture.text


def test_a_picture_that_there_is_not_is_answered_with_those_there_are(small_course: Course) -> None:
    with pytest.raises(CannotShow, match=f"no picture cat; there are {', '.join(PICTURES)}"):
        draw(Functions(COURSE), "cat")
    for name in ("attention", "pieces", "positions"):
        with pytest.raises(CannotShow, match="this course has no exercise"):
            draw(Functions(small_course), name)
    with pytest.raises(CannotShow, match="say of which exercise"):
        draw(Functions(small_course), "failure")
    with pytest.raises(CannotShow, match="did you mean double"):
        draw(Functions(small_course), "failure", "duoble")
    with pytest.raises(CannotShow, match="deepdive check double"):
        draw(Functions(small_course), "failure", "double")


def test_several_pictures_become_files_beside_one_another(tmp_path: Path) -> None:
    arrays = compare(np.zeros(3), np.ones(3))
    assert arrays is not None
    written = write_pictures(comparison(arrays), tmp_path / "softmax.svg")
    assert [path.name for path in written] == ["softmax-expected.svg", "softmax-yours.svg", "softmax-difference.svg"]
    assert write_pictures(comparison(arrays)[:1], tmp_path / "one.svg") == [tmp_path / "one.svg"]
    for path in [*written, tmp_path / "one.svg"]:
        ET.parse(path)


def test_training_is_drawn_from_what_a_project_left(small_course: Course) -> None:
    functions = Functions(small_course)
    with pytest.raises(CannotShow, match="deepdive project trains"):
        draw(functions, "training")
    folder = small_course.root / "elsewhere"
    folder.mkdir()
    drawn = {
        "lines": {"reviews trained on": [[25, 0.6], [50, 0.4]], "others": [[50, 0.5]]},
        "counts": [[3, 1], [0, 4]],
        "labels": ["neg", "pos"],
        "confidences": [0.9, 0.6],
        "right": [True, False],
    }
    (folder / DRAWN).write_text(json.dumps(drawn))
    curve, confusion, reliable = draw(functions, "training", "elsewhere")
    assert "0.6 at 25, 0.4 at 50" in curve.text
    assert "1 neg were called pos" in confusion.text
    assert "over 2 predictions" in reliable.text
    assert "others 50" in printed(curve)
    (folder / DRAWN).write_text("{")
    with pytest.raises(CannotShow, match="cannot be read"):
        draw(functions, "training", "elsewhere")


@pytest.mark.slow
def test_four_forms_of_one_model_are_measured_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "REVIEWS", 8)
    (picture,) = draw(Functions(COURSE, right=()), "deployment")
    for name in ("PyTorch, float32", "PyTorch, int8 layers", "ONNX, float32", "ONNX, int8"):
        assert f"{name}: " in picture.text
    assert picture.by == "the reference's quantize_dynamic and export_onnx and quantize_onnx and latency_report"
    sizes = [float(size) for size in re.findall(r"([\d.]+) MB", picture.text)]
    assert sizes[3] < sizes[2] / 3
