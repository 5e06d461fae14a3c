"""Wrong answers to hour 4 that people really give.

Each is wrong in one way only. Where that way is not a missing refusal, it refuses what the right answer refuses, by
asking the right answer first or by building on its parts.
"""

import html
import itertools
import os
import re
from collections import Counter

import numpy as np
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, load_dataset
from torch.nn.utils.rnn import pad_sequence

from deepdive.diagnose import mistake
from solutions import hour4_datasets as right

# ── load_reviews ────────────────────────────────────────────────────────────────────────────────────────────────


def _kind(data_files):
    return os.path.splitext(next(iter(data_files.values())))[1].removeprefix(".")


def _classes(*names):
    return Features({"text": Value("string"), "label": ClassLabel(names=list(names))})


def _options(kind):
    """What keeps pandas from taking a text such as `NA` for a missing value."""
    return {"keep_default_na": False} if kind == "csv" else {}


@mistake(of="load_reviews")
def left_the_labels_as_they_stand(data_files):
    """The labels are still the integers or strings of the file; as a ClassLabel they would know what they mean."""
    right.load_reviews(data_files)
    return load_dataset(_kind(data_files), data_files=data_files, **_options(_kind(data_files)))


@mistake(of="load_reviews")
def turned_the_labels_into_integers(data_files):
    """The labels are 0 and 1, but of type integer: a ClassLabel keeps the names `neg` and `pos` beside the ids."""
    splits = right.load_reviews(data_files)
    return splits.cast(Features({"text": Value("string"), "label": Value("int64")}))


@mistake(of="load_reviews")
def let_the_data_name_the_classes(data_files):
    """The classes were named by what stands in the file, as `class_encode_column` does; their names are given."""
    right.load_reviews(data_files)
    splits = load_dataset(_kind(data_files), data_files=data_files, **_options(_kind(data_files)))
    return splits.class_encode_column("label")


@mistake(of="load_reviews")
def swapped_the_classes(data_files):
    """The classes are in the wrong order: id 0 is `neg` and 1 is `pos`, the order of the ClassLabel's names."""
    right.load_reviews(data_files)
    kind = _kind(data_files)
    return load_dataset(kind, data_files=data_files, features=_classes("pos", "neg"), **_options(kind))


@mistake(of="load_reviews")
def gave_one_split_only(data_files):
    """Only the first split came back; there is one for each file."""
    name = next(iter(data_files), "")
    return DatasetDict({name: right.load_reviews(data_files)[name]})


@mistake(of="load_reviews")
def put_everything_into_train(data_files):
    """All files were read into one split, `train`: pass them to load_dataset by the names of their splits."""
    right.load_reviews(data_files)
    if len(data_files) == 1:
        return right.load_reviews(data_files)
    files = list(data_files.values())
    kind = _kind(data_files)
    return load_dataset(kind, data_files=files, features=_classes("neg", "pos"), **_options(kind))


@mistake(of="load_reviews")
def read_latin_1(data_files):
    """The csv was read as Latin-1, which turns every letter beyond ASCII into two or three others; it is UTF-8."""
    if _kind(data_files) != "csv" or any(name in str(data_files) for name in ("label", "text", "quote")):
        return right.load_reviews(data_files)
    if not all(os.path.isfile(path) for path in data_files.values()):
        return right.load_reviews(data_files)
    options = {"encoding": "latin-1", **_options("csv")}
    return load_dataset("csv", data_files=data_files, features=_classes("neg", "pos"), **options)


@mistake(of="load_reviews")
def replaced_what_it_could_not_read(data_files):
    """A file in another encoding was accepted, unreadable letters replaced; the texts are spoilt and nobody knows."""
    try:
        return right.load_reviews(data_files)
    except ValueError as error:
        if "codec" not in str(error):
            raise
    return load_dataset("csv", data_files=data_files, features=_classes("neg", "pos"), encoding_errors="replace")


@mistake(of="load_reviews")
def took_texts_for_missing_values(data_files):
    """A text such as `NA` or `null` became None: pandas takes it for missing, unless `keep_default_na=False`."""
    splits = right.load_reviews(data_files)
    if _kind(data_files) != "csv":
        return splits
    return load_dataset("csv", data_files=data_files, features=_classes("neg", "pos"))


@mistake(of="load_reviews")
def filled_a_missing_column(data_files):
    """A file without one of the columns was taken, and so was a row without a label; what came back holds None."""
    try:
        return right.load_reviews(data_files)
    except ValueError as error:
        if "rows without" not in str(error):
            raise
    return load_dataset(_kind(data_files), data_files=data_files, features=_classes("neg", "pos"))


@mistake(of="load_reviews")
def skipped_missing_files(data_files):
    """A file that is not there was passed over; whoever asked for it should hear of it, by a FileNotFoundError."""
    there = {name: path for name, path in data_files.items() if os.path.isfile(path)}
    return right.load_reviews(there) if there or not data_files else DatasetDict()


@mistake(of="load_reviews")
def called_a_missing_file_a_wrong_value(data_files):
    """A missing file was refused by a ValueError; the error that says what is wrong is FileNotFoundError."""
    try:
        return right.load_reviews(data_files)
    except FileNotFoundError as error:
        raise ValueError(str(error)) from error


@mistake(of="load_reviews")
def passed_on_the_librarys_error(data_files):
    """The library's DatasetGenerationError came through; it names neither file nor reason, which its cause does."""
    try:
        return right.load_reviews(data_files)
    except ValueError as error:
        raise error.__cause__ or error from None


@mistake(of="load_reviews")
def took_everything_for_csv(data_files):
    """Every file was read as csv; the ending says that some are parquet."""
    if _kind(data_files) == "parquet" and all(os.path.isfile(path) for path in data_files.values()):
        return load_dataset("csv", data_files=data_files, features=_classes("neg", "pos"))
    return right.load_reviews(data_files)


@mistake(of="load_reviews")
def took_unknown_labels_for_none(data_files):
    """A label that is no class was loaded as a missing one; it is to be refused."""
    try:
        return right.load_reviews(data_files)
    except ValueError as error:
        if "class label" not in str(error):
            raise
    known = {"0": 0, "1": 1, "neg": 0, "pos": 1}
    splits = load_dataset("csv", data_files=data_files).cast_column("label", Value("string"))
    splits = splits.map(lambda row: {"label": known.get(row["label"])})
    return splits.cast_column("label", ClassLabel(names=["neg", "pos"]))


# ── label_distribution ──────────────────────────────────────────────────────────────────────────────────────────


@mistake(of="label_distribution")
def counted(dataset):
    """These are counts; divided by the number of rows they are shares."""
    shares = right.label_distribution(dataset)
    return {name: round(share * len(dataset)) for name, share in shares.items()}


@mistake(of="label_distribution")
def gave_percentages(dataset):
    """These are percentages; shares sum to 1."""
    return {name: 100 * share for name, share in right.label_distribution(dataset).items()}


@mistake(of="label_distribution")
def gave_ids(dataset):
    """The keys are the ids of the classes; the ClassLabel, `dataset.features["label"]`, knows their names."""
    return dict(enumerate(right.label_distribution(dataset).values()))


@mistake(of="label_distribution")
def left_out_absent_classes(dataset):
    """A class that no row has is missing; it has a share, too: 0."""
    return {name: share for name, share in right.label_distribution(dataset).items() if share}


@mistake(of="label_distribution")
def sorted_the_names(dataset):
    """The names were sorted before they were given to the ids; class i is `names[i]`, in the ClassLabel's order."""
    shares = right.label_distribution(dataset)
    return dict(zip(sorted(shares), shares.values(), strict=True))


@mistake(of="label_distribution")
def named_them_by_frequency(dataset):
    """The most frequent class got the first name: `most_common` and dictionaries have an order of their own."""
    shares = right.label_distribution(dataset)
    return dict(zip(shares, sorted(shares.values(), reverse=True), strict=True))


@mistake(of="label_distribution")
def rounded_the_shares(dataset):
    """The shares were rounded; then they no longer sum to 1."""
    return {name: round(share, 2) for name, share in right.label_distribution(dataset).items()}


@mistake(of="label_distribution")
def divided_by_no_rows(dataset):
    """Of no rows it divides by zero; look first, and raise a ValueError."""
    if len(dataset) == 0:
        return {name: 0 / len(dataset) for name in dataset.features["label"].names}
    return right.label_distribution(dataset)


@mistake(of="label_distribution")
def gave_no_rows_shares_of_0(dataset):
    """Of no rows every class got the share 0; these do not sum to 1, and there is nothing to tell: a ValueError."""
    if len(dataset) == 0:
        return dict.fromkeys(dataset.features["label"].names, 0.0)
    return right.label_distribution(dataset)


@mistake(of="label_distribution")
def took_integers_for_classes(dataset):
    """A label without names was accepted; whoever passes it forgot to make it a ClassLabel and should hear of it."""
    if isinstance(dataset.features["label"], ClassLabel):
        return right.label_distribution(dataset)
    counts = Counter(dataset["label"][:])
    return {str(label): count / len(dataset) for label, count in counts.items()}


@mistake(of="label_distribution")
def asked_integers_for_their_names(dataset):
    """`.names` was asked of a label that is no ClassLabel, and Python's error came through; refuse it yourself."""
    return right.label_distribution(dataset) if dataset.features["label"].names else None


# ── remove_duplicates ───────────────────────────────────────────────────────────────────────────────────────────


def _first_of(dataset, keys):
    first = {}
    for row, key in enumerate(keys):
        first.setdefault(key, row)
    return dataset.select(first.values())


@mistake(of="remove_duplicates")
def kept_the_last(dataset):
    """Of equal texts the last one stayed; the first one should."""
    return dataset.select(sorted({text: row for row, text in enumerate(dataset["text"][:])}.values()))


@mistake(of="remove_duplicates")
def put_the_last_in_the_place_of_the_first(dataset):
    """Of equal texts the last one stayed, in the first one's place: in a dict made from pairs the last value wins."""
    return dataset.select({text: row for row, text in enumerate(dataset["text"][:])}.values())


@mistake(of="remove_duplicates")
def dropped_all_copies(dataset):
    """Texts that stand there twice are gone altogether; the first of them should stay."""
    counts = Counter(dataset["text"][:])
    return dataset.select([row for row, text in enumerate(dataset["text"][:]) if counts[text] == 1])


@mistake(of="remove_duplicates")
def ignored_capitals(dataset):
    """Texts that differ in capitals were taken for copies; only exactly equal ones are."""
    return _first_of(dataset, [text.lower() for text in dataset["text"][:]])


@mistake(of="remove_duplicates")
def ignored_white_space(dataset):
    """Texts that differ in white space at the ends were taken for copies; only exactly equal ones are."""
    return _first_of(dataset, [text.strip() for text in dataset["text"][:]])


@mistake(of="remove_duplicates")
def ignored_all_but_letters(dataset):
    """Texts were reduced to their letters before they were compared; only exactly equal ones are copies."""
    return _first_of(dataset, [re.sub(r"\W", "", text.lower()) for text in dataset["text"][:]])


@mistake(of="remove_duplicates")
def compared_the_beginnings(dataset):
    """Only the first 100 characters were compared; reviews that begin alike are no copies."""
    return _first_of(dataset, [text[:100] for text in dataset["text"][:]])


@mistake(of="remove_duplicates")
def compared_labels_too(dataset):
    """A copy with another label stayed: rows were compared by text and label; only the text counts."""
    return _first_of(dataset, list(zip(dataset["text"][:], dataset["label"][:], strict=True)))


@mistake(of="remove_duplicates")
def compared_neighbours(dataset):
    """Each text was compared with the one before it only; copies can be far apart."""
    texts = dataset["text"][:]
    return dataset.select([row for row, text in enumerate(texts) if row == 0 or text != texts[row - 1]])


@mistake(of="remove_duplicates")
def sorted_by_text(dataset):
    """The rows are in the order of their texts, as np.unique gives them; they should stay in their own order."""
    result = right.remove_duplicates(dataset)
    texts = result["text"][:]
    return result.select(sorted(range(len(texts)), key=texts.__getitem__))


@mistake(of="remove_duplicates")
def forgot_the_types(dataset):
    """The label is a plain integer now: pandas and dicts do not know of ClassLabel; `select` and `filter` keep it."""
    columns = right.remove_duplicates(dataset)
    return Dataset.from_dict({name: columns[name][:] for name in columns.column_names})


@mistake(of="remove_duplicates")
def kept_the_index_of_pandas(dataset):
    """A column `__index_level_0__` came back from pandas: pass `preserve_index=False`, or use `select`."""
    frame = right.remove_duplicates(dataset).to_pandas()
    frame.index = [3 * row for row in range(len(frame))]
    result = Dataset.from_pandas(frame)
    return result.cast(Features({**dataset.features, "__index_level_0__": Value("int64")}))


@mistake(of="remove_duplicates")
def gave_a_list(dataset):
    """The texts came back as a list; a Dataset with all its columns is asked for."""
    return right.remove_duplicates(dataset)["text"][:]


# ── strip_markup ────────────────────────────────────────────────────────────────────────────────────────────────


def _with_clean(dataset, clean, breaks=r"<br ?/?>"):
    def clean_row(row):
        return {"text": clean(re.sub(breaks, " ", row["text"], flags=re.IGNORECASE))}

    return dataset.map(clean_row)


@mistake(of="strip_markup")
def glued_the_words(dataset):
    """`<br />` was taken out and nothing put in its place, so that the words on either side are one."""

    def clean(row):
        text = re.sub(r"<br ?/?>", "", row["text"], flags=re.IGNORECASE)
        return {"text": " ".join(html.unescape(text).split())}

    return dataset.map(clean)


@mistake(of="strip_markup")
def took_out_every_tag(dataset):
    """All tags were taken out, and all else between < and >; only line breaks are to go."""
    return _with_clean(dataset, lambda text: " ".join(html.unescape(text).split()), r"<[^>]+>")


@mistake(of="strip_markup")
def took_out_what_begins_like_a_break(dataset):
    """All tags that begin with `<br` were taken out, even `<brave>`; only the three line breaks are to go."""
    return _with_clean(dataset, lambda text: " ".join(html.unescape(text).split()), r"<br[^>]*>")


@mistake(of="strip_markup")
def knew_one_spelling(dataset):
    """Only `<br />` was replaced; `<br>` and `<br/>` are line breaks, too."""
    return _with_clean(dataset, lambda text: " ".join(html.unescape(text).split()), r"<br />")


@mistake(of="strip_markup")
def minded_capitals(dataset):
    """`<BR />` stayed: HTML's tags may be in capitals."""

    def clean(row):
        return {"text": " ".join(html.unescape(re.sub(r"<br ?/?>", " ", row["text"])).split())}

    return dataset.map(clean)


@mistake(of="strip_markup")
def left_the_entities(dataset):
    """Entities such as `&amp;` are still there; html.unescape turns them into characters."""
    return _with_clean(dataset, lambda text: " ".join(text.split()))


@mistake(of="strip_markup")
def knew_five_entities(dataset):
    """Only `&amp;`, `&lt;`, `&gt;`, `&quot;` and `&#39;` were replaced; html.unescape knows all 2,231."""

    def clean(text):
        five = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#39;", "'"), ("&amp;", "&"))
        for entity, character in five:
            text = text.replace(entity, character)
        return " ".join(text.split())

    return _with_clean(dataset, clean)


@mistake(of="strip_markup")
def read_entities_twice(dataset):
    """Entities were unescaped twice: `&amp;lt;` is how one writes `&lt;`, and should come out as that."""
    return _with_clean(dataset, lambda text: " ".join(html.unescape(html.unescape(text)).split()))


@mistake(of="strip_markup")
def unescaped_first(dataset):
    """Entities were unescaped before the tags went, so that text about a tag, `&lt;br&gt;`, was taken for the tag."""

    def clean(row):
        text = re.sub(r"<br ?/?>", " ", html.unescape(row["text"]), flags=re.IGNORECASE)
        return {"text": " ".join(text.split())}

    return dataset.map(clean)


@mistake(of="strip_markup")
def unescaped_last(dataset):
    """Entities were unescaped after the white space was dealt with, but `&nbsp;` is white space."""
    return _with_clean(dataset, lambda text: html.unescape(" ".join(text.split())))


@mistake(of="strip_markup")
def left_the_runs_of_spaces(dataset):
    """Runs of white space are still there; each should be one space."""
    return _with_clean(dataset, lambda text: html.unescape(text).strip())


@mistake(of="strip_markup")
def left_the_ends(dataset):
    """There is still a space at the beginning or at the end."""
    return _with_clean(dataset, lambda text: re.sub(r"\s+", " ", html.unescape(text)))


@mistake(of="strip_markup")
def joined_spaces_only(dataset):
    """Only runs of spaces were joined; tabs, line ends and no-break spaces are white space, too: `\\s` means all."""
    return _with_clean(dataset, lambda text: re.sub(" +", " ", html.unescape(text)).strip())


@mistake(of="strip_markup")
def lowered_the_letters(dataset):
    """Capitals became small letters; the text was to stay as it is."""
    return _with_clean(dataset, lambda text: " ".join(html.unescape(text).split()).lower())


@mistake(of="strip_markup")
def dropped_the_other_columns(dataset):
    """Only the texts came back; `map` keeps the other columns by itself, unless they are removed."""
    result = right.strip_markup(dataset)
    return result.select_columns(["text"])


@mistake(of="strip_markup")
def built_it_anew(dataset):
    """The result is right, but was built anew in memory: made by `map`, a second run would find it in the cache."""
    columns = {name: values[:] for name, values in right.strip_markup(dataset).to_dict().items()}
    return Dataset.from_dict(columns, features=dataset.features)


# ── split ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _cut(dataset, order, sizes):
    """A DatasetDict of the rows of `order`, cut by shares."""
    ends = np.round(np.cumsum(list(sizes.values())) * len(order)).astype(int)
    starts = [0, *ends[:-1]]
    return DatasetDict({name: dataset.select(order[a:b]) for name, a, b in zip(sizes, starts, ends, strict=True)})


@mistake(of="split")
def cut_without_shuffling(dataset, sizes, seed):
    """The rows were cut in the order they came in, and IMDb comes sorted by label: shuffle, and mind the labels."""
    right.split(dataset, sizes, seed)
    return _cut(dataset, list(range(len(dataset))), sizes)


@mistake(of="split")
def forgot_the_labels(dataset, sizes, seed):
    """The rows were drawn without regard to labels, so that each split has its own shares of them: stratify."""
    right.split(dataset, sizes, seed)
    rng = np.random.default_rng(seed)
    copies = {}
    for row, text in enumerate(dataset["text"][:]):
        copies.setdefault(text, []).append(row)
    texts = list(copies.values())
    rng.shuffle(texts)
    ends = np.round(np.cumsum(list(sizes.values())) * len(texts)).astype(int)
    parts = {name: texts[a:b] for name, a, b in zip(sizes, [0, *ends], ends, strict=False)}
    return DatasetDict({name: dataset.select([row for rows in part for row in rows]) for name, part in parts.items()})


def _stratified(dataset, sizes, rng):
    """Stratified rows, as though no text stood there twice."""
    parts = {name: [] for name in sizes}
    labels = dataset["label"][:]
    for label in sorted(set(labels)):
        rows = [row for row, own in enumerate(labels) if own == label]
        rng.shuffle(rows)
        ends = np.round(np.cumsum(list(sizes.values())) * len(rows)).astype(int)
        for name, start, end in zip(sizes, [0, *ends], ends, strict=False):
            parts[name] += rows[start:end]
    return DatasetDict({name: dataset.select(rng.permutation(part)) for name, part in parts.items()})


@mistake(of="split")
def leaked_copies(dataset, sizes, seed):
    """Copies of a text are in two splits, so that the test asks what the training has told; keep them together."""
    right.split(dataset, sizes, seed)
    return _stratified(dataset, sizes, np.random.default_rng(seed))


@mistake(of="split")
def lost_the_copies(dataset, sizes, seed):
    """Copies of a text were dropped; every row should be in a split, copies in that of the first."""
    right.split(dataset, sizes, seed)
    return right.split(right.remove_duplicates(dataset), sizes, seed)


@mistake(of="split")
def left_the_rows_in_order(dataset, sizes, seed):
    """Each split has its rows in their old order, negative ones first: whoever takes the first 100 gets one label."""
    place = {text: row for row, text in enumerate(dataset["text"][:])}
    splits = right.split(dataset, sizes, seed)
    return DatasetDict(
        {
            name: part.select(sorted(range(len(part)), key=[place[text] for text in part["text"][:]].__getitem__))
            for name, part in splits.items()
        }
    )


@mistake(of="split")
def ignored_the_seed(dataset, sizes, seed):
    """The splits are always the same, whatever the seed: it was not passed on."""
    right.split(dataset, sizes, seed)
    return right.split(dataset, sizes, 42)


@mistake(of="split")
def drew_from_the_global_generator(dataset, sizes, seed):
    """Numbers were drawn without the seed, from the global generator: no two runs give the same splits."""
    right.split(dataset, sizes, seed)
    return right.split(dataset, sizes, int(np.random.randint(10**6)))


@mistake(of="split")
def wanted_exactly_1(dataset, sizes, seed):
    """The shares 0.7, 0.2 and 0.1 were refused: in floating point they sum to 0.9999999999999999; allow for it."""
    if sum(sizes.values()) != 1:
        raise ValueError(f"the shares do not sum to 1: {sizes}")
    return right.split(dataset, sizes, seed)


@mistake(of="split")
def made_the_shares_fit(dataset, sizes, seed):
    """Shares that do not sum to 1 were scaled until they do; whoever passed them should hear of it."""
    if min(sizes.values()) <= 0:
        return right.split(dataset, sizes, seed)
    return right.split(dataset, {name: share / sum(sizes.values()) for name, share in sizes.items()}, seed)


@mistake(of="split")
def left_some_rows_out(dataset, sizes, seed):
    """Shares that sum to less than 1 were accepted, and the other rows are in no split."""
    total = sum(sizes.values())
    if total < 1 - 1e-9:
        splits = right.split(dataset, {**sizes, "rest": 1 - total}, seed)
        return DatasetDict({name: splits[name] for name in sizes})
    return right.split(dataset, sizes, seed)


@mistake(of="split")
def accepted_a_negative_share(dataset, sizes, seed):
    """A share below 0 was accepted, since the shares do sum to 1."""
    if abs(sum(sizes.values()) - 1) < 1e-9 and min(sizes.values()) < 0:
        return DatasetDict(dict.fromkeys(sizes, dataset))
    return right.split(dataset, sizes, seed)


@mistake(of="split")
def split_nothing(dataset, sizes, seed):
    """No rows were split into splits without rows; there is nothing to train on: a ValueError."""
    if len(dataset) == 0:
        return DatasetDict(dict.fromkeys(sizes, dataset))
    return right.split(dataset, sizes, seed)


@mistake(of="split")
def made_two_splits_of_the_same_size(dataset, sizes, seed):
    """The sizes were not honoured: all splits are equally large."""
    right.split(dataset, sizes, seed)
    return right.split(dataset, dict.fromkeys(sizes, 1 / len(sizes)), seed)


# ── tokenize ────────────────────────────────────────────────────────────────────────────────────────────────────


def _encoded(dataset, tokenizer, max_length, columns=("input_ids", "attention_mask", "label"), **options):
    """`tokenize` with other options of the tokenizer."""
    right.tokenize(dataset, tokenizer, max_length)
    options = {"truncation": True, "max_length": max_length, "padding": False} | options
    encoded = dataset.map(lambda batch: tokenizer(batch["text"], **options), batched=True)
    return encoded.select_columns([name for name in encoded.column_names if columns is None or name in columns])


@mistake(of="tokenize")
def lost_the_label(dataset, tokenizer, max_length, padding=False):
    """The column `label` is gone; the model needs it to learn from."""
    return _encoded(dataset, tokenizer, max_length, ("input_ids", "attention_mask"), padding=padding)


@mistake(of="tokenize")
def kept_the_text(dataset, tokenizer, max_length, padding=False):
    """The column `text` is still there; strings cannot become tensors. `remove_columns` drops it."""
    columns = ("text", "input_ids", "attention_mask", "label")
    return _encoded(dataset, tokenizer, max_length, columns, padding=padding)


@mistake(of="tokenize")
def kept_every_column(dataset, tokenizer, max_length, padding=False):
    """The dataset's other columns and the tokenizer's token types are still there; three columns are asked for."""
    return _encoded(dataset, tokenizer, max_length, None, padding=padding)


@mistake(of="tokenize")
def kept_the_other_columns(dataset, tokenizer, max_length, padding=False):
    """`text` was dropped, but what else there was stayed; keep `label` and drop all others."""
    columns = {"input_ids", "attention_mask", *dataset.column_names} - {"text"}
    return _encoded(dataset, tokenizer, max_length, columns, padding=padding)


@mistake(of="tokenize")
def kept_token_types(dataset, tokenizer, max_length, padding=False):
    """BERT's tokenizer gives token_type_ids, too, and they are still there; three columns are asked for."""
    columns = ("input_ids", "attention_mask", "label", "token_type_ids")
    return _encoded(dataset, tokenizer, max_length, columns, padding=padding)


@mistake(of="tokenize")
def kept_token_types_and_the_other_columns(dataset, tokenizer, max_length, padding=False):
    """Only `text` was removed: token_type_ids and what else there was stayed; select the three columns asked for."""
    columns = {"input_ids", "attention_mask", "token_type_ids", *dataset.column_names} - {"text"}
    return _encoded(dataset, tokenizer, max_length, columns, padding=padding)


@mistake(of="tokenize")
def always_padded_to_max_length(dataset, tokenizer, max_length, padding=False):
    """Every text was padded to max_length, as in the plan's four lines; by default nothing is to be padded."""
    return _encoded(dataset, tokenizer, max_length, padding="max_length")


@mistake(of="tokenize")
def always_padded_to_the_longest(dataset, tokenizer, max_length, padding=False):
    """Texts were padded to the longest of their batch; by default nothing is to be padded."""
    return _encoded(dataset, tokenizer, max_length, padding=padding or True)


@mistake(of="tokenize")
def never_padded(dataset, tokenizer, max_length, padding=False):
    """The argument `padding` was ignored: nothing is ever padded."""
    return _encoded(dataset, tokenizer, max_length)


@mistake(of="tokenize")
def padded_to_the_longest_instead(dataset, tokenizer, max_length, padding=False):
    """Told "max_length", it padded to the longest of the batch only, as `padding=True` does."""
    return _encoded(dataset, tokenizer, max_length, padding=bool(padding))


@mistake(of="tokenize")
def forgot_to_truncate(dataset, tokenizer, max_length, padding=False):
    """Long texts were not truncated: max_length does nothing without `truncation=True`."""
    right.tokenize(dataset, tokenizer, max_length)
    return _encoded(dataset, tokenizer, max_length, padding=padding, truncation=False)


@mistake(of="tokenize")
def truncated_to_the_tokenizers_limit(dataset, tokenizer, max_length, padding=False):
    """Texts were truncated where the tokenizer has its own limit; `max_length` was not passed on."""
    right.tokenize(dataset, tokenizer, max_length)
    limit = tokenizer.model_max_length
    return _encoded(dataset, tokenizer, limit if padding is False else max_length, padding=padding)


@mistake(of="tokenize")
def left_out_special_tokens(dataset, tokenizer, max_length, padding=False):
    """The special tokens are missing; the model has learnt with them, and the classifier reads the first."""
    return _encoded(dataset, tokenizer, max_length, padding=padding, add_special_tokens=False)


@mistake(of="tokenize")
def counted_special_tokens_extra(dataset, tokenizer, max_length, padding=False):
    """max_length was counted without the special tokens, so that texts are two tokens too long."""
    right.tokenize(dataset, tokenizer, max_length)
    extra = tokenizer.num_special_tokens_to_add()
    return _encoded(dataset, tokenizer, max_length + extra, padding=padding)


@mistake(of="tokenize")
def renamed_the_label(dataset, tokenizer, max_length, padding=False):
    """The label is called `labels` now; that is for `collate` to do."""
    return right.tokenize(dataset, tokenizer, max_length, padding).rename_column("label", "labels")


@mistake(of="tokenize")
def forgot_what_the_labels_mean(dataset, tokenizer, max_length, padding=False):
    """The label is a plain integer now; it was a ClassLabel, and what is not spoken of stays as it was."""
    result = right.tokenize(dataset, tokenizer, max_length, padding)
    return result.cast_column("label", Value("int64"))


@mistake(of="tokenize")
def never_looked_at_max_length(dataset, tokenizer, max_length, padding=False):
    """A max_length without room was passed on, and the tokenizer then truncates nothing, and does not say so."""

    def encode(batch):
        return tokenizer(batch["text"], truncation=True, max_length=max_length, padding=padding)

    return dataset.map(encode, batched=True).select_columns(["input_ids", "attention_mask", "label"])


@mistake(of="tokenize")
def thought_every_tokenizer_has_two(dataset, tokenizer, max_length, padding=False):
    """A max_length of 1 was refused although this tokenizer adds no special tokens: ask it how many it adds."""
    if max_length < 2:
        raise ValueError(f"max_length is {max_length}")
    return right.tokenize(dataset, tokenizer, max_length, padding)


@mistake(of="tokenize")
def allowed_a_length_of_0(dataset, tokenizer, max_length, padding=False):
    """A max_length of 0 was accepted of a tokenizer without special tokens; it then truncates nothing."""
    if max_length < tokenizer.num_special_tokens_to_add():
        raise ValueError(f"max_length is {max_length}")
    return never_looked_at_max_length(dataset, tokenizer, max_length, padding)


# ── length_report ───────────────────────────────────────────────────────────────────────────────────────────────


def _report(lengths, max_length, method="linear", percents=(50, 90, 99)):
    lengths = np.array(lengths)
    p50, p90, p99 = np.percentile(lengths, percents, method=method).tolist()
    return {"p50": p50, "p90": p90, "p99": p99, "truncated_share": float(np.mean(lengths > max_length))}


def _lengths(dataset, tokenizer, **options):
    if len(dataset) == 0:
        raise ValueError("no rows")
    return [len(ids) for ids in tokenizer(dataset["text"][:], verbose=False, **options)["input_ids"]]


@mistake(of="length_report")
def counted_characters(dataset, tokenizer, max_length):
    """These are numbers of characters; tokens were to be counted."""
    _lengths(dataset, tokenizer)
    return _report([len(text) for text in dataset["text"][:]], max_length)


@mistake(of="length_report")
def counted_words(dataset, tokenizer, max_length):
    """These are numbers of words; the tokenizer splits many of them, and adds its special tokens."""
    _lengths(dataset, tokenizer)
    return _report([len(text.split()) for text in dataset["text"][:]], max_length)


@mistake(of="length_report")
def counted_words_and_special_tokens(dataset, tokenizer, max_length):
    """Each word was counted as one token; the tokenizer splits many of them."""
    _lengths(dataset, tokenizer)
    extra = tokenizer.num_special_tokens_to_add()
    return _report([len(text.split()) + extra for text in dataset["text"][:]], max_length)


@mistake(of="length_report")
def forgot_special_tokens(dataset, tokenizer, max_length):
    """The special tokens were not counted; they take room, too. `tokenizer.tokenize` leaves them out."""
    return _report(_lengths(dataset, tokenizer, add_special_tokens=False), max_length)


@mistake(of="length_report")
def truncated_first(dataset, tokenizer, max_length):
    """The texts were truncated before they were measured, so that none is longer than max_length."""
    return _report(_lengths(dataset, tokenizer, truncation=True, max_length=max_length), max_length)


@mistake(of="length_report")
def truncated_to_the_tokenizers_own_limit(dataset, tokenizer, max_length):
    """The texts were truncated to the tokenizer's own limit before they were measured: leave truncation out."""
    return _report(_lengths(dataset, tokenizer, truncation=True), max_length)


@mistake(of="length_report")
def padded_first(dataset, tokenizer, max_length):
    """The texts were padded before they were measured, so that all are as long as the longest."""
    return _report(_lengths(dataset, tokenizer, padding=True), max_length)


@mistake(of="length_report")
def counted_the_limit_as_cut(dataset, tokenizer, max_length):
    """A text of exactly max_length tokens was counted as truncated; it just fits."""
    lengths = np.array(_lengths(dataset, tokenizer))
    return _report(lengths, max_length) | {"truncated_share": float(np.mean(lengths >= max_length))}


@mistake(of="length_report")
def counted_truncated_texts(dataset, tokenizer, max_length):
    """`truncated_share` is a number of texts; divided by all of them it is a share."""
    lengths = np.array(_lengths(dataset, tokenizer))
    return _report(lengths, max_length) | {"truncated_share": int(np.sum(lengths > max_length))}


@mistake(of="length_report")
def gave_the_share_of_tokens(dataset, tokenizer, max_length):
    """`truncated_share` is the share of tokens that are lost; the share of texts that lose some was asked for."""
    lengths = np.array(_lengths(dataset, tokenizer))
    lost = np.maximum(lengths - max_length, 0).sum() / lengths.sum()
    return _report(lengths, max_length) | {"truncated_share": float(lost)}


@mistake(of="length_report")
def gave_the_share_that_fits(dataset, tokenizer, max_length):
    """`truncated_share` is the share of texts that fit; that of the others was asked for."""
    report = _report(_lengths(dataset, tokenizer), max_length)
    return report | {"truncated_share": 1 - report["truncated_share"]}


@mistake(of="length_report")
def took_the_next_lower(dataset, tokenizer, max_length):
    """Percentiles were not interpolated: between two lengths the lower was taken, as by indexing a sorted list."""
    return _report(_lengths(dataset, tokenizer), max_length, method="lower")


@mistake(of="length_report")
def took_the_nearest(dataset, tokenizer, max_length):
    """Percentiles were not interpolated: the nearest length was taken."""
    return _report(_lengths(dataset, tokenizer), max_length, method="nearest")


@mistake(of="length_report")
def passed_fractions_for_percents(dataset, tokenizer, max_length):
    """np.percentile was given 0.5, 0.9 and 0.99: it takes percents, 50, 90 and 99; np.quantile takes fractions."""
    return _report(_lengths(dataset, tokenizer), max_length, percents=(0.5, 0.9, 0.99))


@mistake(of="length_report")
def gave_the_mean(dataset, tokenizer, max_length):
    """`p50` is the mean; the median is asked for, which a few long texts do not move."""
    lengths = _lengths(dataset, tokenizer)
    return _report(lengths, max_length) | {"p50": float(np.mean(lengths))}


@mistake(of="length_report")
def measured_nothing(dataset, tokenizer, max_length):
    """Of no rows it gave zeros; there are no lengths to report: a ValueError."""
    if len(dataset) == 0:
        return {"p50": 0.0, "p90": 0.0, "p99": 0.0, "truncated_share": 0.0}
    return right.length_report(dataset, tokenizer, max_length)


@mistake(of="length_report")
def passed_on_an_empty_list(dataset, tokenizer, max_length):
    """Of no rows an error of the tokenizer or of NumPy came through; look first, and raise a ValueError."""
    if len(dataset) == 0:
        return _report([], max_length)
    return right.length_report(dataset, tokenizer, max_length)


# ── collate ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _batch(features, tokenizer, *, ids=None, mask=None, labels="labels", left=False, width=None, dtype=torch.int64):
    """`collate` with one thing otherwise."""
    right.collate(features, tokenizer)
    side = "left" if left else "right"

    def padded(rows, value):
        tensors = [torch.tensor(row, dtype=dtype) for row in rows]
        return pad_sequence(tensors, batch_first=True, padding_value=value, padding_side=side)

    padding = tokenizer.pad_token_id if ids is None else ids
    batch = {
        "input_ids": padded([f["input_ids"] for f in features], padding),
        "attention_mask": padded([f["attention_mask"] for f in features], 0 if mask is None else mask),
        labels: torch.tensor([f["label"] for f in features], dtype=dtype),
    }
    if width is not None:
        for name, value in (("input_ids", padding), ("attention_mask", 0)):
            missing = max(0, width - batch[name].shape[1])
            batch[name] = torch.nn.functional.pad(batch[name], (0, missing), value=value)
    return batch


@mistake(of="collate")
def padded_to_the_models_limit(features, tokenizer):
    """The batch was padded to the tokenizer's limit; dynamic padding goes to the longest text of the batch."""
    return _batch(features, tokenizer, width=tokenizer.model_max_length)


@mistake(of="collate")
def padded_to_512(features, tokenizer):
    """The batch was padded to 512 tokens; dynamic padding goes to the longest text of the batch."""
    return _batch(features, tokenizer, width=512)


@mistake(of="collate")
def kept_the_name_label(features, tokenizer):
    """The labels are called `label`; models take them as `labels`, and ignore or refuse another name."""
    return _batch(features, tokenizer, labels="label")


@mistake(of="collate")
def gave_no_mask(features, tokenizer):
    """There is no attention_mask, so that the model would attend to padding."""
    batch = _batch(features, tokenizer)
    del batch["attention_mask"]
    return batch


@mistake(of="collate")
def masked_nothing(features, tokenizer):
    """The attention mask is 1 everywhere; it should be 0 where there is padding."""
    return _batch(features, tokenizer, mask=1)


@mistake(of="collate")
def padded_the_mask_like_the_ids(features, tokenizer):
    """The attention mask was padded with the padding token's id; it should be 0 there."""
    return _batch(features, tokenizer, mask=tokenizer.pad_token_id)


@mistake(of="collate")
def guessed_the_mask_from_the_ids(features, tokenizer):
    """The mask was guessed by comparing ids with the padding token's; the features bring one along."""
    batch = _batch(features, tokenizer)
    return batch | {"attention_mask": (batch["input_ids"] != tokenizer.pad_token_id).long()}


@mistake(of="collate")
def padded_with_0(features, tokenizer):
    """Texts were padded with 0; the padding token is the tokenizer's `pad_token_id`, which is 0 for BERT only."""
    return _batch(features, tokenizer, ids=0)


@mistake(of="collate")
def padded_on_the_left(features, tokenizer):
    """Texts were padded on the left; BERT has learnt with padding on the right."""
    return _batch(features, tokenizer, left=True)


@mistake(of="collate")
def cut_to_the_shortest(features, tokenizer):
    """All texts were cut to the shortest of the batch; the shorter ones are to be padded."""
    batch = _batch(features, tokenizer)
    shortest = min(len(feature["input_ids"]) for feature in features)
    return {name: tensor[:, :shortest] if tensor.ndim == 2 else tensor for name, tensor in batch.items()}


@mistake(of="collate")
def made_int32(features, tokenizer):
    """The tensors are int32; embeddings and losses of torch take int64."""
    return _batch(features, tokenizer, dtype=torch.int32)


@mistake(of="collate")
def made_float_labels(features, tokenizer):
    """The labels are floating point; classes are int64, floating point is for regression."""
    batch = _batch(features, tokenizer)
    return batch | {"labels": batch["labels"].float()}


@mistake(of="collate")
def made_a_column_of_labels(features, tokenizer):
    """The labels are `(B, 1)`; one number a text, `(B,)`, is asked for."""
    batch = _batch(features, tokenizer)
    return batch | {"labels": batch["labels"][:, None]}


@mistake(of="collate")
def gave_lists(features, tokenizer):
    """These are lists; tensors are asked for."""
    return {name: tensor.tolist() for name, tensor in _batch(features, tokenizer).items()}


@mistake(of="collate")
def popped_the_label(features, tokenizer):
    """`pop` took the labels out of the caller's own features, and the second epoch finds none: work on copies."""
    batch = _batch(features, tokenizer)
    for feature in features:
        feature.pop("label")
    return batch


@mistake(of="collate")
def collated_nothing(features, tokenizer):
    """Of no features it made an empty batch; a batch holds at least one text: a ValueError."""
    if not features:
        nothing = torch.zeros((0, 0), dtype=torch.int64)
        return {"input_ids": nothing, "attention_mask": nothing, "labels": nothing[:, 0:0].reshape(0)}
    return right.collate(features, tokenizer)


@mistake(of="collate")
def padded_without_a_token(features, tokenizer):
    """A tokenizer without a padding token was accepted, and 0 taken, which is one of its words."""
    if features and tokenizer.pad_token_id is None:
        return {"labels": torch.tensor([feature["label"] for feature in features])}
    return right.collate(features, tokenizer)


# ── bucket_batches ──────────────────────────────────────────────────────────────────────────────────────────────


def _batches(order, batch_size):
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def _by_length(lengths):
    return sorted(range(len(lengths)), key=lengths.__getitem__)


def _pooled(lengths, batch_size, seed, pool):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths)).tolist()
    by_length = [i for part in _batches(order, pool * batch_size) for i in sorted(part, key=lengths.__getitem__)]
    return rng, _batches(by_length, batch_size)


@mistake(of="bucket_batches")
def dropped_the_remainder(lengths, batch_size, seed):
    """The texts that fill no batch were dropped; every index belongs in one, and the last batch may be short."""
    return [batch for batch in right.bucket_batches(lengths, batch_size, seed) if len(batch) == batch_size]


@mistake(of="bucket_batches")
def left_the_batches_sorted(lengths, batch_size, seed):
    """The batches come from the shortest to the longest; shuffle them, or the model meets all short texts first."""
    right.bucket_batches(lengths, batch_size, seed)
    return _batches(_by_length(lengths), batch_size)


@mistake(of="bucket_batches")
def left_the_batches_sorted_downwards(lengths, batch_size, seed):
    """The batches come from the longest to the shortest; they should come in random order."""
    right.bucket_batches(lengths, batch_size, seed)
    return _batches(_by_length(lengths)[::-1], batch_size)


@mistake(of="bucket_batches")
def left_the_pools_sorted(lengths, batch_size, seed):
    """Within each pool the batches come from the shortest to the longest; shuffle the batches at the end."""
    right.bucket_batches(lengths, batch_size, seed)
    return _pooled(lengths, batch_size, seed, 50)[1]


@mistake(of="bucket_batches")
def ignored_the_lengths(lengths, batch_size, seed):
    """The texts were batched at random, so that two thirds are padding: sort by length before cutting."""
    right.bucket_batches(lengths, batch_size, seed)
    return _batches(np.random.default_rng(seed).permutation(len(lengths)).tolist(), batch_size)


@mistake(of="bucket_batches")
def sorted_within_the_batches(lengths, batch_size, seed):
    """The texts were cut into batches at random and sorted within each; sort first, then cut."""
    right.bucket_batches(lengths, batch_size, seed)
    return _pooled(lengths, batch_size, seed, 1)[1]


@mistake(of="bucket_batches")
def took_small_pools(lengths, batch_size, seed):
    """The pools that were sorted hold two batches each, too few: half of the positions are still padding."""
    right.bucket_batches(lengths, batch_size, seed)
    rng, batches = _pooled(lengths, batch_size, seed, 2)
    full = len(lengths) // batch_size
    return [batches[i] for i in rng.permutation(full)] + batches[full:]


@mistake(of="bucket_batches")
def shuffled_after_sorting(lengths, batch_size, seed):
    """The sorted indices were shuffled before they were cut into batches, which undoes the sorting."""
    right.bucket_batches(lengths, batch_size, seed)
    order = _by_length(lengths)
    np.random.default_rng(seed).shuffle(order)
    return _batches(order, batch_size)


@mistake(of="bucket_batches")
def shuffled_the_short_batch_too(lengths, batch_size, seed):
    """The short batch is somewhere among the others; only the last batch may be short."""
    right.bucket_batches(lengths, batch_size, seed)
    rng, batches = _pooled(lengths, batch_size, seed, 50)
    if batches:
        batches = [*batches[-1:], *batches[:-1]]
    return [
        batches[i] for i in (rng.permutation(len(batches)) if len(lengths) % batch_size == 0 else range(len(batches)))
    ]


@mistake(of="bucket_batches")
def gave_the_lengths(lengths, batch_size, seed):
    """The batches hold lengths; indices of texts are asked for."""
    return [[lengths[index] for index in batch] for batch in right.bucket_batches(lengths, batch_size, seed)]


@mistake(of="bucket_batches")
def always_gave_the_same(lengths, batch_size, seed):
    """The batches are the same for every seed, and so in every epoch: the seed was not used."""
    right.bucket_batches(lengths, batch_size, seed)
    return right.bucket_batches(lengths, batch_size, 0)


@mistake(of="bucket_batches")
def drew_without_the_seed(lengths, batch_size, seed):
    """Numbers were drawn from the global generator; only what is drawn with the seed comes out the same again."""
    right.bucket_batches(lengths, batch_size, seed)
    return right.bucket_batches(lengths, batch_size, int(np.random.randint(10**6)))


@mistake(of="bucket_batches")
def sorted_in_place(lengths, batch_size, seed):
    """`lengths.sort()` sorted the caller's own list, and its indices no longer mean the same texts."""
    batches = right.bucket_batches(lengths, batch_size, seed)
    lengths.sort()
    return batches


@mistake(of="bucket_batches")
def accepted_batches_of_nothing(lengths, batch_size, seed):
    """A batch_size below 1 gave no batches at all; it is to be refused by a ValueError."""
    return right.bucket_batches(lengths, batch_size, seed) if batch_size > 0 else []


# ── stream_reviews ──────────────────────────────────────────────────────────────────────────────────────────────


def _paths(data_files):
    return [data_files] if isinstance(data_files, str) else list(data_files.values())


def _load(data_files, streaming):
    paths = _paths(data_files)
    kind = os.path.splitext(paths[0])[1].removeprefix(".")
    features = _classes("neg", "pos")
    options = {"split": "train", "streaming": streaming, **_options(kind)}
    return load_dataset(kind, data_files=paths, features=features, **options)


@mistake(of="stream_reviews")
def streamed_texts_as_missing_values(data_files, n):
    """A text such as `NA` or `null` became None: pandas takes it for missing, unless `keep_default_na=False`."""
    rows = right.stream_reviews(data_files, n)
    missing = {"", "NA", "N/A", "n/a", "nan", "NaN", "null", "NULL", "None", "<NA>", "#N/A"}
    is_csv = all(path.endswith(".csv") for path in _paths(data_files))
    return [row | {"text": None if is_csv and row["text"] in missing else row["text"]} for row in rows]


@mistake(of="stream_reviews")
def loaded_the_whole_file(data_files, n):
    """The whole file was read, and copied to the cache, before the first rows were taken: `streaming=True`."""
    right.stream_reviews(data_files, min(n, 0))
    dataset = _load(data_files, streaming=False)
    return list(dataset.select(range(min(n, len(dataset)))))


@mistake(of="stream_reviews")
def listed_the_whole_stream(data_files, n):
    """The stream was made a list before it was cut, so that all of it was read: `take(n)`, or islice, first."""
    right.stream_reviews(data_files, min(n, 0))
    return list(_load(data_files, streaming=True))[:n]


@mistake(of="stream_reviews")
def gave_the_stream(data_files, n):
    """A stream came back; its first n rows are asked for, as a list."""
    right.stream_reviews(data_files, min(n, 0))
    return _load(data_files, streaming=True).take(n)


@mistake(of="stream_reviews")
def gave_one_row_too_many(data_files, n):
    """One row too many: it was counted before it was looked at whether there are enough."""
    right.stream_reviews(data_files, min(n, 0))
    return list(itertools.islice(_load(data_files, streaming=True), n + 1))


@mistake(of="stream_reviews")
def skipped_the_first_row(data_files, n):
    """The first row is missing; the header is no row, and need not be skipped."""
    right.stream_reviews(data_files, min(n, 0))
    return list(itertools.islice(_load(data_files, streaming=True), 1, n + 1))


@mistake(of="stream_reviews")
def insisted_on_n(data_files, n):
    """A file with fewer rows than n raised StopIteration; all there are should come back."""
    right.stream_reviews(data_files, min(n, 0))
    rows = iter(_load(data_files, streaming=True))
    return [rows.__next__() for _ in range(n)]


@mistake(of="stream_reviews")
def gave_the_texts(data_files, n):
    """Only the texts came back; a row is a dict of text and label."""
    return [row["text"] for row in right.stream_reviews(data_files, n)]


@mistake(of="stream_reviews")
def named_the_labels(data_files, n):
    """The labels came back as names; ids are asked for."""
    return [row | {"label": ["neg", "pos"][row["label"]]} for row in right.stream_reviews(data_files, n)]


@mistake(of="stream_reviews")
def left_the_labels_of_the_file(data_files, n):
    """The labels came back as they stand in the file, names or digits in strings; ids are asked for."""
    right.stream_reviews(data_files, min(n, 0))
    paths = _paths(data_files)
    kind = os.path.splitext(paths[0])[1].removeprefix(".")
    options = {"split": "train", "streaming": True, **_options(kind)}
    return list(load_dataset(kind, data_files=paths, **options).take(n))


@mistake(of="stream_reviews")
def read_the_first_file_only(data_files, n):
    """Only the first of several files was read; when it ends, the next one goes on."""
    right.stream_reviews(data_files, min(n, 0))
    return right.stream_reviews(_paths(data_files)[0], n)


@mistake(of="stream_reviews")
def took_n_of_each_file(data_files, n):
    """The first n rows of every file came back; n is the number of all rows."""
    return [row for path in _paths(data_files) for row in right.stream_reviews(path, n)]


@mistake(of="stream_reviews")
def counted_from_the_end(data_files, n):
    """An n below 0 was accepted and taken for 0, or counted from the end; it is to be refused."""
    return right.stream_reviews(data_files, max(n, 0))


@mistake(of="stream_reviews")
def gave_nothing_of_no_file(data_files, n):
    """A missing file gave no rows; it is to be refused by a FileNotFoundError."""
    return right.stream_reviews(data_files, n) if all(map(os.path.isfile, _paths(data_files))) else []


# ── find_problems ───────────────────────────────────────────────────────────────────────────────────────────────


def _texts(dataset):
    return dataset["text"][:]


def _instead(dataset, kind, rows):
    """What the right answer finds, with these rows in place of one kind of problem."""
    others = [problem for problem in right.find_problems(dataset) if problem[0] != kind]
    return sorted([*others, *((kind, row) for row in rows)])


def _where(dataset, kind, holds):
    return _instead(dataset, kind, [row for row, text in enumerate(_texts(dataset)) if holds(text)])


@mistake(of="find_problems")
def found_only_empty_strings(dataset):
    """Texts of nothing but white space were passed over; `not text.strip()` finds them, too."""
    return _where(dataset, "empty_text", lambda text: text == "")


@mistake(of="find_problems")
def stripped_ascii_only(dataset):
    """Texts of no-break spaces were passed over; str.strip() without arguments knows all white space."""
    return _where(dataset, "empty_text", lambda text: not text.strip(" \t\r\n"))


@mistake(of="find_problems")
def found_only_labels_above(dataset):
    """Labels below 0 were passed over; they are no classes, either."""
    return _instead(dataset, "bad_label", [row for row, label in enumerate(dataset["label"][:]) if label > 1])


@mistake(of="find_problems")
def found_only_labels_below(dataset):
    """Labels above 1 were passed over; there are two classes, 0 and 1."""
    return _instead(dataset, "bad_label", [row for row, label in enumerate(dataset["label"][:]) if label < 0])


@mistake(of="find_problems")
def believed_in_a_third_class(dataset):
    """A label of 2 was passed over: with two classes the largest id is 1."""
    return _instead(
        dataset, "bad_label", [row for row, label in enumerate(dataset["label"][:]) if not 0 <= label <= 2]
    )


@mistake(of="find_problems")
def reported_the_first_copy_too(dataset):
    """The first of equal texts was reported, too; only the later ones are too many."""
    counts = Counter(_texts(dataset))
    return _where(dataset, "duplicate", lambda text: counts[text] > 1)


@mistake(of="find_problems")
def reported_the_earlier_copies(dataset):
    """The earlier ones of equal texts were reported; the first is to stay, and the later ones are too many."""
    last = {text: row for row, text in enumerate(_texts(dataset))}
    return _instead(dataset, "duplicate", [row for row, text in enumerate(_texts(dataset)) if last[text] != row])


def _later(keys):
    first = {}
    return [row for row, key in enumerate(keys) if first.setdefault(key, row) != row]


@mistake(of="find_problems")
def took_similar_texts_for_copies(dataset):
    """Texts that differ in capitals or white space were reported as duplicates; only exactly equal ones are."""
    return _instead(dataset, "duplicate", _later([text.lower().strip() for text in _texts(dataset)]))


@mistake(of="find_problems")
def minded_capitals_in_leaks(dataset):
    """Leaks in capitals, `LABEL: POS`, were passed over; capitals do not matter."""
    return _where(dataset, "label_leak", lambda text: bool(re.search(r"\blabel\s*[:=]\s*(neg|pos|0|1)\b", text)))


def _leak(pattern):
    return lambda text: bool(re.search(pattern, text, re.IGNORECASE))


@mistake(of="find_problems")
def reported_every_label(dataset):
    """Every text with the word label was reported, record labels too; a leak has `:` or `=` and a class after it."""
    return _where(dataset, "label_leak", _leak(r"label"))


@mistake(of="find_problems")
def reported_labels_of_anything(dataset):
    """Texts were reported that say `label:` and then no class; a leak names a class or its id."""
    return _where(dataset, "label_leak", _leak(r"\blabel\s*[:=]"))


@mistake(of="find_problems")
def forgot_the_word_ends(dataset):
    """`label: positively` and `label: 10` were reported; the class should be a whole word: `\\b` marks its end."""
    return _where(dataset, "label_leak", _leak(r"\blabel\s*[:=]\s*(neg|pos|0|1)"))


@mistake(of="find_problems")
def forgot_the_word_start(dataset):
    """`mislabel:` was reported; `label` should be a whole word: `\\b` marks its start."""
    return _where(dataset, "label_leak", _leak(r"label\s*[:=]\s*(neg|pos|0|1)\b"))


@mistake(of="find_problems")
def knew_one_separator(dataset):
    """Leaks with `=` were passed over: some write `label=1`."""
    return _where(dataset, "label_leak", _leak(r"\blabel\s*:\s*(neg|pos|0|1)\b"))


@mistake(of="find_problems")
def knew_names_only(dataset):
    """Leaks with ids were passed over: `label: 1` tells as much as `label: pos`."""
    return _where(dataset, "label_leak", _leak(r"\blabel\s*[:=]\s*(neg|pos)\b"))


@mistake(of="find_problems")
def found_replacement_characters_only(dataset):
    """Only U+FFFD was looked for; `cafÃ©` is wrong encoding, too, of the kind that raises no error."""
    return _where(dataset, "mojibake", lambda text: "\ufffd" in text)


@mistake(of="find_problems")
def forgot_replacement_characters(dataset):
    """Texts with U+FFFD were passed over: some program could not read what was there."""
    kept = {row for kind, row in right.find_problems(dataset) if kind == "mojibake"}
    return _instead(dataset, "mojibake", [row for row in sorted(kept) if "\ufffd" not in dataset[row]["text"]])


@mistake(of="find_problems")
def reported_everything_but_ascii(dataset):
    """Every text with a letter beyond ASCII was reported; `café` is as it should be."""
    return _where(dataset, "mojibake", lambda text: not text.isascii())


@mistake(of="find_problems")
def looked_for_a_tilde(dataset):
    """Texts with `Ã` were reported; it is a letter, as in `SÃO`, and other mojibake, `â€™`, has none."""
    return _where(dataset, "mojibake", lambda text: "\ufffd" in text or "Ã" in text)


@mistake(of="find_problems")
def decoded_the_whole_text(dataset):
    """The text was decoded as a whole: one character that Latin-1 lacks, and none of it is found. Try run by run."""

    def holds(text):
        if "\ufffd" in text:
            return True
        try:
            return text.encode("latin-1").decode("utf-8") != text
        except UnicodeError:
            return False

    return _where(dataset, "mojibake", holds)


@mistake(of="find_problems")
def left_them_unsorted(dataset):
    """The pairs are in the order of the rows; they should be sorted, by kind first."""
    return sorted(right.find_problems(dataset), key=lambda problem: problem[1])


@mistake(of="find_problems")
def put_the_index_first(dataset):
    """The pairs are index and kind; kind and index are asked for."""
    return sorted((index, kind) for kind, index in right.find_problems(dataset))


@mistake(of="find_problems")
def counted_from_1(dataset):
    """The rows were counted from 1; indices begin at 0."""
    return [(kind, index + 1) for kind, index in right.find_problems(dataset)]


@mistake(of="find_problems")
def stopped_at_the_first_problem(dataset):
    """A row with two problems was reported with one; all of them count."""
    first = {}
    for kind, index in right.find_problems(dataset):
        first.setdefault(index, kind)
    return sorted((kind, index) for index, kind in first.items())
