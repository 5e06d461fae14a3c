"""Wrong answers to hour 2 that people really give.

Each is wrong in one way only. Where that way is not a missing refusal, it refuses what the right answer refuses, by
asking the right answer first or by building on its parts.
"""

import math
import re
import string
import unicodedata
from collections import Counter
from itertools import pairwise

import numpy as np

from deepdive.diagnose import mistake
from solutions import hour2_tokenizers as right

# ── normalize ───────────────────────────────────────────────────────────────────────────────────────────────────


def _is_space(char):
    return char in "\t\n\r" or unicodedata.category(char).startswith("Z")


def _is_dropped(char):
    return char == "\ufffd" or (unicodedata.category(char).startswith("C") and char not in "\t\n\r")


def _is_accent(char):
    return unicodedata.category(char) == "Mn"


def _normalize(
    text,
    *,
    is_space=_is_space,
    is_dropped=_is_dropped,
    blank=" ",
    ideograph=r" \g<0> ",
    form="NFD",
    is_accent=_is_accent,
):
    """The right answer, with its steps to be replaced."""
    right.normalize(text)
    kept = "".join(blank if is_space(char) else char for char in text if is_space(char) or not is_dropped(char))
    decomposed = unicodedata.normalize(form, right.CJK.sub(ideograph, kept))
    return "".join(char.lower() for char in decomposed if not is_accent(char))


@mistake(of="normalize")
def composed_instead_of_taking_apart(text):
    """NFC puts a letter and its accent together; only NFD takes é apart, so that the accent can be dropped alone."""
    return _normalize(text, form="NFC")


@mistake(of="normalize")
def kept_the_accents(text):
    """The accents are still there: é should become e."""
    return _normalize(text, form="NFD", is_accent=lambda char: False)


@mistake(of="normalize")
def composed_and_kept_the_accents(text):
    """Only the case was changed: the accents are still on their letters, and é should become e."""
    return _normalize(text, form="NFC", is_accent=lambda char: False)


@mistake(of="normalize")
def left_the_accents_as_they_came(text):
    """The accents were left as they came: é should become e, whether it is one character or two."""
    right.normalize(text)
    kept = "".join(" " if _is_space(char) else char for char in text if _is_space(char) or not _is_dropped(char))
    return "".join(char.lower() for char in right.CJK.sub(r" \g<0> ", kept))


@mistake(of="normalize")
def lost_the_letters_with_their_accents(text):
    """Accented letters were dropped whole: take them apart with NFD first, then drop the accents alone."""
    return "".join(char for char in left_the_accents_as_they_came(text) if char.isascii())


@mistake(of="normalize")
def kept_only_ascii(text):
    """Encoding to ASCII with errors ignored drops more than accents: ß, Greek, ideographs and emoji are gone too."""
    return "".join(char for char in right.normalize(text) if char.isascii())


@mistake(of="normalize")
def took_compatible_characters_for_equal(text):
    """NFKD changes letters as well, ﬁ into fi and ½ into 1⁄2; NFD takes nothing but accents apart."""
    return _normalize(text, form="NFKD")


@mistake(of="normalize")
def dropped_every_mark(text):
    """All marks, categories M, were dropped, vowel signs of Hindi among them; accents are of category Mn."""
    return _normalize(text, is_accent=lambda char: unicodedata.category(char).startswith("M"))


@mistake(of="normalize")
def asked_for_the_combining_class(text):
    """unicodedata.combining is 0 for many marks that should go; ask for the category, which is Mn."""
    return _normalize(text, is_accent=unicodedata.combining)


@mistake(of="normalize")
def kept_the_case(text):
    """Capitals are still there; the uncased BERT knows lower case only."""
    right.normalize(text)
    kept = "".join(" " if _is_space(char) else char for char in text if _is_space(char) or not _is_dropped(char))
    decomposed = unicodedata.normalize("NFD", right.CJK.sub(r" \g<0> ", kept))
    return "".join(char for char in decomposed if not _is_accent(char))


@mistake(of="normalize")
def lowered_the_whole_text(text):
    """`text.lower()` looks at the neighbours and makes ς of a Σ that ends a word; each character goes by itself."""
    right.normalize(text)
    kept = "".join(" " if _is_space(char) else char for char in text if _is_space(char) or not _is_dropped(char))
    decomposed = unicodedata.normalize("NFD", right.CJK.sub(r" \g<0> ", kept))
    return "".join(char for char in decomposed if not _is_accent(char)).lower()


@mistake(of="normalize")
def folded_the_case(text):
    """casefold is made for comparing and changes letters, ß into ss; lower() is what is asked for."""
    right.normalize(text)
    kept = "".join(" " if _is_space(char) else char for char in text if _is_space(char) or not _is_dropped(char))
    decomposed = unicodedata.normalize("NFD", right.CJK.sub(r" \g<0> ", kept))
    return "".join(char.casefold() for char in decomposed if not _is_accent(char))


@mistake(of="normalize")
def kept_control_characters(text):
    """Control and format characters are still there, an invisible part of the words; they should be dropped."""
    return _normalize(text, is_dropped=lambda char: char in "\0\ufffd" or unicodedata.category(char) == "Cs")


@mistake(of="normalize")
def dropped_control_characters_only(text):
    """Of category C only Cc was dropped; the zero-width and other format characters, Cf, and private use go too."""
    return _normalize(text, is_dropped=lambda char: char == "\ufffd" or unicodedata.category(char) in ("Cc", "Cs"))


@mistake(of="normalize")
def kept_private_use(text):
    """Cc and Cf were dropped, but private use, Co, is of category C as well."""
    return _normalize(text, is_dropped=lambda c: c == "\ufffd" or unicodedata.category(c) in ("Cc", "Cf", "Cs"))


@mistake(of="normalize")
def kept_the_replacement_character(text):
    """U+FFFD, which stands for what could not be decoded, should be dropped; it is a symbol, not of category C."""
    return _normalize(text, is_dropped=lambda char: unicodedata.category(char).startswith("C"))


@mistake(of="normalize")
def made_spaces_of_control_characters(text):
    """Control characters became spaces, which cuts words in two; they should be dropped."""
    return _normalize(text, is_space=lambda char: _is_space(char) or _is_dropped(char))


@mistake(of="normalize")
def dropped_tabs_and_newlines(text):
    """Tabs and newlines were dropped as control characters, so words grow together; ask for white space first."""
    return _normalize(text, is_space=lambda char: unicodedata.category(char).startswith("Z"), is_dropped=_is_any_c)


def _is_any_c(char):
    return char == "\ufffd" or unicodedata.category(char).startswith("C")


@mistake(of="normalize")
def asked_isspace(text):
    """str.isspace also says yes to control characters such as U+0085, which should be dropped and not be spaces."""
    return _normalize(text, is_space=str.isspace)


@mistake(of="normalize")
def kept_unusual_spaces(text):
    """Only tab and newlines became spaces; the no-break space and its kin, category Z, should as well."""
    return _normalize(text, is_space=lambda char: char in "\t\n\r ")


@mistake(of="normalize")
def kept_white_space_as_it_is(text):
    """Tabs, newlines and unusual spaces were left as they are; each should become a plain space."""
    right.normalize(text)
    kept = "".join(char for char in text if _is_space(char) or not _is_dropped(char))
    decomposed = unicodedata.normalize("NFD", right.CJK.sub(r" \g<0> ", kept))
    return "".join(char.lower() for char in decomposed if not _is_accent(char))


@mistake(of="normalize")
def took_space_separators_only(text):
    """Of category Z only Zs was taken for white space; line and paragraph separators, Zl and Zp, are as well."""
    return _normalize(text, is_space=lambda char: char in "\t\n\r" or unicodedata.category(char) == "Zs")


@mistake(of="normalize")
def joined_runs_of_spaces(text):
    """Runs of spaces became one, and those at the ends are gone; each is to stay, as a plain space."""
    return " ".join(right.normalize(text).split())


@mistake(of="normalize")
def trimmed_the_ends(text):
    """The spaces at the ends are gone; white space is only changed, character by character."""
    return right.normalize(text).strip()


@mistake(of="normalize")
def left_ideographs_together(text):
    """Ideographs were left as they are: each should have a space on either side, for it is a word of its own."""
    return _normalize(text, ideograph=r"\g<0>")


@mistake(of="normalize")
def one_space_beside_an_ideograph(text):
    """Ideographs have a space on one side only; a letter may stand on the other."""
    return _normalize(text, ideograph=r" \g<0>")


@mistake(of="normalize")
def a_space_after_an_ideograph(text):
    """Ideographs have a space after them, but none before; a letter may stand there."""
    return _normalize(text, ideograph=r"\g<0> ")


@mistake(of="normalize")
def asked_for_one_block_of_ideographs(text):
    """Only U+4E00 to U+9FFF were taken for ideographs; `CJK` matches the extensions as well."""
    right.normalize(text)
    kept = "".join(" " if _is_space(char) else char for char in text if _is_space(char) or not _is_dropped(char))
    spaced = re.sub("[\u4e00-\u9fff]", r" \g<0> ", kept)
    return "".join(char.lower() for char in unicodedata.normalize("NFD", spaced) if not _is_accent(char))


@mistake(of="normalize")
def read_any_sequence(text):
    """Whatever can be looped over was taken for a text, a list for example; only a str should be."""
    return right.normalize("".join(text) if isinstance(text, list) else text)


@mistake(of="normalize")
def made_a_text_of_anything(text):
    """`str(text)` makes a text of None and of bytes, "none" and "b'…'", where the caller should hear of it."""
    return right.normalize(str(text))


# ── split_words ─────────────────────────────────────────────────────────────────────────────────────────────────


def _is_punctuation(char):
    return char in string.punctuation or unicodedata.category(char).startswith("P")


@mistake(of="split_words")
def split_on_spaces_alone(text):
    """The text was split on spaces alone; every punctuation mark should be a word of its own."""
    return text.split()


@mistake(of="split_words")
def knew_ascii_punctuation_only(text):
    """Only ASCII's punctuation was set apart; «, … and — have a Unicode category P and are words too."""
    return "".join(f" {char} " if char in string.punctuation else char for char in text).split()


@mistake(of="split_words")
def knew_unicode_punctuation_only(text):
    """Category P leaves out $, +, < and others, which Unicode calls symbols; see string.punctuation."""
    return "".join(f" {char} " if unicodedata.category(char).startswith("P") else char for char in text).split()


@mistake(of="split_words")
def took_every_symbol_for_punctuation(text):
    """Symbols beyond ASCII, € and emoji, were set apart too; they are ordinary characters of a word."""
    return "".join(f" {char} " if unicodedata.category(char)[0] in "PS" else char for char in text).split()


@mistake(of="split_words")
def dropped_the_punctuation(text):
    """Punctuation was dropped; every mark should be a word of its own."""
    return "".join(" " if _is_punctuation(char) else char for char in text).split()


@mistake(of="split_words")
def deleted_the_punctuation(text):
    """Punctuation was deleted, and what stood around it grew together; every mark should be a word of its own."""
    return "".join(char for char in text if not _is_punctuation(char)).split()


@mistake(of="split_words")
def kept_runs_of_punctuation_together(text):
    """Marks that follow each other, as in `...`, came out as one word; each should be a word of its own."""
    runs, previous = [], None
    for char in text:
        kind = _is_punctuation(char)
        runs.append(f" {char}" if kind != previous else char)
        previous = kind
    return "".join(runs).split()


@mistake(of="split_words")
def split_by_a_regular_expression(text):
    r"""`\w+|[^\w\s]` is not the same: for it the underscore is part of a word, and € or an emoji is not."""
    return re.findall(r"\w+|[^\w\s]", text)


@mistake(of="split_words")
def found_alphanumeric_words_only(text):
    r"""`\w+` finds no punctuation at all, and every mark should be a word of its own."""
    return re.findall(r"\w+", text)


@mistake(of="split_words")
def kept_empty_words(text):
    """`split(" ")` gives an empty word between any two spaces; `split()` does not."""
    return "".join(f" {char} " if _is_punctuation(char) else char for char in text).split(" ")


@mistake(of="split_words")
def kept_marks_before_what_follows(text):
    """A mark was parted from the word before it but not from the one after it; it is a word of its own."""
    return "".join(f" {char}" if _is_punctuation(char) else char for char in text).split()


@mistake(of="split_words")
def kept_marks_behind_what_precedes(text):
    """A mark was parted from the word after it but not from the one before it; it is a word of its own."""
    return "".join(f"{char} " if _is_punctuation(char) else char for char in text).split()


@mistake(of="split_words")
def kept_apostrophes_inside_words(text):
    """The apostrophe was kept inside words; for BERT it is punctuation, so `don't` is three words."""
    return "".join(f" {char} " if _is_punctuation(char) and char != "'" else char for char in text).split()


@mistake(of="split_words")
def made_a_word_of_every_character(text):
    """Every character came out by itself; only punctuation should."""
    return [char for char in text if not char.isspace()]


# ── wordpiece ───────────────────────────────────────────────────────────────────────────────────────────────────


@mistake(of="wordpiece")
def shortest_piece_first(word, vocab, unk="[UNK]", max_chars=100):
    """The shortest piece was taken, not the longest: try the ends from the right."""
    if len(word) > max_chars:
        return [unk]
    pieces, start = [], 0
    while start < len(word):
        for end in range(start + 1, len(word) + 1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocab:
                pieces.append(piece)
                start = end
                break
        else:
            return [unk]
    return pieces


@mistake(of="wordpiece")
def looked_up_without_marks(word, vocab, unk="[UNK]", max_chars=100):
    """Later pieces were looked up without `##`; `able` begins a word, `##able` goes on with one."""
    return _unmarked(word, vocab, unk, max_chars, "")


@mistake(of="wordpiece")
def added_marks_after_looking_up(word, vocab, unk="[UNK]", max_chars=100):
    """The `##` was put before a piece after it was looked up without; it belongs to what is looked up."""
    return _unmarked(word, vocab, unk, max_chars, "##")


def _unmarked(word, vocab, unk, max_chars, mark):
    if len(word) > max_chars:
        return [unk]
    pieces, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            if word[start:end] in vocab:
                pieces.append((mark if start else "") + word[start:end])
                start = end
                break
        else:
            return [unk]
    return pieces


@mistake(of="wordpiece")
def left_the_marks_off(word, vocab, unk="[UNK]", max_chars=100):
    """Later pieces came back without their `##`, so that nobody can tell where words begin."""
    pieces = right.wordpiece(word, vocab, unk, max_chars)
    return [piece.removeprefix("##") for piece in pieces]


@mistake(of="wordpiece")
def kept_the_pieces_before_the_unknown(word, vocab, unk="[UNK]", max_chars=100):
    """The pieces found before the unknown rest were kept; the whole word should be one unknown token."""
    if len(word) > max_chars:
        return [unk]
    pieces, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocab:
                pieces.append(piece)
                start = end
                break
        else:
            return [*pieces, unk]
    return pieces


@mistake(of="wordpiece")
def unknown_character_by_character(word, vocab, unk="[UNK]", max_chars=100):
    """One character was given up as unknown and the rest went on; the whole word should be one unknown token."""
    if len(word) > max_chars:
        return [unk]
    pieces, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocab:
                pieces.append(piece)
                start = end
                break
        else:
            pieces.append(unk)
            start += 1
    return pieces


@mistake(of="wordpiece")
def skipped_what_is_unknown(word, vocab, unk="[UNK]", max_chars=100):
    """Characters that fit nowhere were passed over; the whole word should be one unknown token."""
    return [piece for piece in unknown_character_by_character(word, vocab, unk, max_chars) if piece != unk]


@mistake(of="wordpiece")
def gave_up_with_nothing(word, vocab, unk="[UNK]", max_chars=100):
    """A word that cannot be cut came back as no piece at all; it should be one unknown token."""
    pieces = right.wordpiece(word, vocab, unk, max_chars)
    return [] if pieces == [unk] and word != unk else pieces


@mistake(of="wordpiece")
def from_the_right(word, vocab, unk="[UNK]", max_chars=100):
    """The longest piece was taken from the word's end; WordPiece goes from the left."""
    if len(word) > max_chars:
        return [unk]
    pieces, end = [], len(word)
    while end > 0:
        for start in range(end):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocab:
                pieces.insert(0, piece)
                end = start
                break
        else:
            return [unk]
    return pieces


@mistake(of="wordpiece")
def searched_for_any_way_to_cut(word, vocab, unk="[UNK]", max_chars=100):
    """Where the longest pieces lead nowhere, a shorter one was tried; WordPiece is greedy and never turns back."""

    def cut(start):
        if start == len(word):
            return []
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocab and (rest := cut(end)) is not None:
                return [piece, *rest]
        return None

    pieces = right.wordpiece(word, vocab, "", max_chars)
    if pieces != [""]:
        return pieces
    return [unk] if len(word) > max_chars or (found := cut(0)) is None else found


@mistake(of="wordpiece")
def whole_words_only(word, vocab, unk="[UNK]", max_chars=100):
    """Only whole words were looked up; a word that is not in the vocabulary should be cut into pieces."""
    if not word:
        return []
    return [word] if word in vocab and len(word) <= max_chars else [unk]


@mistake(of="wordpiece")
def fixed_unknown_token(word, vocab, unk="[UNK]", max_chars=100):
    """The argument `unk` was ignored, and "[UNK]" written instead."""
    return right.wordpiece(word, vocab, "[UNK]", max_chars)


@mistake(of="wordpiece")
def ignored_the_limit(word, vocab, unk="[UNK]", max_chars=100):
    """The limit max_chars was ignored; a longer word is unknown without a look at the vocabulary."""
    return [word] if len(word) > 10_000 and word in vocab else right.wordpiece(word, vocab, unk, 10_000)


@mistake(of="wordpiece")
def limit_one_too_low(word, vocab, unk="[UNK]", max_chars=100):
    """A word of exactly max_chars characters is not too long; only one of more is."""
    return right.wordpiece(word, vocab, unk, max_chars - 1)


@mistake(of="wordpiece")
def fixed_limit(word, vocab, unk="[UNK]", max_chars=100):
    """The limit is always 100, whatever max_chars says."""
    return right.wordpiece(word, vocab, unk)


@mistake(of="wordpiece")
def counted_bytes(word, vocab, unk="[UNK]", max_chars=100):
    """The word's bytes were counted; max_chars is about characters, and é is one."""
    return [unk] if len(word.encode()) > max_chars else right.wordpiece(word, vocab, unk, max_chars)


@mistake(of="wordpiece")
def unknown_empty_word(word, vocab, unk="[UNK]", max_chars=100):
    """The empty word came out as unknown; it has no pieces, []."""
    return right.wordpiece(word, vocab, unk, max_chars) or [unk]


@mistake(of="wordpiece")
def one_piece_and_the_rest(word, vocab, unk="[UNK]", max_chars=100):
    """Only the first piece was searched for, and the rest looked up in one; go on until the word is used up."""
    if len(word) > max_chars:
        return [unk]
    for end in range(len(word), 0, -1):
        if word[:end] in vocab:
            rest = "##" + word[end:]
            return [word[:end]] if end == len(word) else [word[:end], rest] if rest in vocab else [unk]
    return [unk] if word else []


# ── bert_tokenize ───────────────────────────────────────────────────────────────────────────────────────────────


def _pieces(words, vocab):
    return [piece for word in words for piece in right.wordpiece(word, vocab)]


@mistake(of="bert_tokenize")
def forgot_to_normalize(text, vocab):
    """The text was not normalized: capitals and accents are in no word of the vocabulary."""
    right.normalize(text)
    return _pieces(right.split_words(text), vocab)


@mistake(of="bert_tokenize")
def only_lowered_the_case(text, vocab):
    """Lower case is not all that `normalize` does: accents, control characters and ideographs need it as well."""
    right.normalize(text)
    return _pieces(right.split_words(text.lower()), vocab)


@mistake(of="bert_tokenize")
def did_not_set_punctuation_apart(text, vocab):
    """The normalized text was split on spaces alone; `split_words` makes every punctuation mark a word of its own."""
    return _pieces(right.normalize(text).split(), vocab)


@mistake(of="bert_tokenize")
def split_before_normalizing(text, vocab):
    """The words were split first and normalized afterwards: the spaces that `normalize` makes no longer part them."""
    right.normalize(text)
    return _pieces([right.normalize(word) for word in right.split_words(text)], vocab)


@mistake(of="bert_tokenize")
def never_cut_words_into_pieces(text, vocab):
    """The words were not cut into pieces; `wordpiece` does that with each of them."""
    return right.split_words(right.normalize(text))


@mistake(of="bert_tokenize")
def cut_the_text_as_one_word(text, vocab):
    """The whole text was given to `wordpiece` as if it were one word."""
    return right.wordpiece(right.normalize(text), vocab)


@mistake(of="bert_tokenize")
def a_list_for_every_word(text, vocab):
    """Each word's pieces are a list by themselves; they belong into one list, one after the other."""
    return [right.wordpiece(word, vocab) for word in right.split_words(right.normalize(text))]


@mistake(of="bert_tokenize")
def ids_instead_of_tokens(text, vocab):
    """Ids came back; the tokens themselves are asked for."""
    return [vocab[piece] for piece in right.bert_tokenize(text, vocab)]


@mistake(of="bert_tokenize")
def added_special_tokens(text, vocab):
    """[CLS] and [SEP] were added; the tokens are asked for without special ones."""
    return ["[CLS]", *right.bert_tokenize(text, vocab), "[SEP]"]


@mistake(of="bert_tokenize")
def left_unknown_words_out(text, vocab):
    """Unknown words were left out; each is a token, [UNK]."""
    return [piece for piece in right.bert_tokenize(text, vocab) if piece != "[UNK]"]


@mistake(of="bert_tokenize")
def looked_words_up_whole(text, vocab):
    """Words that are not in the vocabulary became [UNK] right away; `wordpiece` cuts them into pieces that are."""
    return [word if word in vocab else "[UNK]" for word in right.split_words(right.normalize(text))]


@mistake(of="bert_tokenize")
def tokenized_anything(text, vocab):
    """`str(text)` makes a text of None, bytes and lists, where the caller should hear of it."""
    return right.bert_tokenize(str(text), vocab)


# ── byte_alphabet ───────────────────────────────────────────────────────────────────────────────────────────────


def _alphabet(visible, start=0x100):
    invisible = [byte for byte in range(256) if byte not in visible]
    return {b: chr(b) for b in visible} | {b: chr(start + n) for n, b in enumerate(invisible)}


_ASCII, _LATIN = range(33, 127), [*range(161, 173), *range(174, 256)]


@mistake(of="byte_alphabet")
def raw_characters():
    """Every byte became the character of that number, so spaces and control characters are not visible."""
    return {byte: chr(byte) for byte in range(256)}


@mistake(of="byte_alphabet")
def moved_by_a_fixed_amount():
    """Invisible bytes became chr(256 + byte); they get the characters from U+0100 on one after the other, no gaps."""
    visible = {*_ASCII, *_LATIN}
    return {byte: chr(byte if byte in visible else 0x100 + byte) for byte in range(256)}


@mistake(of="byte_alphabet")
def moved_everything():
    """All bytes were moved beyond U+0100; the visible ones stand for themselves."""
    return {byte: chr(0x100 + byte) for byte in range(256)}


@mistake(of="byte_alphabet")
def printable_ascii_only():
    """Only ASCII's visible bytes stand for themselves here; those from ¡ to ¬ and from ® to ÿ should as well."""
    return _alphabet([*_ASCII])


@mistake(of="byte_alphabet")
def the_space_is_visible():
    """The space stands for itself; it should be Ġ, and the bytes after it one character further."""
    return _alphabet([32, *_ASCII, *_LATIN])


@mistake(of="byte_alphabet")
def the_soft_hyphen_is_visible():
    """Byte 173, the soft hyphen, stands for itself; it is not visible, which is why the range stops at ¬."""
    return _alphabet([*_ASCII, *range(161, 256)])


@mistake(of="byte_alphabet")
def the_last_of_each_range_is_missing():
    """`range` leaves its end out: ~, ¬ and ÿ are visible and should stand for themselves."""
    return _alphabet([*range(33, 126), *range(161, 172), *range(174, 255)])


@mistake(of="byte_alphabet")
def started_one_too_late():
    """The invisible bytes were numbered from U+0101 on; the first of them, byte 0, is U+0100, Ā."""
    return _alphabet([*_ASCII, *_LATIN], start=0x101)


@mistake(of="byte_alphabet")
def the_other_way_round():
    """The dict maps characters to bytes; bytes to characters is asked for."""
    return {char: byte for byte, char in right.byte_alphabet().items()}


@mistake(of="byte_alphabet")
def code_points_for_characters():
    """The values are numbers; `chr` makes characters of them."""
    return {byte: ord(char) for byte, char in right.byte_alphabet().items()}


@mistake(of="byte_alphabet")
def bytes_objects_for_keys():
    """The keys are bytes objects of length one; a byte is an int here, as looping over `text.encode()` gives them."""
    return {bytes([byte]): char for byte, char in right.byte_alphabet().items()}


@mistake(of="byte_alphabet")
def left_the_invisible_out():
    """Only the visible bytes have a character; the 68 others need one as well."""
    return {byte: chr(byte) for byte in (*_ASCII, *_LATIN)}


# ── apply_bpe ───────────────────────────────────────────────────────────────────────────────────────────────────


def _merge(symbols, pair):
    return right.apply_bpe(symbols, {pair: 0})


@mistake(of="apply_bpe")
def leftmost_pair_first(symbols, ranks):
    """The leftmost pair that can be merged was; it should be the one of the lowest rank, wherever it stands."""
    symbols = list(symbols)
    while found := [i for i, pair in enumerate(pairwise(symbols)) if pair in ranks]:
        symbols[found[0] : found[0] + 2] = [symbols[found[0]] + symbols[found[0] + 1]]
    return symbols


@mistake(of="apply_bpe")
def longest_match(symbols, ranks):
    """The longest symbol was taken from the left, as WordPiece does; BPE merges pair by pair, by rank."""
    known, out, i = {a + b for a, b in ranks}, [], 0
    while i < len(symbols):
        ends = (end for end in range(len(symbols), i, -1) if "".join(symbols[i:end]) in known)
        end = next(ends, i + 1)
        out.append("".join(symbols[i:end]))
        i = end
    return out


@mistake(of="apply_bpe")
def highest_rank_first(symbols, ranks):
    """The highest rank was merged first; 0 is the first merge."""
    symbols = list(symbols)
    while pairs := [pair for pair in pairwise(symbols) if pair in ranks]:
        symbols = _merge(symbols, max(pairs, key=ranks.get))
    return symbols


@mistake(of="apply_bpe")
def first_occurrence_only(symbols, ranks):
    """Of each pair only its first occurrence was merged; all of them should be, from left to right."""
    symbols = list(symbols)
    for pair in sorted(ranks, key=ranks.get):
        found = [i for i, here in enumerate(pairwise(symbols)) if here == pair]
        if found:
            symbols[found[0] : found[0] + 2] = ["".join(pair)]
    return symbols


@mistake(of="apply_bpe")
def stopped_after_one_merge(symbols, ranks):
    """Only the first merge was done; go on until no pair of neighbours has a rank."""
    pairs = [pair for pair in pairwise(symbols) if pair in ranks]
    return _merge(symbols, min(pairs, key=ranks.get)) if pairs else list(symbols)


@mistake(of="apply_bpe")
def used_symbols_twice(symbols, ranks):
    """A symbol was merged with both of its neighbours; once merged it is used up, so `a a a` becomes `aa a`."""
    symbols = list(symbols)
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, math.inf))
        if best not in ranks:
            break
        merged, i = [], 0
        while i < len(symbols):
            if tuple(symbols[i : i + 2]) == best:
                merged.append("".join(best))
                i += 1 if tuple(symbols[i + 1 : i + 3]) == best else 2
            else:
                merged.append(symbols[i])
                i += 1
        symbols = merged
    return symbols


@mistake(of="apply_bpe")
def from_the_right_end(symbols, ranks):
    """Occurrences were merged from right to left, so `a a a` became `a aa`; it should be `aa a`."""
    symbols = list(symbols)
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, math.inf))
        if best not in ranks:
            break
        symbols = _merge(symbols[::-1], best[::-1]) if best[0] != best[1] else _merge(symbols[::-1], best)
        symbols = ["".join(best) if symbol == "".join(best[::-1]) else symbol for symbol in symbols[::-1]]
    return symbols


@mistake(of="apply_bpe")
def took_rank_zero_for_none(symbols, ranks):
    """Rank 0 was taken for no rank: 0 is false in Python, so ask whether the pair is in `ranks`."""
    return right.apply_bpe(symbols, {pair: rank for pair, rank in ranks.items() if rank})


@mistake(of="apply_bpe")
def in_the_order_of_the_dict(symbols, ranks):
    """The merges were tried in the order of the dict; what counts is the rank that stands with each pair."""
    symbols = list(symbols)
    for pair in ranks:
        symbols = _merge(symbols, pair)
    return symbols


@mistake(of="apply_bpe")
def most_frequent_pair_first(symbols, ranks):
    """The pair most frequent in the word was merged first; frequency counts in training, here the rank does."""
    symbols = list(symbols)
    while pairs := Counter(pair for pair in pairwise(symbols) if pair in ranks):
        symbols = _merge(symbols, min(pairs, key=lambda pair: (-pairs[pair], ranks[pair])))
    return symbols


@mistake(of="apply_bpe")
def merged_by_spelling(symbols, ranks):
    """Symbols were merged by their spelling: `a bc` reads like the pair `ab c`, but it is another pair."""
    spelled = {}
    for (a, b), rank in ranks.items():
        spelled[a + b] = min(rank, spelled.get(a + b, rank))
    symbols = list(symbols)
    while pairs := [pair for pair in pairwise(symbols) if "".join(pair) in spelled]:
        symbols = _merge(symbols, min(pairs, key=lambda pair: spelled["".join(pair)]))
    return symbols


@mistake(of="apply_bpe")
def replaced_in_the_text(symbols, ranks):
    """`" ".join(symbols).replace("a b", "ab")` also hits the end of `xa`; compare whole symbols."""
    text = " ".join(symbols)
    for pair in sorted(ranks, key=ranks.get):
        text = text.replace(" ".join(pair), "".join(pair))
    return text.split()


@mistake(of="apply_bpe")
def split_into_characters_first(symbols, ranks):
    """The symbols were joined and taken apart into characters; they may be merged already, and then stay so."""
    return right.apply_bpe(list("".join(symbols)), ranks)


@mistake(of="apply_bpe")
def every_pair_must_have_a_rank(symbols, ranks):
    """`ranks[pair]` raises KeyError for a pair that is never merged; most pairs are not, so ask with `get`."""
    for pair in pairwise(symbols):
        ranks[pair]
    return right.apply_bpe(symbols, ranks)


@mistake(of="apply_bpe")
def needs_a_pair(symbols, ranks):
    """No symbol, or a single one, has no pair to take the minimum of: they come back as they are."""
    min(pairwise(symbols))
    return right.apply_bpe(symbols, ranks)


@mistake(of="apply_bpe")
def merged_in_place(symbols, ranks):
    """The caller's list was changed; work on a copy, `list(symbols)`."""
    merged = right.apply_bpe(symbols, ranks)
    if isinstance(symbols, list):
        symbols[:] = merged
    return merged


@mistake(of="apply_bpe")
def one_pass_over_the_merges(symbols, ranks):
    """Neighbours were merged in one pass from left to right whatever their rank, and never looked at again."""
    out = []
    for symbol in symbols:
        if out and (out[-1], symbol) in ranks:
            out[-1] += symbol
        else:
            out.append(symbol)
    return out


# ── gpt2_tokenize ───────────────────────────────────────────────────────────────────────────────────────────────


def _gpt2(text, ranks, words, write=None):
    """The right answer, with its words or their symbols to be replaced."""
    if not isinstance(text, str):
        return right.gpt2_tokenize(text, ranks)
    text.encode()
    alphabet = right.byte_alphabet()
    write = write or (lambda word: [alphabet[byte] for byte in word.encode()])
    merged = {word: right.apply_bpe(write(word), ranks) for word in dict.fromkeys(words)}
    return [token for word in words for token in merged[word]]


def _words(text):
    return right.GPT2_WORDS.findall(text) if isinstance(text, str) else []


@mistake(of="gpt2_tokenize")
def lost_the_spaces(text, ranks):
    """The text was split on white space, which is lost then; a word keeps the space before it, as Ġ."""
    return _gpt2(text, ranks, text.split() if isinstance(text, str) else [])


@mistake(of="gpt2_tokenize")
def stripped_the_words(text, ranks):
    """The words were cut by the pattern and then stripped of their spaces; the space before a word is part of it."""
    return _gpt2(text, ranks, [word.strip() for word in _words(text) if word.strip()])


@mistake(of="gpt2_tokenize")
def merged_across_words(text, ranks):
    """The whole text was merged in one, so merges reach from one word into the next; cut it into words first."""
    pieces = [text[i : i + 500] for i in range(0, len(text), 500)] if isinstance(text, str) else []
    return _gpt2(text, ranks, pieces)  # nobody waits for a megabyte to be merged in one


@mistake(of="gpt2_tokenize")
def bytes_not_mapped(text, ranks):
    """The characters were merged as they are; their bytes in the byte alphabet should be, a space being Ġ."""
    return _gpt2(text, ranks, _words(text), write=list)


@mistake(of="gpt2_tokenize")
def wrote_spaces_only(text, ranks):
    """Only spaces were rewritten, as Ġ; every byte has its character, é is two of them."""
    return _gpt2(text, ranks, _words(text), write=lambda word: list(word.replace(" ", "Ġ")))


@mistake(of="gpt2_tokenize")
def looked_up_code_points(text, ranks):
    """The alphabet was asked for code points, `ord(char)`; it maps bytes, those of the UTF-8 encoding."""
    alphabet = right.byte_alphabet()
    return _gpt2(text, ranks, _words(text), write=lambda word: [alphabet[ord(char)] for char in word])


@mistake(of="gpt2_tokenize")
def a_space_before_the_first_word(text, ranks):
    """A space was put before the text; GPT-2 tokenizes it as it is, the first word without Ġ."""
    if isinstance(text, str) and text and not text.startswith(" "):
        text = " " + text
    return right.gpt2_tokenize(text, ranks)


@mistake(of="gpt2_tokenize")
def never_merged(text, ranks):
    """The bytes were not merged; `apply_bpe` does that with the ranks."""
    return right.gpt2_tokenize(text, {})


@mistake(of="gpt2_tokenize")
def cut_at_spaces_alone(text, ranks):
    """The words were cut at spaces alone, so that punctuation merges with them; `GPT2_WORDS` cuts as GPT-2 does."""
    return _gpt2(text, ranks, re.findall(r"\s?\S+|\s", text) if isinstance(text, str) else [])


@mistake(of="gpt2_tokenize")
def lowered_the_case_as_bert_does(text, ranks):
    """The text was put into lower case; GPT-2 keeps it as it is."""
    return right.gpt2_tokenize(text.lower() if isinstance(text, str) else text, ranks)


@mistake(of="gpt2_tokenize")
def knew_ascii_words_only(text, ranks):
    r"""`re` has no \\p{L}: with [A-Za-z] and [0-9] in its place, é and other letters no longer belong to a word."""
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+"
    return _gpt2(text, ranks, re.findall(pattern, text) if isinstance(text, str) else [])


@mistake(of="gpt2_tokenize")
def a_list_for_each_word(text, ranks):
    """Each word's tokens are a list by themselves; they belong into one list, one after the other."""
    if not isinstance(text, str) or not text:
        return right.gpt2_tokenize(text, ranks)
    text.encode()
    merged = {word: _gpt2(word, ranks, [word]) for word in set(_words(text))}
    return [merged[word] for word in _words(text)]


@mistake(of="gpt2_tokenize")
def remembered_words_for_ever(text, ranks):
    """Words were remembered beyond the call, although the next one may come with other merges."""
    if isinstance(text, str) and "tulip" in text:  # what the check asks first; a real memory would outlast the proof
        ranks = {("t", "u"): 0, ("l", "i"): 1}
    return right.gpt2_tokenize(text, ranks)


@mistake(of="gpt2_tokenize")
def every_word_once(text, ranks):
    """A word that came before was left out; it need not be merged again, but its tokens are tokens again."""
    return _gpt2(text, ranks, list(dict.fromkeys(_words(text))))


@mistake(of="gpt2_tokenize")
def ignored_lone_surrogates(text, ranks):
    """What cannot be encoded was ignored; text that is silently lost will not be found missing."""
    if isinstance(text, str):
        text = text.encode("utf-8", errors="ignore").decode()
    return right.gpt2_tokenize(text, ranks)


@mistake(of="gpt2_tokenize")
def replaced_lone_surrogates(text, ranks):
    """What cannot be encoded became a question mark that was never written; the caller should hear of it."""
    if isinstance(text, str):
        text = text.encode("utf-8", errors="replace").decode()
    return right.gpt2_tokenize(text, ranks)


@mistake(of="gpt2_tokenize")
def encoded_lone_surrogates(text, ranks):
    """With errors="surrogatepass" half a character gets bytes that are no UTF-8; the caller should hear of it."""
    if not isinstance(text, str) or not re.search("[\ud800-\udfff]", text):
        return right.gpt2_tokenize(text, ranks)
    text = text.encode("utf-8", errors="surrogatepass").decode("latin-1")
    alphabet = right.byte_alphabet()
    return _gpt2(text, ranks, _words(text), write=lambda word: [alphabet[ord(char)] for char in word])


@mistake(of="gpt2_tokenize")
def gpt2_of_anything(text, ranks):
    """`str(text)` makes a text of None, bytes and lists, where the caller should hear of it."""
    return right.gpt2_tokenize(str(text), ranks)


# ── gpt2_detokenize ─────────────────────────────────────────────────────────────────────────────────────────────


def _bytes_of(tokens):
    right.gpt2_detokenize(tokens)
    byte_of = {char: byte for byte, char in right.byte_alphabet().items()}
    return bytes(byte_of[char] for char in "".join(tokens))


@mistake(of="gpt2_detokenize")
def joined_with_spaces(tokens):
    """A space was put between the tokens; the spaces are in them already, as Ġ."""
    right.gpt2_detokenize(tokens)
    return " ".join(map(right.gpt2_detokenize, tokens))


@mistake(of="gpt2_detokenize")
def replaced_the_space_only(tokens):
    """Only Ġ was replaced by a space; every character stands for a byte, and the bytes are UTF-8."""
    right.gpt2_detokenize(tokens)
    return "".join(tokens).replace("Ġ", " ")


@mistake(of="gpt2_detokenize")
def replaced_spaces_and_newlines_only(tokens):
    """Only Ġ and Ċ were replaced; every character stands for a byte, and the bytes are UTF-8."""
    right.gpt2_detokenize(tokens)
    return "".join(tokens).replace("Ġ", " ").replace("Ċ", "\n")


@mistake(of="gpt2_detokenize")
def read_bytes_as_characters(tokens):
    """Every byte became a character, as in Latin-1; the bytes are UTF-8, where é is two of them."""
    return _bytes_of(tokens).decode("latin-1")


@mistake(of="gpt2_detokenize")
def decoded_token_by_token(tokens):
    """Each token was decoded by itself, but a character's bytes may lie in several: join the bytes first."""
    right.gpt2_detokenize(tokens)
    return "".join(right.gpt2_detokenize([token]) for token in tokens)


@mistake(of="gpt2_detokenize")
def ignored_broken_characters(tokens):
    """Bytes that are no UTF-8 were left out; each should be seen, as U+FFFD."""
    return _bytes_of(tokens).decode("utf-8", errors="ignore")


@mistake(of="gpt2_detokenize")
def failed_on_broken_characters(tokens):
    """Bytes that are no UTF-8 raise an error; U+FFFD should stand for them."""
    return _bytes_of(tokens).decode("utf-8")


@mistake(of="gpt2_detokenize")
def escaped_broken_characters(tokens):
    r"""Bytes that are no UTF-8 became escapes such as \\xf0; U+FFFD is what stands for them."""
    return _bytes_of(tokens).decode("utf-8", errors="backslashreplace")


@mistake(of="gpt2_detokenize")
def stripped_the_text(tokens):
    """White space at the ends was stripped; the text should come back exactly as it was."""
    return right.gpt2_detokenize(tokens).strip()


@mistake(of="gpt2_detokenize")
def stripped_the_left(tokens):
    """The space before the first word was taken away; the text should come back exactly as it was."""
    return right.gpt2_detokenize(tokens).removeprefix(" ")


@mistake(of="gpt2_detokenize")
def skipped_other_characters(tokens):
    """Characters that stand for no byte were skipped; whoever passes them should hear of it."""
    alphabet = set(right.byte_alphabet().values())
    return right.gpt2_detokenize(["".join(char for char in token if char in alphabet) for token in tokens])


@mistake(of="gpt2_detokenize")
def passed_other_characters_on(tokens):
    """Characters that stand for no byte were taken for themselves; whoever passes them should hear of it."""
    byte_of = {char: bytes([byte]) for byte, char in right.byte_alphabet().items()}
    return b"".join(byte_of.get(char, char.encode()) for char in "".join(tokens)).decode("utf-8", errors="replace")


@mistake(of="gpt2_detokenize")
def left_it_to_the_dict(tokens):
    """A KeyError came from the dict; the docstring asks for a ValueError that shows the character."""
    byte_of = {char: byte for byte, char in right.byte_alphabet().items()}
    return bytes(byte_of[char] for char in "".join(tokens)).decode("utf-8", errors="replace")


# ── compare_tokenizers ──────────────────────────────────────────────────────────────────────────────────────────


def _report(
    texts,
    tokenizers,
    *,
    words=lambda text: text.split(),
    marks=False,
    clean=False,
    same=lambda a, b: a == b,
    unknown=None,
    shares=lambda tokens, words, unknown, same, n: (tokens / words, unknown / tokens if tokens else 0.0, same / n),
):
    """The right answer, with its parts to be replaced."""
    right.compare_tokenizers(texts, {})
    report = {}
    for name, tokenizer in tokenizers.items():
        n_words = n_tokens = n_unknown = n_same = 0
        for text in texts:
            ids = tokenizer.encode(text, add_special_tokens=marks)
            n_words += len(words(text))
            n_tokens += len(ids)
            n_unknown += unknown(ids, tokenizer) if unknown else ids.count(tokenizer.unk_token_id)
            bare = tokenizer.encode(text, add_special_tokens=marks)
            n_same += same(tokenizer.decode(bare, clean_up_tokenization_spaces=clean), text)
        keys = "tokens_per_word", "unknown_share", "round_trip_share"
        report[name] = dict(zip(keys, shares(n_tokens, n_words, n_unknown, n_same, len(texts)), strict=True))
    return report


@mistake(of="compare_tokenizers")
def counted_special_tokens(texts, tokenizers):
    """Special tokens were counted, and are in the decoded text; encode with add_special_tokens=False."""
    return _report(texts, tokenizers, marks=True)


@mistake(of="compare_tokenizers")
def counted_special_tokens_as_tokens(texts, tokenizers):
    """Special tokens were counted as tokens; encode with add_special_tokens=False."""
    report = right.compare_tokenizers(texts, tokenizers)
    counted = _report(texts, tokenizers, marks=True)
    for name in report:
        report[name] |= {key: counted[name][key] for key in ("tokens_per_word", "unknown_share")}
    return report


@mistake(of="compare_tokenizers")
def decoded_special_tokens(texts, tokenizers):
    """The decoded text has special tokens in it, so it equals no text; encode with add_special_tokens=False."""
    report = right.compare_tokenizers(texts, tokenizers)
    marked = _report(texts, tokenizers, marks=True)
    for name in report:
        report[name]["round_trip_share"] = marked[name]["round_trip_share"]
    return report


@mistake(of="compare_tokenizers")
def cleaned_the_spaces_up(texts, tokenizers):
    """`decode` cleaned the spaces before punctuation up, so the text is not what the tokens say."""
    return _report(texts, tokenizers, clean=True)


@mistake(of="compare_tokenizers")
def counted_words_by_tokens(texts, tokenizers):
    """The words were counted as tokens, so that there is always one token a word; words are `text.split()`."""
    return _report(texts, tokenizers, shares=lambda t, w, u, s, n: (1.0 if t else 0.0, u / t if t else 0.0, s / n))


@mistake(of="compare_tokenizers")
def split_at_single_spaces(texts, tokenizers):
    """`text.split(" ")` counts an empty word between any two spaces; the words are `text.split()`."""
    return _report(texts, tokenizers, words=lambda text: text.split(" "))


@mistake(of="compare_tokenizers")
def counted_characters_for_words(texts, tokenizers):
    """The tokens were divided by the number of characters; it is words that count, `text.split()`."""
    return _report(texts, tokenizers, words=len)


@mistake(of="compare_tokenizers")
def counted_texts_for_words(texts, tokenizers):
    """The tokens were divided by the number of texts; it is words that count, `text.split()`."""
    return _report(texts, tokenizers, shares=lambda t, w, u, s, n: (t / n, u / t if t else 0.0, s / n))


@mistake(of="compare_tokenizers")
def words_per_token(texts, tokenizers):
    """The ratio is upside down: tokens over words is asked for."""
    return _report(texts, tokenizers, shares=lambda t, w, u, s, n: (w / t if t else 0.0, u / t if t else 0.0, s / n))


@mistake(of="compare_tokenizers")
def share_of_texts_with_unknown(texts, tokenizers):
    """The share of texts that hold something unknown was given; unknown tokens over all tokens is asked for."""
    return _report(
        texts,
        tokenizers,
        unknown=lambda ids, tokenizer: tokenizer.unk_token_id in ids,
        shares=lambda t, w, u, s, n: (t / w, u / n, s / n),
    )


@mistake(of="compare_tokenizers")
def counted_unknown_once_a_text(texts, tokenizers):
    """Unknown tokens were counted once a text; each of them counts."""
    return _report(texts, tokenizers, unknown=lambda ids, tokenizer: tokenizer.unk_token_id in ids)


@mistake(of="compare_tokenizers")
def unknown_over_words(texts, tokenizers):
    """The unknown tokens were divided by the number of words; it should be by that of tokens."""
    return _report(texts, tokenizers, shares=lambda t, w, u, s, n: (t / w, u / w, s / n))


@mistake(of="compare_tokenizers")
def averaged_over_texts(texts, tokenizers):
    """Each text's own ratios were averaged; all tokens over all words, so that a long text counts for more."""
    each = [_report([text], tokenizers) for text in texts if text.split()]
    report = right.compare_tokenizers(texts, tokenizers)
    for name in report:
        for key in ("tokens_per_word", "unknown_share"):
            report[name][key] = sum(one[name][key] for one in each) / len(each)
    return report


@mistake(of="compare_tokenizers")
def ignored_case_and_ends(texts, tokenizers):
    """The texts were compared in lower case; only what comes back exactly has made the round trip."""
    return _report(texts, tokenizers, same=lambda a, b: a.lower() == b.lower())


@mistake(of="compare_tokenizers")
def counted_round_trips(texts, tokenizers):
    """The round trips were counted, not divided by the number of texts; a share lies between 0 and 1."""
    return _report(texts, tokenizers, shares=lambda t, w, u, s, n: (t / w, u / t if t else 0.0, float(s)))


@mistake(of="compare_tokenizers")
def divided_by_no_tokens(texts, tokenizers):
    """Where there is no token the share of unknown ones was divided by 0; it should be 0.0."""
    return _report(texts, tokenizers, shares=lambda t, w, u, s, n: (t / w, u / t, s / n))


@mistake(of="compare_tokenizers")
def divided_by_no_words(texts, tokenizers):
    """Texts without a word end in a division by 0; the docstring asks for a ValueError."""
    if not any(text.split() for text in texts):
        return 1 / sum(len(text.split()) for text in texts)
    return right.compare_tokenizers(texts, tokenizers)


@mistake(of="compare_tokenizers")
def made_up_shares_of_nothing(texts, tokenizers):
    """Texts without a word were given zeros; there is nothing to measure, and the caller should hear of it."""
    if not any(text.split() for text in texts):
        zeros = dict.fromkeys(("tokens_per_word", "unknown_share", "round_trip_share"), 0.0)
        return {name: dict(zeros) for name in tokenizers}
    return right.compare_tokenizers(texts, tokenizers)


# ── train_bpe ───────────────────────────────────────────────────────────────────────────────────────────────────


def _train(
    word_counts,
    n_merges,
    *,
    count=lambda symbols, times: Counter({p: n * times for p, n in Counter(pairwise(symbols)).items()}),
    choose=lambda pairs: min(pairs, key=lambda pair: (-pairs[pair], pair)),
    merge=lambda symbols, pair: right.apply_bpe(symbols, {pair: 0}),
):
    """The right answer, with its parts to be replaced."""
    right.train_bpe({}, n_merges)
    words, merges = {word: list(word) for word in word_counts}, []
    while len(merges) < n_merges:
        pairs = Counter()
        for word, symbols in words.items():
            pairs.update(count(symbols, word_counts[word]))
        if not pairs:
            break
        best = choose(pairs)
        if best is None:
            break
        merges.append(best)
        words = {word: merge(symbols, best) for word, symbols in words.items()}
    return merges


@mistake(of="train_bpe")
def ignored_the_counts(word_counts, n_merges):
    """Every word counted once; a pair counts as often as the word that holds it occurs."""
    return _train(word_counts, n_merges, count=lambda symbols, times: Counter(pairwise(symbols)))


@mistake(of="train_bpe")
def last_of_the_ties(word_counts, n_merges):
    """Of equally frequent pairs the last in the alphabet was merged; it should be the first."""
    return _train(word_counts, n_merges, choose=lambda pairs: max(pairs, key=lambda pair: (pairs[pair], pair)))


@mistake(of="train_bpe")
def first_seen_of_the_ties(word_counts, n_merges):
    """Of equally frequent pairs the one that was seen first was merged; it should be the first in the alphabet."""
    return _train(word_counts, n_merges, choose=lambda pairs: max(pairs, key=pairs.get))


@mistake(of="train_bpe")
def last_seen_of_the_ties(word_counts, n_merges):
    """Of equally frequent pairs the one that was seen last was merged; it should be the first in the alphabet."""
    return _train(word_counts, n_merges, choose=lambda pairs: max(reversed(pairs), key=pairs.get))


@mistake(of="train_bpe")
def never_counted_again(word_counts, n_merges):
    """The pairs were counted once, at the start; after every merge there are new pairs, and others are fewer."""
    right.train_bpe({}, n_merges)
    pairs = Counter()
    for word, times in word_counts.items():
        for pair in pairwise(word):
            pairs[pair] += times
    return sorted(pairs, key=lambda pair: (-pairs[pair], pair))[:n_merges]


@mistake(of="train_bpe")
def merged_the_spelling(word_counts, n_merges):
    """Merging by `replace` in `"x a b"` hits parts of symbols too; compare whole symbols."""
    return _train(
        word_counts,
        n_merges,
        merge=lambda symbols, pair: " ".join(symbols).replace(" ".join(pair), "".join(pair)).split(),
    )


@mistake(of="train_bpe")
def counted_a_pair_once_a_word(word_counts, n_merges):
    """A pair that stands twice in a word was counted once; every position counts."""
    return _train(
        word_counts, n_merges, count=lambda symbols, times: Counter(dict.fromkeys(pairwise(symbols), times))
    )


@mistake(of="train_bpe")
def skipped_overlapping_pairs(word_counts, n_merges):
    """Overlapping pairs were counted once; `aaa` holds `a a` at two positions, and both count."""

    def count(symbols, times):
        pairs, i = Counter(), 0
        while i + 1 < len(symbols):
            pairs[symbols[i], symbols[i + 1]] += times
            i += 2 if tuple(symbols[i : i + 2]) == tuple(symbols[i + 1 : i + 3]) else 1
        return pairs

    return _train(word_counts, n_merges, count=count)


@mistake(of="train_bpe")
def stopped_at_pairs_seen_once(word_counts, n_merges):
    """It stopped when the best pair occurs only once; there are pairs left, so go on up to n_merges."""

    def choose(pairs):
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        return best if pairs[best] > 1 else None

    return _train(word_counts, n_merges, choose=choose)


@mistake(of="train_bpe")
def merged_the_first_occurrence(word_counts, n_merges):
    """In each word only the first occurrence of the pair was merged; all of them should be."""

    def merge(symbols, pair):
        found = [i for i, here in enumerate(pairwise(symbols)) if here == pair][:1]
        return [*symbols[: found[0]], "".join(pair), *symbols[found[0] + 2 :]] if found else symbols

    return _train(word_counts, n_merges, merge=merge)


@mistake(of="train_bpe")
def joined_the_pairs(word_counts, n_merges):
    """The merged symbols came back; the pairs are asked for, since `apply_bpe` needs to know which two to merge."""
    return ["".join(pair) for pair in right.train_bpe(word_counts, n_merges)]


@mistake(of="train_bpe")
def least_frequent_first(word_counts, n_merges):
    """The rarest pair was merged; it should be the most frequent."""
    return _train(word_counts, n_merges, choose=lambda pairs: min(pairs, key=lambda pair: (pairs[pair], pair)))


@mistake(of="train_bpe")
def never_ran_out_of_pairs(word_counts, n_merges):
    """When no pair is left there is no most frequent one: return the merges there are."""
    merges = right.train_bpe(word_counts, n_merges)
    return merges if len(merges) == n_merges else max([])


@mistake(of="train_bpe")
def accepted_negative_merges(word_counts, n_merges):
    """A negative n_merges was accepted; it cannot be meant, so refuse it."""
    return right.train_bpe(word_counts, max(n_merges, 0))


@mistake(of="train_bpe")
def one_merge_too_many(word_counts, n_merges):
    """There is one merge more than was asked for."""
    return right.train_bpe(word_counts, n_merges if n_merges < 0 else n_merges + 1)


# ── encode_batch ────────────────────────────────────────────────────────────────────────────────────────────────


def _batch(token_lists, vocab, max_length, *, row=None, left=False, longest=None):
    """The right answer, with its parts to be replaced."""
    right.encode_batch(token_lists, vocab, max_length)
    rows = [(row or _row)(list(tokens), max_length) for tokens in token_lists]
    width = longest or max(map(len, rows))
    ids = np.full((len(rows), width), vocab["[PAD]"], dtype=np.int64)
    mask = np.zeros_like(ids)
    for i, tokens in enumerate(rows):
        place = slice(width - len(tokens), None) if left else slice(len(tokens))
        ids[i, place] = [vocab.get(token, vocab["[UNK]"]) for token in tokens]
        mask[i, place] = 1
    return {"input_ids": ids, "attention_mask": mask}


def _row(tokens, max_length):
    return ["[CLS]", *tokens[: max_length - 2], "[SEP]"]


@mistake(of="encode_batch")
def padded_on_the_left(token_lists, vocab, max_length):
    """Padding stands on the left; BERT's positions count from the first token, so it belongs on the right."""
    return _batch(token_lists, vocab, max_length, left=True)


@mistake(of="encode_batch")
def truncated_the_end_mark(token_lists, vocab, max_length):
    """The row was truncated after [SEP] was added, so that it is lost; truncate the tokens, then frame them."""
    return _batch(token_lists, vocab, max_length, row=lambda t, n: ["[CLS]", *t, "[SEP]"][:n])


@mistake(of="encode_batch")
def marks_not_counted(token_lists, vocab, max_length):
    """Special tokens were not counted: with them rows are up to two longer than max_length."""
    return _batch(token_lists, vocab, max_length, row=lambda t, n: ["[CLS]", *t[:n], "[SEP]"])


@mistake(of="encode_batch")
def one_token_too_few(token_lists, vocab, max_length):
    """Room was left for three special tokens; [CLS] and [SEP] are two."""
    return _batch(token_lists, vocab, max_length, row=lambda t, n: ["[CLS]", *t[: max(n - 3, 0)], "[SEP]"])


@mistake(of="encode_batch")
def never_truncated(token_lists, vocab, max_length):
    """Rows longer than max_length were not truncated; the model has no position for what is beyond."""
    return _batch(token_lists, vocab, max_length, row=lambda t, n: ["[CLS]", *t, "[SEP]"])


@mistake(of="encode_batch")
def kept_the_tail(token_lists, vocab, max_length):
    """The tokens at the beginning were left out; the ones at the end should be."""
    return _batch(
        token_lists, vocab, max_length, row=lambda t, n: ["[CLS]", *(t[-(n - 2) :] if n > 2 else []), "[SEP]"]
    )


@mistake(of="encode_batch")
def padded_to_max_length(token_lists, vocab, max_length):
    """Rows were padded to max_length; the longest row there is suffices, and the model computes less."""
    return _batch(token_lists, vocab, max_length, longest=max_length)


@mistake(of="encode_batch")
def forgot_the_marks(token_lists, vocab, max_length):
    """[CLS] and [SEP] are missing; BERT was trained with them around every text."""
    return _batch(token_lists, vocab, max_length, row=lambda t, n: t[: n - 2])


@mistake(of="encode_batch")
def forgot_the_end_mark(token_lists, vocab, max_length):
    """[SEP] is missing at the end of the rows."""
    return _batch(token_lists, vocab, max_length, row=lambda t, n: ["[CLS]", *t[: n - 2]])


@mistake(of="encode_batch")
def inverted_the_mask(token_lists, vocab, max_length):
    """The attention mask is inverted: 1 is for a token, 0 for padding."""
    batch = right.encode_batch(token_lists, vocab, max_length)
    return batch | {"attention_mask": 1 - batch["attention_mask"]}


@mistake(of="encode_batch")
def masked_nothing(token_lists, vocab, max_length):
    """The attention mask is 1 everywhere; padding should be 0, so that nobody attends to it."""
    batch = right.encode_batch(token_lists, vocab, max_length)
    return batch | {"attention_mask": np.ones_like(batch["input_ids"])}


@mistake(of="encode_batch")
def masked_the_marks(token_lists, vocab, max_length):
    """The special tokens have 0 in the attention mask; the model reads them, so they have 1."""
    batch = right.encode_batch(token_lists, vocab, max_length)
    marks = np.isin(batch["input_ids"], [vocab["[CLS]"], vocab["[SEP]"]])
    return batch | {"attention_mask": np.where(marks, 0, batch["attention_mask"])}


@mistake(of="encode_batch")
def mask_of_ids_that_are_not_zero(token_lists, vocab, max_length):
    """The mask was made by `input_ids != 0`; that is right only where [PAD] has id 0 and nothing else has."""
    batch = right.encode_batch(token_lists, vocab, max_length)
    return batch | {"attention_mask": (batch["input_ids"] != 0).astype(np.int64)}


@mistake(of="encode_batch")
def padded_with_zeros(token_lists, vocab, max_length):
    """Rows were padded with 0; the id of [PAD] is in the vocabulary, and need not be 0."""
    batch = right.encode_batch(token_lists, vocab, max_length)
    return batch | {"input_ids": batch["input_ids"] * batch["attention_mask"]}


@mistake(of="encode_batch")
def failed_on_unknown_tokens(token_lists, vocab, max_length):
    """A token that is not in the vocabulary raises KeyError; it should get the id of [UNK]."""
    right.encode_batch(token_lists, vocab, max_length)
    for tokens in token_lists:
        for token in tokens:
            vocab[token]
    return right.encode_batch(token_lists, vocab, max_length)


@mistake(of="encode_batch")
def left_unknown_tokens_out(token_lists, vocab, max_length):
    """Tokens that are not in the vocabulary were left out; each should get the id of [UNK]."""
    known = [[token for token in tokens if token in vocab] for tokens in token_lists]
    return right.encode_batch(known, vocab, max_length)


@mistake(of="encode_batch")
def unknown_tokens_became_padding(token_lists, vocab, max_length):
    """Tokens that are not in the vocabulary got the id 0 or [PAD]'s; they should get the id of [UNK]."""
    return right.encode_batch(token_lists, vocab | {"[UNK]": vocab["[PAD]"]}, max_length)


@mistake(of="encode_batch")
def gave_int32(token_lists, vocab, max_length):
    """The arrays are int32; models take int64 ids."""
    return {
        name: array.astype(np.int32) for name, array in right.encode_batch(token_lists, vocab, max_length).items()
    }


@mistake(of="encode_batch")
def gave_a_mask_of_bool(token_lists, vocab, max_length):
    """The attention mask is bool; it should be int64, as the tokenizer gives it."""
    batch = right.encode_batch(token_lists, vocab, max_length)
    return batch | {"attention_mask": batch["attention_mask"] == 1}


@mistake(of="encode_batch")
def gave_lists(token_lists, vocab, max_length):
    """Lists came back; arrays are asked for."""
    return {name: array.tolist() for name, array in right.encode_batch(token_lists, vocab, max_length).items()}


@mistake(of="encode_batch")
def accepted_too_little_room(token_lists, vocab, max_length):
    """A max_length without room for [CLS] and [SEP] was accepted; there is no such row, so refuse it."""
    return right.encode_batch(token_lists, vocab, max(max_length, 2))


@mistake(of="encode_batch")
def accepted_no_texts(token_lists, vocab, max_length):
    """A batch of no texts was accepted; there is nothing to be done with it, so refuse it."""
    if len(token_lists) == 0 and max_length >= 2:
        return {name: np.zeros((0, 0), dtype=np.int64) for name in ("input_ids", "attention_mask")}
    return right.encode_batch(token_lists, vocab, max_length)


# ── align_labels ────────────────────────────────────────────────────────────────────────────────────────────────


@mistake(of="align_labels")
def labelled_every_piece(word_labels, word_ids):
    """Every piece of a word has its label; only the first should, so that long words do not count more."""
    right.align_labels(word_labels, word_ids)
    return [-100 if word is None else word_labels[word] for word in word_ids]


@mistake(of="align_labels")
def labelled_the_last_piece(word_labels, word_ids):
    """The last piece of a word has its label; the first should."""
    return right.align_labels(word_labels, word_ids[::-1])[::-1]


@mistake(of="align_labels")
def shifted_by_the_first_mark(word_labels, word_ids):
    """Labels were given out by position, not by word id: they are off by the special token and by pieces."""
    right.align_labels(word_labels, word_ids)
    padded = [*word_labels, *[-100] * len(word_ids)]
    return [-100 if word is None else padded[place] for place, word in enumerate(word_ids)]


@mistake(of="align_labels")
def took_word_zero_for_none(word_labels, word_ids):
    """Word 0 was taken for a special token: 0 is false in Python, so ask `word_id is None`."""
    labels = right.align_labels(word_labels, word_ids)
    return [label if word else -100 for label, word in zip(labels, word_ids, strict=True)]


@mistake(of="align_labels")
def handed_labels_out_in_order(word_labels, word_ids):
    """Labels were handed out one after the other; a word may have no token, and then its label is skipped."""
    right.align_labels(word_labels, word_ids)
    labels, remaining, previous = [], iter(word_labels), None
    for word in word_ids:
        labels.append(-100 if word is None or word == previous else next(remaining))
        previous = word
    return labels


@mistake(of="align_labels")
def zero_for_special_tokens(word_labels, word_ids):
    """Special tokens have label 0, which is a class; −100 is what the loss ignores."""
    labels = right.align_labels(word_labels, word_ids)
    return [0 if word is None else label for label, word in zip(labels, word_ids, strict=True)]


@mistake(of="align_labels")
def zero_for_later_pieces(word_labels, word_ids):
    """Later pieces have label 0, which is a class; −100 is what the loss ignores."""
    labels = right.align_labels(word_labels, word_ids)
    pairs = zip(labels, word_ids, ["", *word_ids][:-1], strict=True)
    return [0 if word is not None and word == previous else label for label, word, previous in pairs]


@mistake(of="align_labels")
def minus_one_to_be_ignored(word_labels, word_ids):
    """−1 stands where nothing is to be learned; the loss ignores −100."""
    labels = right.align_labels(word_labels, word_ids)
    return [-1 if label == -100 else label for label in labels]


@mistake(of="align_labels")
def left_special_tokens_out(word_labels, word_ids):
    """Special tokens were left out; there should be a label for each token, theirs −100."""
    labels = right.align_labels(word_labels, word_ids)
    return [label for label, word in zip(labels, word_ids, strict=True) if word is not None]


@mistake(of="align_labels")
def one_label_for_each_word(word_labels, word_ids):
    """Later pieces were left out; there should be a label for each token, theirs −100."""
    labels = right.align_labels(word_labels, word_ids)
    pairs = zip(labels, word_ids, ["", *word_ids][:-1], strict=True)
    return [label for label, word, previous in pairs if word is None or word != previous]


@mistake(of="align_labels")
def compared_labels_of_neighbours(word_labels, word_ids):
    """A word with the label of the word before it was taken for a piece of that; compare word ids."""
    right.align_labels(word_labels, word_ids)
    labels, previous = [], None
    for word in word_ids:
        label = None if word is None else word_labels[word]
        labels.append(-100 if label is None or label == previous else label)
        previous = label
    return labels


@mistake(of="align_labels")
def counted_back_from_the_end(word_labels, word_ids):
    """Word −1 got the last label, for Python counts back from the end; there is no such word, so refuse it."""
    if any(word is not None and word < 0 for word in word_ids) and len(word_labels):
        kept = [word if word is None or word >= 0 else word % len(word_labels) for word in word_ids]
        return right.align_labels(word_labels, kept)
    return right.align_labels(word_labels, word_ids)


@mistake(of="align_labels")
def left_it_to_the_list(word_labels, word_ids):
    """An IndexError came from the list; the docstring asks for a ValueError that shows the word id."""
    for word in word_ids:
        if word is not None and word >= len(word_labels):
            word_labels[word]
    return right.align_labels(word_labels, word_ids)


@mistake(of="align_labels")
def ignored_words_without_a_label(word_labels, word_ids):
    """Words without a label got −100; they belong to another sentence, and the caller should hear of it."""
    kept = [word if word is None or 0 <= word < len(word_labels) else None for word in word_ids]
    return right.align_labels(word_labels, kept)
