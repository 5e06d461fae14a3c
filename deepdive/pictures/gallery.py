"""The pictures that `deepdive show` knows, drawn with the learner's own functions where these are right.

Which function drew is always said. The real things in them, MiniLM's weights, the two vocabularies and the reviews,
are read without torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deepdive import assets
from deepdive.answer_files import AnswerFileError, StillToDo
from deepdive.answers import DEFAULT_SECONDS, Answer
from deepdive.bench.standing import answers_of, verdicts_of
from deepdive.course import Course, Exercise
from deepdive.diagnose import right_answer
from deepdive.expect import WrongAnswer
from deepdive.grids import grid_of
from deepdive.limits import TimeIsUp
from deepdive.pictures.bars import histogram
from deepdive.pictures.comparison import comparison
from deepdive.pictures.confusion import confusion_matrix
from deepdive.pictures.curve import learning_curve
from deepdive.pictures.heatmap import Names, heatmap
from deepdive.pictures.palette import Scale, signed_scale_of
from deepdive.pictures.pieces import pieces
from deepdive.pictures.reliability import reliability
from deepdive.pictures.svg import Picture
from deepdive.pictures.tradeoff import tradeoff
from deepdive.values import shorten
from deepdive.verdict import outcomes_of

SENTENCE = "The cat sat on the mat because it was tired."
# Layers and heads, counted from 1, that do something to see: in the first every token looks at the one
# before it; in the second an article looks at its noun and, in SENTENCE, `it` at `cat`.
HEADS = ((1, 3), (4, 2))
_LAYERS, _HEADS = 6, 12  # of MiniLM
_YOURS = "your"
_TOKENS = 24  # of a sentence: more names than that cannot be read along an edge
_REVIEWS = 1_000
DRAWN = "pictures.json"  # what a project's pictures are drawn from, in its folder


class CannotShow(ValueError):
    """There is no such picture, or nothing to draw; the message says why, and what there is."""


@dataclass
class Functions:
    """The functions that draw: the learner's where they are right, else the reference's.

    Args:
        course: the course.
        own: functions of the learner's that are right, by exercise, where they are at hand already: in a notebook.
        right: which exercises pass; what earlier runs have found, when left out.
    """

    course: Course
    own: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    right: Collection[str] | None = None
    used: dict[str, str] = field(default_factory=dict, init=False)  # by exercise, whose it was, in words

    def call(self, name: str, *arguments: Any) -> Any:
        """What the function of an exercise gives.

        Raises:
            CannotShow: the course has no such exercise.
        """
        exercise = self._exercise(name)
        self.used[name] = "the reference's"
        if mine := self._learners(exercise):
            try:
                given = mine(*arguments)
            except (Exception, TimeIsUp) as error:  # it passes its checks, and still fails here
                self.used[name] = f"(yours raised {type(error).__name__}) the reference's"
            else:
                self.used[name] = _YOURS
                return given
        return self.reference(name)(*arguments)

    def reference(self, name: str) -> Callable[..., Any]:
        """The reference function of an exercise.

        Raises:
            CannotShow: the course has no such exercise.
        """
        return right_answer(self.course, self._exercise(name))

    def _exercise(self, name: str) -> Exercise:
        try:
            return self.course.exercise(name)
        except KeyError as error:
            raise CannotShow(f"this course has no exercise {name}, which draws this") from error

    def _learners(self, exercise: Exercise) -> Answer | None:
        if exercise.name in self.own:
            return Answer(exercise, self.own[exercise.name], _seconds(exercise))
        if self.right is None:
            outcomes = outcomes_of(self.course, verdicts_of(self.course))
            self.right = {outcome.exercise for outcome in outcomes if outcome.earned}
        if exercise.name not in self.right:
            return None
        try:
            return answers_of(self.course).answer(exercise, _seconds(exercise))
        except (AnswerFileError, StillToDo, WrongAnswer):
            return None

    @property
    def all_own(self) -> bool:
        """Whether none but the learner's were used."""
        return set(self.used.values()) <= {_YOURS}

    @property
    def said(self) -> str:
        """Whose functions were used."""
        owners = dict.fromkeys(self.used.values())
        names = {owner: " and ".join(name for name, whose in self.used.items() if whose == owner) for owner in owners}
        return " and ".join(f"{owner} {of}" for owner, of in names.items())


def _seconds(exercise: Exercise) -> float:
    """As long as the most patient of its checks lets it take."""
    return max(check.seconds or DEFAULT_SECONDS for check in exercise.checks)


def attention(functions: Functions, sentence: str) -> list[Picture]:
    """Which words of a sentence look at which, in two heads of MiniLM."""
    import numpy as np

    sentence = sentence or SENTENCE
    encoding = _tokenizer("minilm").encode(sentence)
    tokens, ids = encoding.tokens[:_TOKENS], np.array([encoding.ids[:_TOKENS]])
    note = f"Each row is a token, and how it shares its attention among all, in percent: “{shorten(sentence, 200)}”"
    if len(encoding.tokens) > _TOKENS:
        note += f" Only the first {_TOKENS} tokens are shown."
    inputs = _queries_keys_values(functions, ids)
    pictures = []
    for layer, head in HEADS:
        _, weights = functions.call("scaled_dot_product_attention", *inputs[layer - 1])
        grid = grid_of(np.asarray(weights)[head - 1])
        assert grid is not None  # [CLS] and [SEP] are always there
        title = f"Attention in MiniLM, layer {layer}, head {head}"
        names = Names(tokens, tokens)
        scale, by = Scale(0.0, 1.0), functions.said
        pictures.append(heatmap(grid, scale, title, note=note, names=names, percent=True, by=by))
    return pictures


def cut(functions: Functions, text: str) -> list[Picture]:
    """How BERT and GPT-2 cut a text into pieces."""
    text = text or "Transformers are amazing"
    bert, gpt2 = _tokenizer("bert-base-uncased"), _tokenizer("gpt2")
    merges = json.loads(gpt2.to_str())["model"]["merges"]
    ranks = {tuple(pair): rank for rank, pair in enumerate(merges)}
    found = {
        "BERT": functions.call("bert_tokenize", text, bert.get_vocab()),
        "GPT-2": functions.call("gpt2_tokenize", text, ranks),
    }
    note = "## goes on with a word; Ġ is a space."
    return [pieces(found, f"“{shorten(text, 80)}” in pieces", note=note, by=functions.said)]


def positions(functions: Functions, _: str) -> list[Picture]:
    """The positions that the first Transformer added to its tokens."""
    grid = grid_of(functions.call("sinusoidal_positions", 64, 64))
    assert grid is not None
    note = "Positions 0 to 63 from top to bottom, features from left to right: waves that get longer and longer."
    scale = signed_scale_of(grid)
    return [heatmap(grid, scale, "Sinusoidal positions", note=note, by=functions.said)]


def lengths(_: Functions, __: str) -> list[Picture]:
    """How long reviews are, in BERT's tokens."""
    texts, _labels = assets.sample_reviews(_REVIEWS)
    tokenizer = _tokenizer("bert-base-uncased")
    counts = [len(encoding.ids) for encoding in tokenizer.encode_batch(texts)]
    title = f"How long {_REVIEWS:,} IMDb reviews are"
    return [histogram(counts, title, "tokens of BERT", of="reviews", marks={"BERT's limit": 512})]


def failure(functions: Functions, name: str) -> list[Picture]:
    """What was expected of an exercise's wrong answer, what came, and the difference."""
    if not name:
        raise CannotShow("say of which exercise: deepdive show failure softmax")
    try:
        exercise = functions.course.exercise(name)
    except KeyError as error:
        raise CannotShow(error.args[0]) from error
    verdicts = [v for v in verdicts_of(functions.course) if v.exercise == exercise.name]
    drawn = next((v.arrays for v in verdicts if v.arrays is not None), None)
    if drawn is None:
        raise CannotShow(f"the last run knows of no wrong array of {name}: deepdive check {name} tries it again")
    return comparison(drawn)


def training(functions: Functions, folder: str) -> list[Picture]:
    """How the mini-project's training went: its curve, which reviews it gets wrong, and how sure it is of them."""
    path = functions.course.root / (folder or "project") / DRAWN
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise CannotShow(f"{path} is not there: deepdive project trains, and leaves it") from None
    except ValueError as error:
        raise CannotShow(f"{path} cannot be read: {error}") from None
    return [
        learning_curve(told["lines"]),
        confusion_matrix(told["counts"], told["labels"]),
        reliability(told["confidences"], told["right"]),
    ]


def deployment(functions: Functions, _: str) -> list[Picture]:
    """What a smaller or faster form of the sentiment model costs, measured here."""
    from deepdive.pictures.deployment import REVIEWS, measure

    picture = tradeoff(measure(functions), "One model in four forms: latency, accuracy and size")
    note = f"{picture.note} One request at a time, {REVIEWS} reviews of at most 128 tokens."
    return [replace(picture, note=note, by=functions.said)]


PICTURES: dict[str, Callable[[Functions, str], list[Picture]]] = {
    "attention": attention,
    "pieces": cut,
    "positions": positions,
    "lengths": lengths,
    "training": training,
    "deployment": deployment,
    "failure": failure,
}

# Which exercises make what a picture shows.
DRAWN_BY = {
    "attention": ("scaled_dot_product_attention",),
    "positions": ("sinusoidal_positions",),
    "pieces": ("bert_tokenize", "gpt2_tokenize"),
}


def draw(functions: Functions, name: str, about: str = "") -> list[Picture]:
    """A picture, or several that belong together.

    Args:
        functions: that draw it.
        name: one of `PICTURES`.
        about: a sentence, or an exercise, for those pictures that are of one.

    Raises:
        CannotShow: there is no such picture, or nothing to draw.
        AssetError: what it is about cannot be read.
    """
    if name not in PICTURES:
        raise CannotShow(f"there is no picture {name}; there are {', '.join(PICTURES)}")
    return PICTURES[name](functions, about)


def _tokenizer(name: str) -> Any:
    from tokenizers import Tokenizer  # type: ignore[import-untyped]

    checkpoint = assets.checkpoint(name)
    file = Path(checkpoint) / "tokenizer.json"
    found = Tokenizer.from_file(str(file)) if file.is_file() else Tokenizer.from_pretrained(checkpoint)
    found.no_padding()
    found.no_truncation()
    return found


def _queries_keys_values(functions: Functions, ids: Any) -> list[tuple[Any, ...]]:
    """What each layer of MiniLM asks attention for, `(heads, tokens, features)` each of the three."""
    layer_norm, encoder_block = functions.reference("layer_norm"), functions.reference("encoder_block")
    parameters = assets.weights("minilm")
    embeddings = "embeddings.{}_embeddings.weight".format
    x = parameters[embeddings("word")][ids] + parameters[embeddings("token_type")][0]
    x = x + parameters[embeddings("position")][: ids.shape[1]]
    x = layer_norm(x, *(parameters[f"embeddings.LayerNorm.{part}"] for part in ("weight", "bias")))
    found = []
    for number in range(_LAYERS):
        weights = _weights(parameters, number)
        rows = (x[0] @ weights[f"w_{part}"] + weights[f"b_{part}"] for part in "qkv")
        found.append(tuple(row.reshape(len(row), _HEADS, -1).swapaxes(0, 1) for row in rows))
        x = encoder_block(x, weights, _HEADS)
    return found


_LINEAR = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "o": "attention.output.dense",
    "up": "intermediate.dense",
    "down": "output.dense",
}
_NORMS = {"ln_1": "attention.output.LayerNorm", "ln_2": "output.LayerNorm"}


def _weights(parameters: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A layer's weights by the names of hour 1."""
    layer = f"encoder.layer.{number}."
    found = {f"w_{ours}": parameters[f"{layer}{theirs}.weight"].T for ours, theirs in _LINEAR.items()}
    found |= {f"b_{ours}": parameters[f"{layer}{theirs}.bias"] for ours, theirs in _LINEAR.items()}
    found |= {f"{ours}_gamma": parameters[f"{layer}{theirs}.weight"] for ours, theirs in _NORMS.items()}
    found |= {f"{ours}_beta": parameters[f"{layer}{theirs}.bias"] for ours, theirs in _NORMS.items()}
    return found
