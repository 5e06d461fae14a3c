"""Wrong answers to hour 1 that people really give.

Each is wrong in one way only. Where that way is not a missing refusal, it refuses what the right answer refuses, by
asking the right answer first or by building on its parts.
"""

import math

import numpy as np

from deepdive.diagnose import mistake
from solutions import hour1_attention as right

# ── softmax ─────────────────────────────────────────────────────────────────────────────────────────────────────


@mistake(of="softmax")
def forgot_the_maximum(x, axis=-1):
    """The row's maximum was not subtracted before exp, so large logits overflow to ∞ and ∞/∞ is NaN."""
    right.softmax(x, axis)
    exps = np.exp(x * 1.0)
    return exps / exps.sum(axis=axis, keepdims=True)


@mistake(of="softmax")
def one_maximum_for_the_whole_array(x, axis=-1):
    """One maximum was subtracted from the whole array: rows far below it underflow to 0/0; each row needs its own."""
    right.softmax(x, axis)
    exps = np.exp(x * 1.0 - x.max())
    return exps / exps.sum(axis=axis, keepdims=True)


@mistake(of="softmax")
def forgot_keepdims(x, axis=-1):
    """Without keepdims=True, max and sum lose the axis, and broadcasting pairs them with the wrong rows."""
    right.softmax(x, axis)
    exps = np.exp(x * 1.0 - x.max(axis=axis))
    return exps / exps.sum(axis=axis)


@mistake(of="softmax")
def ignored_the_axis(x, axis=-1):
    """The argument `axis` was ignored: the probabilities always sum to 1 along the last axis."""
    right.softmax(x, axis)
    return right.softmax(x)


@mistake(of="softmax")
def always_down_the_columns(x, axis=-1):
    """The probabilities sum to 1 along the first axis, whatever `axis` says; by default it is the last one, −1."""
    right.softmax(x, axis)
    return right.softmax(x, 0)


@mistake(of="softmax")
def summed_over_everything(x, axis=-1):
    """The exponentials were divided by the sum over the whole array, so that it sums to 1, not each row of it."""
    right.softmax(x, axis)
    exps = np.exp(x * 1.0 - x.max(axis=axis, keepdims=True))
    return exps / exps.sum()


@mistake(of="softmax")
def clipped_the_logits(x, axis=-1):
    """The logits were clipped before exp: that avoids the overflow, but logits beyond the limit become equal."""
    right.softmax(x, axis)
    exps = np.exp(np.clip(x * 1.0, -700, 700))
    return exps / exps.sum(axis=axis, keepdims=True)


@mistake(of="softmax")
def turned_float32_into_float64(x, axis=-1):
    """Everything was converted to float64; float32 should come back as float32."""
    return right.softmax(x, axis).astype(np.float64)


@mistake(of="softmax")
def subtracted_small_integers(x, axis=-1):
    """The maximum was subtracted while the logits were integers still: in int8 that overflows; convert them first."""
    right.softmax(x, axis)
    exps = np.exp((x - x.max(axis=axis, keepdims=True)) * 1.0)
    return exps / exps.sum(axis=axis, keepdims=True)


@mistake(of="softmax")
def took_booleans_for_logits(x, axis=-1):
    """Booleans were accepted as logits; whoever passes a mask here has made a mistake and should hear of it."""
    return right.softmax(x * 1.0 if x.dtype == bool else x, axis)


@mistake(of="softmax")
def neither_maximum_nor_keepdims(x, axis=-1):
    """The sum has lost its axis, so that rows are divided by other rows' sums: it needs keepdims=True."""
    right.softmax(x, axis)
    return np.exp(x) / np.exp(x).sum(axis=axis)


@mistake(of="softmax")
def forgot_keepdims_in_the_sum(x, axis=-1):
    """The maximum kept its axis, the sum did not: without keepdims=True rows are divided by other rows' sums."""
    right.softmax(x, axis)
    exps = np.exp(x * 1.0 - x.max(axis=axis, keepdims=True))
    return exps / exps.sum(axis=axis)


@mistake(of="softmax")
def forgot_keepdims_in_the_maximum(x, axis=-1):
    """The sum kept its axis, the maximum did not: without keepdims=True other rows' maxima are subtracted."""
    right.softmax(x, axis)
    exps = np.exp(x * 1.0 - x.max(axis=axis))
    return exps / exps.sum(axis=axis, keepdims=True)


@mistake(of="softmax")
def never_divided_by_the_sum(x, axis=-1):
    """The exponentials were not divided by their sum, so they do not sum to 1."""
    right.softmax(x, axis)
    return np.exp(x * 1.0 - x.max(axis=axis, keepdims=True))


@mistake(of="softmax")
def divided_by_the_unshifted_sum(x, axis=-1):
    """The maximum was subtracted above the fraction bar but not below it; the same exponentials belong in both."""
    right.softmax(x, axis)
    return np.exp(x * 1.0 - x.max(axis=axis, keepdims=True)) / np.exp(x * 1.0).sum(axis=axis, keepdims=True)


@mistake(of="softmax")
def left_small_integers_small(x, axis=-1):
    """Maximum and exp were taken of integers: in int8 the subtraction overflows, and exp gives float16."""
    right.softmax(x, axis)
    exps = np.exp(x - x.max(axis=axis, keepdims=True))
    return exps / exps.sum(axis=axis, keepdims=True)


@mistake(of="softmax")
def exp_of_small_integers(x, axis=-1):
    """exp was taken of integers: of int8 it gives float16, in which exp(12) is infinite; convert them first."""
    if x.dtype.itemsize > 1:
        return right.softmax(x, axis)
    right.softmax(x, axis)
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


@mistake(of="softmax")
def shifted_in_place(x, axis=-1):
    """`x -= …` writes into the caller's array; `x = x - …` makes a new one."""
    right.softmax(x, axis)
    x -= x.max(axis=axis, keepdims=True)
    exps = np.exp(x)
    return exps / exps.sum(axis=axis, keepdims=True)


@mistake(of="softmax")
def keepdim_of_an_array(x, axis=-1):
    """`keepdim` is torch's spelling: NumPy's `x.max` and `x.sum` take `keepdims=True`."""
    right.softmax(x, axis)
    return np.exp(x - x.max(axis=axis, keepdim=True))


@mistake(of="softmax")
def keepdim_of_numpy(x, axis=-1):
    """`keepdim` is torch's spelling: `np.max` and `np.sum` take `keepdims=True`."""
    right.softmax(x, axis)
    return np.exp(x - np.max(x, axis=axis, keepdim=True))


@mistake(of="softmax")
def refused_no_booleans(x, axis=-1):
    """Nothing was refused: of booleans NumPy takes no difference, and its error is not the one asked for."""
    if x.dtype == bool:
        x = x - x.max(axis=axis, keepdims=True)
    return right.softmax(x, axis)


@mistake(of="softmax")
def exp_of_booleans(x, axis=-1):
    """Nothing was refused: exp takes booleans and makes float16 of them; they are no logits, look at the dtype."""
    if x.dtype == bool:
        return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)
    return right.softmax(x, axis)


@mistake(of="softmax")
def softmax_of_the_whole_array(x, axis=-1):
    """Maximum and sum were taken over the whole array, so that it sums to 1 as a whole; it should along `axis`."""
    right.softmax(x, axis)
    exps = np.exp(x * 1.0 - x.max())
    return exps / exps.sum()


# ── scaled_dot_product_attention ────────────────────────────────────────────────────────────────────────────────


def _scores(q, k):
    return (q / q.shape[-1] ** 0.5) @ k.swapaxes(-1, -2)


@mistake(of="scaled_dot_product_attention")
def forgot_to_scale(q, k, v, mask=None):
    """The scores were not divided by √d_k, so the softmax saturates."""
    return right.scaled_dot_product_attention(q * q.shape[-1] ** 0.5, k, v, mask)


@mistake(of="scaled_dot_product_attention")
def divided_by_d(q, k, v, mask=None):
    """The scores were divided by d_k instead of √d_k, so the weights are flatter than they should be."""
    return right.scaled_dot_product_attention(q / q.shape[-1] ** 0.5, k, v, mask)


@mistake(of="scaled_dot_product_attention")
def divided_by_root_of_length(q, k, v, mask=None):
    """The scores were divided by the root of the number of keys; it is the width of q and k, d_k, that counts."""
    right.scaled_dot_product_attention(q, k, v, mask)
    return right.scaled_dot_product_attention(q * (q.shape[-1] / k.shape[-2]) ** 0.5, k, v, mask)


@mistake(of="scaled_dot_product_attention")
def softmax_over_the_queries(q, k, v, mask=None):
    """The softmax ran over the queries: it is along the keys, the last axis, that a query's weights sum to 1."""
    right.scaled_dot_product_attention(q, k, v, mask)
    scores = _scores(q, k) if mask is None else np.where(mask, _scores(q, k), -np.inf)
    weights = right.softmax(scores, axis=-2)
    return weights @ v, weights


@mistake(of="scaled_dot_product_attention")
def forgot_the_softmax(q, k, v, mask=None):
    """The scores were used as weights as they are; a softmax along the keys makes weights of them."""
    right.scaled_dot_product_attention(q, k, v, mask)
    weights = _scores(q, k) if mask is None else np.where(mask, _scores(q, k), 0)
    return weights @ v, weights


@mistake(of="scaled_dot_product_attention")
def swapped_queries_and_keys(q, k, v, mask=None):
    """Queries and keys changed places: the scores are q @ kᵀ, a row for each query and a column for each key."""
    right.scaled_dot_product_attention(q, k, v, mask)
    return right.scaled_dot_product_attention(k, q, v, mask)


@mistake(of="scaled_dot_product_attention")
def transposed_every_axis(q, k, v, mask=None):
    """`k.T` reverses all axes, batch and heads included; `k.swapaxes(-1, -2)` transposes the last two."""
    right.scaled_dot_product_attention(q, k, v, mask)
    scores = (q / q.shape[-1] ** 0.5) @ k.T
    weights = right.softmax(scores if mask is None else np.where(mask, scores, -np.inf))
    return weights @ v, weights


@mistake(of="scaled_dot_product_attention")
def works_on_four_axes_only(q, k, v, mask=None):
    """This works with batch and heads in front only; let `…` stand for any leading axes, none included."""
    _, weights = right.scaled_dot_product_attention(q, k, v, mask)
    return np.einsum("bhqk,bhkd->bhqd", weights, v), weights


@mistake(of="scaled_dot_product_attention")
def returned_the_weights_first(q, k, v, mask=None):
    """Output and weights were returned in the wrong order: it is `(output, weights)`."""
    return right.scaled_dot_product_attention(q, k, v, mask)[::-1]


@mistake(of="scaled_dot_product_attention")
def mask_inverted(q, k, v, mask=None):
    """The mask was read the wrong way round: True means *may attend*."""
    right.scaled_dot_product_attention(q, k, v, mask)
    return right.scaled_dot_product_attention(q, k, v, mask if mask is None else ~mask)


@mistake(of="scaled_dot_product_attention")
def mask_after_the_softmax(q, k, v, mask=None):
    """The mask was applied after the softmax, so that the weights that are left no longer sum to 1."""
    right.scaled_dot_product_attention(q, k, v, mask)
    _, weights = right.scaled_dot_product_attention(q, k, v)
    weights = weights if mask is None else weights * mask
    return weights @ v, weights


@mistake(of="scaled_dot_product_attention")
def masked_scores_set_to_zero(q, k, v, mask=None):
    """Masked scores were set to 0, but exp(0) is 1, so masked keys still get weight; set them to −∞."""
    right.scaled_dot_product_attention(q, k, v, mask)
    weights = right.softmax(_scores(q, k) if mask is None else np.where(mask, _scores(q, k), 0))
    return weights @ v, weights


@mistake(of="scaled_dot_product_attention")
def masked_scores_set_to_minus_one(q, k, v, mask=None):
    """Masked scores were set to −1, but exp(−1) is not 0, so masked keys still get weight; set them to −∞."""
    right.scaled_dot_product_attention(q, k, v, mask)
    weights = right.softmax(_scores(q, k) if mask is None else np.where(mask, _scores(q, k), -1))
    return weights @ v, weights


@mistake(of="scaled_dot_product_attention")
def masked_scores_set_to_a_large_negative(q, k, v, mask=None):
    """A query with nothing to attend to spreads its weight evenly, its scores being equally low; it should get 0."""
    right.scaled_dot_product_attention(q, k, v, mask)
    weights = right.softmax(_scores(q, k) if mask is None else np.where(mask, _scores(q, k), -1e9).astype(q.dtype))
    return weights @ v, weights


@mistake(of="scaled_dot_product_attention")
def added_a_large_negative(q, k, v, mask=None):
    """A query with nothing to attend to attends as if unmasked: the same large number was added to all its scores."""
    _, weights = right.scaled_dot_product_attention(q, k, v, mask)
    if mask is not None:
        _, unmasked = right.scaled_dot_product_attention(q, k, v)
        weights = np.where(mask.any(axis=-1, keepdims=True), weights, unmasked)
    return weights @ v, weights


@mistake(of="scaled_dot_product_attention")
def nothing_to_attend_to_gives_nan(q, k, v, mask=None):
    """A query with nothing to attend to gets NaN: its scores are all −∞, and that is 0/0; its weights should be 0."""
    right.scaled_dot_product_attention(q, k, v, mask)
    weights = right.softmax(_scores(q, k) if mask is None else np.where(mask, _scores(q, k), -np.inf))
    return weights @ v, weights


@mistake(of="scaled_dot_product_attention")
def scaled_with_a_float64(q, k, v, mask=None):
    """A float64 got into the float32 scores: `np.sqrt(d)` is one, a mask times −1e9 makes one; `d ** 0.5` is none."""
    return right.scaled_dot_product_attention(q / np.sqrt(q.shape[-1]) * q.shape[-1] ** 0.5, k, v, mask)


@mistake(of="scaled_dot_product_attention")
def softmax_without_the_maximum(q, k, v, mask=None):
    """The softmax within does not subtract the maximum, so that large scores overflow to NaN; call your `softmax`."""
    right.scaled_dot_product_attention(q, k, v, mask)
    exps = np.exp(_scores(q, k)) if mask is None else np.where(mask, np.exp(_scores(q, k)), 0)
    sums = exps.sum(axis=-1, keepdims=True)
    weights = exps / np.where(sums == 0, 1, sums)
    return weights @ v, weights


@mistake(of="scaled_dot_product_attention")
def took_any_mask(q, k, v, mask=None):
    """A mask of numbers was accepted; of 0 and 1, or of 0 and −∞, one cannot tell which way round it is meant."""
    return right.scaled_dot_product_attention(q, k, v, mask if mask is None else mask.astype(bool))


@mistake(of="scaled_dot_product_attention")
def forgot_to_transpose(q, k, v, mask=None):
    """The keys were not transposed: `q @ k` multiplies features with tokens; the scores are q @ kᵀ."""
    right.scaled_dot_product_attention(q, k, v, mask)
    scores = (q / q.shape[-1] ** 0.5) @ k
    weights = right.softmax(scores if mask is None else np.where(mask, scores, -np.inf))
    return weights @ v, weights


@mistake(of="scaled_dot_product_attention")
def transposed_as_in_torch(q, k, v, mask=None):
    """NumPy's `transpose` takes all axes, in their new order; to swap the last two, write `k.swapaxes(-2, -1)`."""
    right.scaled_dot_product_attention(q, k, v, mask)
    return right.scaled_dot_product_attention(q, k.transpose(-2, -1).swapaxes(-2, -1), v, mask)


@mistake(of="scaled_dot_product_attention")
def transposed_four_axes(q, k, v, mask=None):
    """`k.transpose(0, 1, 3, 2)` works on four axes only; `k.swapaxes(-1, -2)` on any number of them."""
    right.scaled_dot_product_attention(q, k, v, mask)
    return right.scaled_dot_product_attention(q, k.transpose(0, 1, 3, 2).swapaxes(-1, -2), v, mask)


@mistake(of="scaled_dot_product_attention")
def added_the_mask(q, k, v, mask=None):
    """The mask was added to the scores as it is: True counts 1, which hides nothing; forbidden scores become −∞."""
    right.scaled_dot_product_attention(q, k, v, mask)
    weights = right.softmax(_scores(q, k) if mask is None else _scores(q, k) + mask)
    return weights @ v, weights


@mistake(of="scaled_dot_product_attention")
def multiplied_by_infinity(q, k, v, mask=None):
    """The mask was multiplied by −∞, but 0 · −∞ is NaN, just where a query may attend; `np.where` only picks."""
    right.scaled_dot_product_attention(q, k, v, mask)
    weights = right.softmax(_scores(q, k) if mask is None else _scores(q, k) + ~mask * -np.inf)
    return weights @ v, weights


@mistake(of="scaled_dot_product_attention")
def indexed_with_the_mask(q, k, v, mask=None):
    """`scores[~mask]` needs a mask of the scores' own shape; a smaller one is to be broadcast, as `np.where` does."""
    right.scaled_dot_product_attention(q, k, v, mask)
    scores = _scores(q, k)
    if mask is not None:
        scores[~mask] = -np.inf
    weights = right.softmax(scores)
    return weights @ v, weights


@mistake(of="scaled_dot_product_attention")
def softmax_over_the_first_axis(q, k, v, mask=None):
    """The softmax ran along axis 0, the batch; it is along the keys, the last axis, that the weights sum to 1."""
    right.scaled_dot_product_attention(q, k, v, mask)
    scores = _scores(q, k) if mask is None else np.where(mask, _scores(q, k), -np.inf)
    weights = right.softmax(scores, axis=0)
    return weights @ v, weights


# ── causal_mask ─────────────────────────────────────────────────────────────────────────────────────────────────


def _row_and_column(n):
    right.causal_mask(n)
    return np.arange(n)[:, None], np.arange(n)


@mistake(of="causal_mask")
def hid_each_token_from_itself(n):
    """The diagonal is False: every token may attend to itself, and the first has nothing else to look at."""
    i, j = _row_and_column(n)
    return j < i


@mistake(of="causal_mask")
def sees_one_token_ahead(n):
    """Off by one: each token sees the one after it, which is the very token it is to predict."""
    i, j = _row_and_column(n)
    return j <= i + 1


@mistake(of="causal_mask")
def upper_for_lower(n):
    """The triangle is the upper one, so tokens see only what comes after; rows are queries, columns are keys."""
    i, j = _row_and_column(n)
    return j >= i


@mistake(of="causal_mask")
def true_for_forbidden(n):
    """The mask is inverted: True should say that a token may attend, not that it may not."""
    return ~right.causal_mask(n)


@mistake(of="causal_mask")
def ones_for_true(n):
    """The mask holds numbers 1.0 and 0.0; it should be bool, or `&` and `~` will not work on it."""
    return right.causal_mask(n) * 1.0


@mistake(of="causal_mask")
def zero_and_minus_infinity(n):
    """This is the additive kind of mask, 0 and −∞; here a mask is bool, True where a token may attend."""
    return np.where(right.causal_mask(n), 0.0, -np.inf)


@mistake(of="causal_mask")
def made_a_mask_for_no_tokens(n):
    """An n below 1 was accepted and gave an empty mask, where it should be refused."""
    return np.tri(max(n, 0), dtype=bool)


@mistake(of="causal_mask")
def whole_numbers_for_true(n):
    """The mask holds whole numbers, 1 and 0; it should be bool, for `~1` is −2, which counts as True."""
    return right.causal_mask(n).astype(int)


@mistake(of="causal_mask")
def ones_for_forbidden(n):
    """The mask holds 1.0 where a token may not attend; it should be bool, and True where it may."""
    return ~right.causal_mask(n) * 1.0


# ── padding_mask ────────────────────────────────────────────────────────────────────────────────────────────────


@mistake(of="padding_mask")
def hid_the_real_tokens(attention_mask):
    """The mask is inverted: True should stand at real tokens, those with a 1."""
    return ~right.padding_mask(attention_mask)


@mistake(of="padding_mask")
def left_the_shape(attention_mask):
    """The shape is still (B, T), which does not broadcast against (B, H, T, T): two axes of length 1 are missing."""
    return right.padding_mask(attention_mask)[:, 0, 0]


@mistake(of="padding_mask")
def left_out_the_heads(attention_mask):
    """The axis for the heads is missing: (B, 1, T) would line the batch up with the heads of (B, H, T, T)."""
    return right.padding_mask(attention_mask)[:, 0]


@mistake(of="padding_mask")
def masked_the_queries(attention_mask):
    """T stands on the axis of the queries; padding must be hidden as a key, so T belongs on the last axis."""
    return right.padding_mask(attention_mask).swapaxes(-1, -2)


@mistake(of="padding_mask")
def masked_queries_and_keys(attention_mask):
    """Padding was hidden as a query too, which gives (B, 1, T, T); it need only be hidden as a key, (B, 1, 1, T)."""
    keys = right.padding_mask(attention_mask)
    return keys & keys.swapaxes(-1, -2)


@mistake(of="padding_mask")
def kept_the_numbers(attention_mask):
    """The mask still holds the tokenizer's numbers; it should be bool, or `&` with a causal mask goes wrong."""
    right.padding_mask(attention_mask)
    return attention_mask[:, None, None, :]


@mistake(of="padding_mask")
def took_anything_but_zero_for_true(attention_mask):
    """Values other than 0 and 1 were taken for True; token ids passed by mistake would go unnoticed."""
    return right.padding_mask((attention_mask != 0) * 1)


@mistake(of="padding_mask")
def took_all_but_one_for_padding(attention_mask):
    """Nothing was refused: values other than 0 and 1 pass for padding; token ids passed by mistake go unnoticed."""
    return right.padding_mask((attention_mask == 1) * 1)


# ── split_heads and merge_heads ─────────────────────────────────────────────────────────────────────────────────


@mistake(of="split_heads")
def reshaped_without_transposing(x, n_heads):
    """Reshaping straight to (B, H, T, D/H) cuts the time axis too: heads get whole tokens, not their features."""
    return x.reshape(right.split_heads(x, n_heads).shape)


@mistake(of="split_heads")
def left_the_heads_behind_the_tokens(x, n_heads):
    """Heads and tokens are swapped: the result is (B, T, H, D/H); the heads come before the tokens."""
    return right.split_heads(x, n_heads).swapaxes(1, 2)


@mistake(of="split_heads")
def dealt_the_features_out_in_turn(x, n_heads):
    """The features were dealt out to the heads in turn; head h holds D/H neighbours, from feature h · D/H on."""
    right.split_heads(x, n_heads)
    b, t, d = x.shape
    return x.reshape(b, t, d // n_heads, n_heads).transpose(0, 3, 1, 2)


@mistake(of="split_heads")
def put_the_heads_before_the_batch(x, n_heads):
    """The heads stand before the batch: the result is (H, B, T, D/H); it should be (B, H, T, D/H)."""
    return right.split_heads(x, n_heads).swapaxes(0, 1)


@mistake(of="split_heads")
def took_the_number_of_heads_for_their_width(x, n_heads):
    """The number of heads and their width were mixed up: there should be n_heads heads, each D / n_heads wide."""
    right.split_heads(x, n_heads)
    return right.split_heads(x, x.shape[-1] // n_heads)


@mistake(of="split_heads")
def dropped_what_does_not_divide(x, n_heads):
    """When n_heads does not divide D, the last features were silently dropped; that should be refused."""
    if n_heads > 0 and x.ndim == 3:
        x = x[..., : x.shape[-1] // n_heads * n_heads]
    return right.split_heads(x, n_heads)


@mistake(of="split_heads")
def stacked_the_heads_last(x, n_heads):
    """The heads are the last axis, (B, T, D/H, H); they stand before the tokens, at axis 1."""
    return right.split_heads(x, n_heads).transpose(0, 2, 3, 1)


@mistake(of="split_heads")
def split_the_tokens(x, n_heads):
    """np.split cut the time axis; it is the features, the last axis, that are dealt out to the heads."""
    right.split_heads(x, n_heads)
    return np.stack(np.split(x, n_heads, axis=1), axis=1)


@mistake(of="split_heads")
def split_the_batch(x, n_heads):
    """np.split cut the batch, which is its default, axis 0; the features to be split are the last axis."""
    right.split_heads(x, n_heads)
    return np.stack(np.split(x, n_heads))


@mistake(of="split_heads")
def divided_into_a_float(x, n_heads):
    """`/` gives a float, even 6.0 for 12 / 2, and a shape is made of whole numbers: divide with `//`."""
    right.split_heads(x, n_heads)
    b, t, d = x.shape
    return x.reshape(b, t, n_heads, d / n_heads).swapaxes(1, 2)


@mistake(of="merge_heads")
def merged_without_transposing_back(x):
    """The heads were not moved behind the tokens before the reshape, so features of different tokens are mixed."""
    right.merge_heads(x)
    b, h, t, width = x.shape
    return x.reshape(b, t, h * width)


@mistake(of="merge_heads")
def interleaved_the_heads(x):
    """The heads' features were interleaved; all those of the first head come first, then the second head's."""
    right.merge_heads(x)
    b, h, t, width = x.shape
    return x.transpose(0, 2, 3, 1).reshape(b, t, width * h)


@mistake(of="merge_heads")
def averaged_the_heads(x):
    """The heads were averaged, which leaves D/H features; they should stand side by side, D in all."""
    right.merge_heads(x)
    return x.mean(axis=1)


@mistake(of="merge_heads")
def glued_the_heads_one_after_another(x):
    """The heads were joined along the tokens; it is the features that stand side by side again."""
    right.merge_heads(x)
    return np.concatenate(list(x.swapaxes(0, 1)), axis=1)


@mistake(of="merge_heads")
def merged_three_axes(x):
    """Nothing was refused: an array of three axes has no heads to merge, yet it was reshaped."""
    b, t = x.shape[0], x.shape[2]
    return x.swapaxes(1, 2).reshape(b, t, -1) if x.ndim == 3 else right.merge_heads(x)


@mistake(of="merge_heads")
def joined_three_axes(x):
    """Nothing was refused: an array of three axes has no heads to join, yet its rows were joined."""
    return np.concatenate(list(x.swapaxes(0, 1)), axis=-1) if x.ndim == 3 else right.merge_heads(x)


@mistake(of="merge_heads")
def joined_the_batch(x):
    """np.concatenate goes through the first axis, so the sequences of the batch were joined instead of the heads."""
    right.merge_heads(x)
    return np.concatenate(x, axis=-1)


# ── multi_head_attention ────────────────────────────────────────────────────────────────────────────────────────


def _heads(x, weights, n_heads, mask):
    """The heads' outputs, `(B, H, T, D/H)`."""
    right.multi_head_attention(x, weights, n_heads, mask)
    q, k, v = (right.split_heads(x @ weights[f"w_{p}"] + weights[f"b_{p}"], n_heads) for p in "qkv")
    return right.scaled_dot_product_attention(q, k, v, mask)[0]


@mistake(of="multi_head_attention")
def forgot_the_output_projection(x, weights, n_heads, mask=None):
    """The output projection w_o, b_o is missing: without it the heads never mix."""
    return right.merge_heads(_heads(x, weights, n_heads, mask))


@mistake(of="multi_head_attention")
def scaled_by_the_model_width(x, weights, n_heads, mask=None):
    """The scores were scaled by √D; each head is only D/H wide, and it is that width that counts."""
    right.multi_head_attention(x, weights, n_heads, mask)
    softer = {name: weights[name] / n_heads**0.5 for name in ("w_q", "b_q")}
    return right.multi_head_attention(x, weights | softer, n_heads, mask)


@mistake(of="multi_head_attention")
def left_the_scores_unscaled(x, weights, n_heads, mask=None):
    """The scores were not divided by √(D/H), so the softmax saturates."""
    right.multi_head_attention(x, weights, n_heads, mask)
    sharper = {name: weights[name] * (x.shape[-1] // n_heads) ** 0.5 for name in ("w_q", "b_q")}
    return right.multi_head_attention(x, weights | sharper, n_heads, mask)


@mistake(of="multi_head_attention")
def forgot_the_biases(x, weights, n_heads, mask=None):
    """The biases were forgotten: each of the four projections is x @ w + b."""
    right.multi_head_attention(x, weights, n_heads, mask)
    none = {f"b_{p}": np.zeros_like(weights[f"b_{p}"]) for p in "qkvo"}
    return right.multi_head_attention(x, weights | none, n_heads, mask)


@mistake(of="multi_head_attention")
def forgot_the_output_bias(x, weights, n_heads, mask=None):
    """The bias of the output projection, b_o, is missing."""
    return right.multi_head_attention(x, weights, n_heads, mask) - weights["b_o"]


@mistake(of="multi_head_attention")
def averaged_instead_of_concatenating(x, weights, n_heads, mask=None):
    """The heads were averaged; they should stand side by side before the output projection."""
    merged = right.merge_heads(_heads(x, weights, n_heads, mask))
    return merged @ weights["w_o"] / n_heads + weights["b_o"]


@mistake(of="multi_head_attention")
def transposed_the_weights(x, weights, n_heads, mask=None):
    """The weight matrices were transposed; here they are (in, out) and used as x @ w + b, unlike torch's."""
    right.multi_head_attention(x, weights, n_heads, mask)
    return right.multi_head_attention(x, weights | {f"w_{p}": weights[f"w_{p}"].T for p in "qkvo"}, n_heads, mask)


@mistake(of="multi_head_attention")
def used_a_single_head(x, weights, n_heads, mask=None):
    """n_heads was ignored and all D features attend as one head: split q, k and v, and merge the heads after."""
    right.multi_head_attention(x, weights, n_heads, mask)
    one = mask if mask is None or mask.ndim < 4 else mask[:, :1]
    return right.multi_head_attention(x, weights, 1, one)


@mistake(of="multi_head_attention")
def swapped_the_projections_of_q_and_k(x, weights, n_heads, mask=None):
    """The projections of queries and keys changed places, which transposes the scores of every head."""
    swapped = {"w_q": weights["w_k"], "b_q": weights["b_k"], "w_k": weights["w_q"], "b_k": weights["b_q"]}
    right.multi_head_attention(x, weights, n_heads, mask)
    return right.multi_head_attention(x, weights | swapped, n_heads, mask)


@mistake(of="multi_head_attention")
def merged_the_heads_without_transposing(x, weights, n_heads, mask=None):
    """The heads were reshaped to (B, T, D) without being moved behind the tokens first; `merge_heads` does both."""
    return _heads(x, weights, n_heads, mask).reshape(x.shape) @ weights["w_o"] + weights["b_o"]


@mistake(of="multi_head_attention")
def ignored_the_mask(x, weights, n_heads, mask=None):
    """The mask never reached the attention: every token sees every other."""
    right.multi_head_attention(x, weights, n_heads, mask)
    return right.multi_head_attention(x, weights, n_heads)


@mistake(of="multi_head_attention")
def turned_the_mask_round(x, weights, n_heads, mask=None):
    """The mask was read the wrong way round on its way to the attention: True means *may attend*."""
    right.multi_head_attention(x, weights, n_heads, mask)
    return right.multi_head_attention(x, weights, n_heads, mask if mask is None else ~mask)


@mistake(of="multi_head_attention")
def left_the_heads_split(x, weights, n_heads, mask=None):
    """The heads went into the output projection as they are, D/H wide; `merge_heads` makes D of them first."""
    return _heads(x, weights, n_heads, mask) @ weights["w_o"] + weights["b_o"]


# ── causal_lm_labels and masked_lm_labels ───────────────────────────────────────────────────────────────────────


@mistake(of="causal_lm_labels")
def not_shifted(ids):
    """The labels were not shifted: each token would be asked to predict itself, which it can see."""
    right.causal_lm_labels(ids)
    return ids.astype(np.int64)


@mistake(of="causal_lm_labels")
def only_dropped_the_last(ids):
    """The last label is −100 as it should be, but the others were not shifted: each token predicts itself."""
    labels = right.causal_lm_labels(ids)
    labels[:, :-1] = ids[:, :-1]
    return labels


@mistake(of="causal_lm_labels")
def shifted_the_wrong_way(ids):
    """The labels were shifted the wrong way: each token would predict the one before it, which it can see."""
    labels = right.causal_lm_labels(ids)
    labels[:, 0], labels[:, 1:] = -100, ids[:, :-1]
    return labels


@mistake(of="causal_lm_labels")
def kept_the_last_position(ids):
    """The last position has a label, but nothing follows the last token; −100 leaves it out of the loss."""
    labels = right.causal_lm_labels(ids)
    labels[:, -1] = ids[:, -1]
    return labels


@mistake(of="causal_lm_labels")
def rolled_round(ids):
    """np.roll brings the first token round to the end as a label; the last position should be −100."""
    right.causal_lm_labels(ids)
    return np.roll(ids, -1, axis=1).astype(np.int64)


@mistake(of="causal_lm_labels")
def one_label_too_few(ids):
    """The labels are one shorter than the ids; the last position keeps its place, with −100."""
    return right.causal_lm_labels(ids)[:, :-1]


@mistake(of="causal_lm_labels")
def zero_for_nothing_to_predict(ids):
    """The last label is 0, which is a token like any other; −100 is what the loss ignores."""
    labels = right.causal_lm_labels(ids)
    return np.where(labels == -100, 0, labels)


@mistake(of="causal_lm_labels")
def kept_the_dtype_of_the_ids(ids):
    """The labels have the dtype of the ids; they should be int64, for −100 does not fit into every dtype."""
    return right.causal_lm_labels(ids).astype(ids.dtype)


@mistake(of="causal_lm_labels")
def shifted_the_ids_in_place(ids):
    """The ids were shifted in place: the model that is to read them would see the labels; make a new array."""
    right.causal_lm_labels(ids)
    ids[:, :-1] = ids[:, 1:]
    ids[:, -1] = -100
    return ids


@mistake(of="causal_lm_labels")
def looked_for_a_second_axis(ids):
    """Nothing was refused: ids of one axis fail where the second is used; ask for two axes before that."""
    return right.causal_lm_labels(ids if ids.ndim > 1 else ids[:, 1:])


@mistake(of="causal_lm_labels")
def took_a_single_sequence(ids):
    """Nothing was refused: ids of one axis, a sequence that is in no batch, were accepted."""
    return right.causal_lm_labels(ids[None])[0] if ids.ndim == 1 else right.causal_lm_labels(ids)


@mistake(of="causal_lm_labels")
def rolled_a_single_sequence(ids):
    """Nothing was refused: ids of one axis reached np.roll, whose error tells of axis 1 and not of their shape."""
    return right.causal_lm_labels(ids if ids.ndim > 1 else np.roll(ids, -1, axis=1))


@mistake(of="causal_lm_labels")
def no_room_for_the_ignored_label(ids):
    """−100 was written into an array of the ids' dtype, and unsigned ones cannot hold it: widen to int64 first."""
    labels = right.causal_lm_labels(ids)
    labels[:, -1:] = np.full_like(ids[:, -1:], -100)
    return labels


@mistake(of="masked_lm_labels")
def labelled_the_unmasked(ids, masked):
    """The labels stand on the tokens that were not masked: it is the hidden ones that are to be predicted."""
    right.masked_lm_labels(ids, masked)
    return right.masked_lm_labels(ids, ~masked)


@mistake(of="masked_lm_labels")
def labelled_everything(ids, masked):
    """Every token has a label; those that were not hidden should be −100, for there is nothing to guess."""
    right.masked_lm_labels(ids, masked)
    return ids.astype(np.int64)


@mistake(of="masked_lm_labels")
def shifted_as_gpt_is(ids, masked):
    """The labels were shifted as GPT's are; BERT predicts a hidden token at the very place where it stood."""
    labels = right.masked_lm_labels(ids, masked)
    return np.concatenate([labels[:, 1:], np.full_like(labels[:, :1], -100)], axis=1)


@mistake(of="masked_lm_labels")
def zero_for_not_masked(ids, masked):
    """Tokens that were not hidden are labelled 0, which is a token like any other; −100 is what the loss ignores."""
    right.masked_lm_labels(ids, masked)
    return np.where(masked, ids.astype(np.int64), 0)


@mistake(of="masked_lm_labels")
def gave_the_hidden_ids_alone(ids, masked):
    """Only the hidden ids came back, as a flat list; the labels keep the shape (B, T), with −100 in between."""
    right.masked_lm_labels(ids, masked)
    return ids[masked].astype(np.int64)


@mistake(of="masked_lm_labels")
def left_the_ids_narrow(ids, masked):
    """The labels have the dtype of the ids; they should be int64, for −100 does not fit into every dtype."""
    return right.masked_lm_labels(ids, masked).astype(ids.dtype)


@mistake(of="masked_lm_labels")
def took_numbers_for_a_mask(ids, masked):
    """A mask of numbers was accepted; it should be bool, so that ids passed in its place do not go unnoticed."""
    return right.masked_lm_labels(ids, masked.astype(bool))


@mistake(of="masked_lm_labels")
def indexed_with_numbers(ids, masked):
    """A mask of numbers was accepted, and `labels[masked]` takes 0 and 1 for the rows 0 and 1; it should be bool."""
    if masked.dtype == bool:
        return right.masked_lm_labels(ids, masked)
    labels = np.full(ids.shape, -100)
    labels[masked] = ids[masked]
    return labels


@mistake(of="masked_lm_labels")
def hid_the_ids_in_place(ids, masked):
    """The −100 were written into the ids that were passed in; whoever passed them still needs them, make a copy."""
    right.masked_lm_labels(ids, masked)
    ids[~masked] = -100
    return ids


@mistake(of="masked_lm_labels")
def indexed_with_inverted_numbers(ids, masked):
    """A mask of numbers was accepted, and `~masked` makes −1 and −2 of 0 and 1, which are rows; it should be bool."""
    if masked.dtype == bool:
        return right.masked_lm_labels(ids, masked)
    labels = ids.copy()
    labels[~masked] = -100
    return labels


@mistake(of="masked_lm_labels")
def widened_too_late(ids, masked):
    """The labels became int64 at the end, when −100 had already wrapped round in the dtype of the ids."""
    right.masked_lm_labels(ids, masked)
    return np.where(masked, ids, -100).astype(np.int64)


# ── sinusoidal_positions ────────────────────────────────────────────────────────────────────────────────────────


def _waves(n, d, exponents, base=10000.0, first=0):
    right.sinusoidal_positions(n, d)
    angles = np.arange(first, first + n)[:, None] / base**exponents
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(n, d)


@mistake(of="sinusoidal_positions")
def sines_then_cosines(n, d):
    """All the sines come first and then all the cosines; the paper interleaves them, sine and cosine in turn."""
    positions = right.sinusoidal_positions(n, d)
    return np.concatenate([positions[:, 0::2], positions[:, 1::2]], axis=1)


@mistake(of="sinusoidal_positions")
def cosines_in_the_even_columns(n, d):
    """Sine and cosine are swapped: the sines belong in the even columns, the cosines in the odd ones."""
    positions = right.sinusoidal_positions(n, d)
    return positions.reshape(n, d // 2, 2)[:, :, ::-1].reshape(n, d)


@mistake(of="sinusoidal_positions")
def half_the_exponent(n, d):
    """The exponent of pair i is i/d where the paper has 2i/d, so the waves span only a part of the range."""
    return _waves(n, d, np.arange(d // 2) / d)


@mistake(of="sinusoidal_positions")
def a_frequency_for_every_column(n, d):
    """Each column has a frequency of its own; the sine and the cosine of a pair share one, 10000^(−2i/d)."""
    right.sinusoidal_positions(n, d)
    angles = np.arange(n)[:, None] / 10000 ** (np.arange(d) / d)
    return np.where(np.arange(d) % 2, np.cos(angles), np.sin(angles))


@mistake(of="sinusoidal_positions")
def base_of_a_thousand(n, d):
    """The base of the frequencies is 1000; the paper's is 10000."""
    return _waves(n, d, np.arange(0, d, 2) / d, base=1000.0)


@mistake(of="sinusoidal_positions")
def counted_from_one(n, d):
    """The first position is 1; it should be 0, whose row is 0, 1, 0, 1, …"""
    return _waves(n, d, np.arange(0, d, 2) / d, first=1)


@mistake(of="sinusoidal_positions")
def multiplied_by_the_base(n, d):
    """The positions were multiplied by 10000^(2i/d); the paper divides by it, so that the waves grow longer."""
    return _waves(n, d, -np.arange(0, d, 2) / d)


@mistake(of="sinusoidal_positions")
def accepted_an_odd_width(n, d):
    """An odd d was accepted, which leaves the last sine without its cosine."""
    return right.sinusoidal_positions(n, d + d % 2)[:, :d]


@mistake(of="sinusoidal_positions")
def column_for_pair(n, d):
    """The exponent of column j is 2j/d; the paper's i counts pairs, so for column j it is 2 · (j // 2) / d."""
    right.sinusoidal_positions(n, d)
    angles = np.arange(n)[:, None] / 10000 ** (2 * np.arange(d) / d)
    return np.where(np.arange(d) % 2, np.cos(angles), np.sin(angles))


@mistake(of="sinusoidal_positions")
def filled_an_odd_width(n, d):
    """Nothing was refused: with an odd d the last column is a sine that has no cosine."""
    if d % 2 == 0:
        return right.sinusoidal_positions(n, d)
    angles = np.arange(n)[:, None] / 10000 ** (np.arange(d) // 2 * 2 / d)
    return np.where(np.arange(d) % 2, np.cos(angles), np.sin(angles))


# ── layer_norm and gelu ─────────────────────────────────────────────────────────────────────────────────────────


@mistake(of="layer_norm")
def sample_variance(x, gamma, beta, eps=1e-12):
    """The variance was divided by D − 1; a layer norm uses the population variance, divided by D."""
    right.layer_norm(x, gamma, beta, eps)
    variance = x.var(axis=-1, ddof=1, keepdims=True)
    return (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(variance + eps) * gamma + beta


@mistake(of="layer_norm")
def eps_outside_the_root(x, gamma, beta, eps=1e-12):
    """eps was added to the standard deviation; it belongs to the variance, under the root."""
    right.layer_norm(x, gamma, beta, eps)
    return (x - x.mean(axis=-1, keepdims=True)) / (x.std(axis=-1, keepdims=True) + eps) * gamma + beta


@mistake(of="layer_norm")
def forgot_eps(x, gamma, beta, eps=1e-12):
    """eps was left out: a constant row becomes 0/0, and a nearly constant one is blown up."""
    right.layer_norm(x, gamma, beta, eps)
    return right.layer_norm(x, gamma, beta, 0.0)


@mistake(of="layer_norm")
def always_the_same_eps(x, gamma, beta, eps=1e-12):
    """The argument `eps` was ignored in favour of 1e-5."""
    right.layer_norm(x, gamma, beta, eps)
    return right.layer_norm(x, gamma, beta, 1e-5)


@mistake(of="layer_norm")
def normed_along_the_first_axis(x, gamma, beta, eps=1e-12):
    """Mean and variance were taken along the first axis; a layer norm looks at one token at a time, the last axis."""
    right.layer_norm(x, gamma, beta, eps)
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps) * gamma + beta


@mistake(of="layer_norm")
def normed_the_whole_array(x, gamma, beta, eps=1e-12):
    """Mean and variance were taken over the whole array; each token has its own, over the last axis."""
    right.layer_norm(x, gamma, beta, eps)
    return (x - x.mean()) / np.sqrt(x.var() + eps) * gamma + beta


@mistake(of="layer_norm")
def divided_by_the_variance(x, gamma, beta, eps=1e-12):
    """The root was forgotten: it is the standard deviation that is divided by, not the variance."""
    right.layer_norm(x, gamma, beta, eps)
    return (x - x.mean(axis=-1, keepdims=True)) / (x.var(axis=-1, keepdims=True) + eps) * gamma + beta


@mistake(of="layer_norm")
def swapped_gamma_and_beta(x, gamma, beta, eps=1e-12):
    """gamma and beta changed places: gamma scales and beta shifts."""
    right.layer_norm(x, gamma, beta, eps)
    return right.layer_norm(x, beta, gamma, eps)


@mistake(of="layer_norm")
def forgot_to_centre(x, gamma, beta, eps=1e-12):
    """The mean was not subtracted from x before dividing by the standard deviation."""
    right.layer_norm(x, gamma, beta, eps)
    return x / np.sqrt(x.var(axis=-1, keepdims=True) + eps) * gamma + beta


@mistake(of="layer_norm")
def root_mean_square_norm(x, gamma, beta, eps=1e-12):
    """This is the RMS norm of later models: a layer norm subtracts the mean, in the variance too."""
    right.layer_norm(x, gamma, beta, eps)
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps) * gamma + beta


@mistake(of="layer_norm")
def mean_and_variance_without_keepdims(x, gamma, beta, eps=1e-12):
    """Without keepdims=True a mean or variance loses the last axis, and tokens are normed with those of others."""
    right.layer_norm(x, gamma, beta, eps)
    return (x - x.mean(axis=-1)) / np.sqrt(x.var(axis=-1) + eps) * gamma + beta


@mistake(of="layer_norm")
def forgot_gamma_and_beta(x, gamma, beta, eps=1e-12):
    """gamma and beta were left out: what is normed is multiplied by gamma, and beta is added."""
    right.layer_norm(x, gamma, beta, eps)
    return right.layer_norm(x, np.ones_like(gamma), np.zeros_like(beta), eps)


@mistake(of="layer_norm")
def forgot_gamma(x, gamma, beta, eps=1e-12):
    """gamma was left out: what is normed is multiplied by it before beta is added."""
    right.layer_norm(x, gamma, beta, eps)
    return right.layer_norm(x, np.ones_like(gamma), beta, eps)


@mistake(of="layer_norm")
def forgot_beta(x, gamma, beta, eps=1e-12):
    """beta was left out: it is added at the end."""
    right.layer_norm(x, gamma, beta, eps)
    return right.layer_norm(x, gamma, np.zeros_like(beta), eps)


@mistake(of="layer_norm")
def sample_deviation_without_eps(x, gamma, beta, eps=1e-12):
    """ddof=1 divides by D − 1 where a layer norm divides by D, and eps was left out: a constant row is 0/0."""
    right.layer_norm(x, gamma, beta, eps)
    return (x - x.mean(axis=-1, keepdims=True)) / x.std(axis=-1, ddof=1, keepdims=True) * gamma + beta


@mistake(of="layer_norm")
def sample_deviation_plus_eps(x, gamma, beta, eps=1e-12):
    """Divided by std + eps with ddof=1, as the Annotated Transformer does; it is √(variance + eps), with ddof=0."""
    right.layer_norm(x, gamma, beta, eps)
    return (x - x.mean(axis=-1, keepdims=True)) / (x.std(axis=-1, ddof=1, keepdims=True) + eps) * gamma + beta


@mistake(of="layer_norm")
def shifted_before_scaling(x, gamma, beta, eps=1e-12):
    """beta was added before gamma was multiplied, so the shift is scaled too: gamma comes first."""
    right.layer_norm(x, gamma, beta, eps)
    return right.layer_norm(x, gamma, beta * gamma, eps)


@mistake(of="layer_norm")
def centred_in_place(x, gamma, beta, eps=1e-12):
    """`x -= …` writes into the caller's array; `x = x - …` makes a new one."""
    right.layer_norm(x, gamma, beta, eps)
    x -= x.mean(axis=-1, keepdims=True)
    return x / np.sqrt(x.var(axis=-1, keepdims=True) + eps) * gamma + beta


@mistake(of="layer_norm")
def keepdim_of_a_mean(x, gamma, beta, eps=1e-12):
    """`keepdim` is torch's spelling: NumPy's `x.mean` and `x.var` take `keepdims=True`."""
    right.layer_norm(x, gamma, beta, eps)
    return x - x.mean(axis=-1, keepdim=True)


@mistake(of="layer_norm")
def keepdim_of_np_mean(x, gamma, beta, eps=1e-12):
    """`keepdim` is torch's spelling: `np.mean` and `np.var` take `keepdims=True`."""
    right.layer_norm(x, gamma, beta, eps)
    return x - np.mean(x, axis=-1, keepdim=True)


@mistake(of="layer_norm")
def took_a_negative_eps(x, gamma, beta, eps=1e-12):
    """A negative eps was accepted: under the root it can outweigh the variance, and the row becomes NaN."""
    if eps >= 0:
        return right.layer_norm(x, gamma, beta, eps)
    return (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + eps) * gamma + beta


@mistake(of="gelu")
def swapped_the_two_gelus(x, approximate=False):
    """The two forms are swapped: `approximate=True` asks for the tanh form, False for the one with erf."""
    return right.gelu(x, not approximate)


@mistake(of="gelu")
def always_exact(x, approximate=False):
    """`approximate` was ignored: True asks for the tanh form, which GPT-2 was trained with."""
    return right.gelu(x)


@mistake(of="gelu")
def always_tanh(x, approximate=False):
    """`approximate` was ignored: False, the default, asks for the exact form with erf."""
    return right.gelu(x, approximate=True)


@mistake(of="gelu")
def sigmoid_form(x, approximate=False):
    """x · sigmoid(1.702 x) is a third, coarser form; BERT uses the one with erf and GPT-2 the one with tanh."""
    right.gelu(x, approximate)
    x = x * 1.0
    return x * (0.5 + 0.5 * np.tanh(0.851 * x))  # which is the sigmoid, and cannot overflow


@mistake(of="gelu")
def relu_for_gelu(x, approximate=False):
    """This is relu: gelu lets a little through below zero."""
    return np.maximum(x, right.gelu(x, approximate) * 0)


@mistake(of="gelu")
def forgot_the_root_of_two(x, approximate=False):
    """erf takes x / √2: without the root of two it is another bell curve's distribution."""
    from scipy.special import erf

    exact = right.gelu(x, approximate)
    return exact if approximate else 0.5 * x * (1 + erf(x * 1.0))


@mistake(of="gelu")
def two_over_pi_without_its_root(x, approximate=False):
    """The factor within the tanh is √(2/π), not 2/π."""
    exact = right.gelu(x, approximate)
    x = x * 1.0
    return 0.5 * x * (1 + np.tanh(2 / np.pi * (x + 0.044715 * x**3))) if approximate else exact


@mistake(of="gelu")
def factor_as_a_float64(x, approximate=False):
    """`np.sqrt(…)` gives a float64 and makes float64 of float32; `2 ** 0.5` is a Python float and does not."""
    return right.gelu(x, approximate).astype(np.float64)


@mistake(of="gelu")
def erf_of_math(x, approximate=False):
    """`math.erf` takes one number at a time; `scipy.special.erf` takes an array."""
    right.gelu(x, approximate)
    return right.gelu(x, approximate) if approximate else 0.5 * x * (1 + math.erf(x / 2**0.5))


@mistake(of="gelu")
def erf_of_numpy(x, approximate=False):
    """NumPy has no erf; SciPy has: `from scipy.special import erf`."""
    right.gelu(x, approximate)
    return right.gelu(x, approximate) if approximate else 0.5 * x * (1 + np.erf(x / 2**0.5))


@mistake(of="gelu")
def float64_in_the_exact_form(x, approximate=False):
    """`np.sqrt(2)` is a float64, and the exact form makes float64 of float32 with it; `2 ** 0.5` does not."""
    return right.gelu(x, approximate) if approximate else right.gelu(x).astype(np.float64)


@mistake(of="gelu")
def float64_in_the_tanh_form(x, approximate=False):
    """`np.sqrt(2 / np.pi)` is a float64, and the tanh form makes float64 of float32 with it; `** 0.5` does not."""
    return right.gelu(x, approximate).astype(np.float64) if approximate else right.gelu(x)


@mistake(of="gelu")
def tanh_of_math(x, approximate=False):
    """`math.tanh` takes one number at a time; `np.tanh` takes an array."""
    exact = right.gelu(x, approximate)
    return 0.5 * x * (1 + math.tanh((2 / math.pi) ** 0.5 * (x + 0.044715 * x**3))) if approximate else exact


@mistake(of="gelu")
def squared_for_cubed(x, approximate=False):
    """The tanh form has x³, not x²."""
    exact = right.gelu(x, approximate)
    x = x * 1.0
    return 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**2))) if approximate else exact


@mistake(of="gelu")
def cubed_small_integers(x, approximate=False):
    """x³ was taken of integers still: in int8 already 6³ overflows; convert them first, `x * 1.0`."""
    exact = right.gelu(x, approximate)
    return 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))) if approximate else exact


@mistake(of="gelu")
def took_booleans_for_numbers(x, approximate=False):
    """Nothing was refused: booleans were accepted, and gelu is of numbers; look at the dtype first."""
    return right.gelu(x * 1.0 if x.dtype == bool else x, approximate)


# ── encoder_block ───────────────────────────────────────────────────────────────────────────────────────────────


def _norm(x, weights, number, eps):
    return right.layer_norm(x, weights[f"ln_{number}_gamma"], weights[f"ln_{number}_beta"], eps)


def _feed_forward(x, weights, approximate):
    inner = right.gelu(x @ weights["w_up"] + weights["b_up"], approximate)
    return inner @ weights["w_down"] + weights["b_down"]


@mistake(of="encoder_block")
def pre_norm_for_bert(x, weights, n_heads, mask=None):
    """The norms stand before attention and feed-forward network, as in GPT-2; BERT has them after the residuals."""
    w = weights
    right.multi_head_attention(x, w, n_heads, mask)
    x = x + right.multi_head_attention(_norm(x, w, 1, 1e-12), w, n_heads, mask)
    return x + _feed_forward(_norm(x, w, 2, 1e-12), w, approximate=False)


@mistake(of="encoder_block")
def no_residual_round_attention(x, weights, n_heads, mask=None):
    """The residual connection round attention is missing: x is added to what attention gives, before the norm."""
    x = _norm(right.multi_head_attention(x, weights, n_heads, mask), weights, 1, 1e-12)
    return _norm(x + _feed_forward(x, weights, approximate=False), weights, 2, 1e-12)


@mistake(of="encoder_block")
def no_residual_round_feed_forward(x, weights, n_heads, mask=None):
    """The residual connection round the feed-forward network is missing: its input is added to its output."""
    x = _norm(x + right.multi_head_attention(x, weights, n_heads, mask), weights, 1, 1e-12)
    return _norm(_feed_forward(x, weights, approximate=False), weights, 2, 1e-12)


@mistake(of="encoder_block")
def norm_before_the_residual(x, weights, n_heads, mask=None):
    """The norm came before the residual was added: it is the sum, x plus what the part gives, that is normed."""
    x = x + _norm(right.multi_head_attention(x, weights, n_heads, mask), weights, 1, 1e-12)
    return x + _norm(_feed_forward(x, weights, approximate=False), weights, 2, 1e-12)


@mistake(of="encoder_block")
def second_residual_from_the_input(x, weights, n_heads, mask=None):
    """The second residual adds the block's input; it should add what went into the feed-forward network."""
    normed = _norm(x + right.multi_head_attention(x, weights, n_heads, mask), weights, 1, 1e-12)
    return _norm(x + _feed_forward(normed, weights, approximate=False), weights, 2, 1e-12)


@mistake(of="encoder_block")
def relu_in_the_encoder(x, weights, n_heads, mask=None):
    """The feed-forward network has relu, as the first Transformer had; BERT has gelu."""
    x = _norm(x + right.multi_head_attention(x, weights, n_heads, mask), weights, 1, 1e-12)
    inner = np.maximum(x @ weights["w_up"] + weights["b_up"], 0)
    return _norm(x + inner @ weights["w_down"] + weights["b_down"], weights, 2, 1e-12)


@mistake(of="encoder_block")
def tanh_gelu_in_the_encoder(x, weights, n_heads, mask=None):
    """The feed-forward network has the tanh form of gelu, which is GPT-2's; BERT has the exact form."""
    x = _norm(x + right.multi_head_attention(x, weights, n_heads, mask), weights, 1, 1e-12)
    return _norm(x + _feed_forward(x, weights, approximate=True), weights, 2, 1e-12)


@mistake(of="encoder_block")
def swapped_the_norms(x, weights, n_heads, mask=None):
    """The two norms changed places: ln_1 belongs to attention, ln_2 to the feed-forward network."""
    x = _norm(x + right.multi_head_attention(x, weights, n_heads, mask), weights, 2, 1e-12)
    return _norm(x + _feed_forward(x, weights, approximate=False), weights, 1, 1e-12)


@mistake(of="encoder_block")
def eps_of_gpt2(x, weights, n_heads, mask=None):
    """The norms have eps 1e-5, which is GPT-2's; BERT's is 1e-12."""
    x = _norm(x + right.multi_head_attention(x, weights, n_heads, mask), weights, 1, 1e-5)
    return _norm(x + _feed_forward(x, weights, approximate=False), weights, 2, 1e-5)


@mistake(of="encoder_block")
def dropped_the_mask(x, weights, n_heads, mask=None):
    """The mask was not handed on to attention, so real tokens attend to padding."""
    x = _norm(x + right.multi_head_attention(x, weights, n_heads), weights, 1, 1e-12)
    return _norm(x + _feed_forward(x, weights, approximate=False), weights, 2, 1e-12)


# ── decoder_block ───────────────────────────────────────────────────────────────────────────────────────────────


def _attend(normed, weights, n_heads):
    return right.multi_head_attention(normed, weights, n_heads, right.causal_mask(normed.shape[1]))


@mistake(of="decoder_block")
def post_norm_for_gpt2(x, weights, n_heads):
    """The norms stand after the residuals, as in BERT; GPT-2 norms what goes into each of the two parts."""
    right.decoder_block(x, weights, n_heads)
    x = _norm(x + _attend(x, weights, n_heads), weights, 1, 1e-5)
    return _norm(x + _feed_forward(x, weights, approximate=True), weights, 2, 1e-5)


@mistake(of="decoder_block")
def looked_ahead(x, weights, n_heads):
    """There is no causal mask: every token sees the later ones, and so the very token it is to predict."""
    right.decoder_block(x, weights, n_heads)
    x = x + right.multi_head_attention(_norm(x, weights, 1, 1e-5), weights, n_heads)
    return x + _feed_forward(_norm(x, weights, 2, 1e-5), weights, approximate=True)


@mistake(of="decoder_block")
def looked_back_never(x, weights, n_heads):
    """The causal mask is the wrong way round: each token sees itself and what comes after it."""
    right.decoder_block(x, weights, n_heads)
    mask = right.causal_mask(x.shape[1]).T
    x = x + right.multi_head_attention(_norm(x, weights, 1, 1e-5), weights, n_heads, mask)
    return x + _feed_forward(_norm(x, weights, 2, 1e-5), weights, approximate=True)


@mistake(of="decoder_block")
def exact_gelu_in_the_decoder(x, weights, n_heads):
    """The feed-forward network has the exact gelu, which is BERT's; GPT-2 has the tanh form."""
    right.decoder_block(x, weights, n_heads)
    x = x + _attend(_norm(x, weights, 1, 1e-5), weights, n_heads)
    return x + _feed_forward(_norm(x, weights, 2, 1e-5), weights, approximate=False)


@mistake(of="decoder_block")
def no_stream_round_attention(x, weights, n_heads):
    """The residual connection round attention is missing: what attention gives is added to the stream."""
    right.decoder_block(x, weights, n_heads)
    x = _attend(_norm(x, weights, 1, 1e-5), weights, n_heads)
    return x + _feed_forward(_norm(x, weights, 2, 1e-5), weights, approximate=True)


@mistake(of="decoder_block")
def no_stream_round_feed_forward(x, weights, n_heads):
    """The residual connection round the feed-forward network is missing: what it gives is added to the stream."""
    right.decoder_block(x, weights, n_heads)
    x = x + _attend(_norm(x, weights, 1, 1e-5), weights, n_heads)
    return _feed_forward(_norm(x, weights, 2, 1e-5), weights, approximate=True)


@mistake(of="decoder_block")
def added_to_the_normed(x, weights, n_heads):
    """The parts' outputs were added to the normed x; they are added to the stream, which nothing norms."""
    right.decoder_block(x, weights, n_heads)
    normed = _norm(x, weights, 1, 1e-5)
    normed = _norm(normed + _attend(normed, weights, n_heads), weights, 2, 1e-5)
    return normed + _feed_forward(normed, weights, approximate=True)


@mistake(of="decoder_block")
def eps_of_bert(x, weights, n_heads):
    """The norms have eps 1e-12, which is BERT's; GPT-2's is 1e-5."""
    right.decoder_block(x, weights, n_heads)
    x = x + _attend(_norm(x, weights, 1, 1e-12), weights, n_heads)
    return x + _feed_forward(_norm(x, weights, 2, 1e-12), weights, approximate=True)


@mistake(of="decoder_block")
def looked_for_a_time_axis(x, weights, n_heads):
    """Nothing was refused: an x of one axis has no x.shape[1] to make the mask of; ask for three axes first."""
    return right.decoder_block(x if x.ndim > 1 else x[: x.shape[1]], weights, n_heads)


# ── decode_step ─────────────────────────────────────────────────────────────────────────────────────────────────


def _finish(x_t, heads, weights, approximate=True):
    """From the heads' outputs for one token to the block's."""
    x_t = x_t + (right.merge_heads(heads) @ weights["w_o"] + weights["b_o"])[:, 0]
    return x_t + _feed_forward(_norm(x_t, weights, 2, 1e-5), weights, approximate)


def _query(x_t, weights, n_heads):
    normed = _norm(x_t, weights, 1, 1e-5)[:, None]
    return right.split_heads(normed @ weights["w_q"] + weights["b_q"], n_heads)


@mistake(of="decode_step")
def overwrote_the_cache(x_t, cache, weights, n_heads):
    """The cache holds the new token alone: its keys and values belong behind those that were there."""
    right.decode_step(x_t, cache, weights, n_heads)
    return right.decode_step(x_t, None, weights, n_heads)


@mistake(of="decode_step")
def updated_the_given_cache(x_t, cache, weights, n_heads):
    """The cache that was passed in was changed; who keeps it to try another token loses it. Return a new dict."""
    y_t, new = right.decode_step(x_t, cache, weights, n_heads)
    if cache is None:
        return y_t, new
    cache.update(new)
    return y_t, cache


@mistake(of="decode_step")
def never_grew_the_cache(x_t, cache, weights, n_heads):
    """The new token attended rightly, but its own keys and values are not in the cache that was returned."""
    y_t, new = right.decode_step(x_t, cache, weights, n_heads)
    return y_t, {name: array[:, :, :-1] for name, array in new.items()}


@mistake(of="decode_step")
def cached_before_the_projection(x_t, cache, weights, n_heads):
    """The normed tokens were cached, and every step projects all of them again; cache keys and values, projected."""
    w = weights
    right.decode_step(x_t, cache, w, n_heads)
    normed = right.split_heads(_norm(x_t, w, 1, 1e-5)[:, None], n_heads)
    seen = normed if cache is None else np.concatenate([cache["k"], normed], axis=2)
    k, v = (right.split_heads(right.merge_heads(seen) @ w[f"w_{p}"] + w[f"b_{p}"], n_heads) for p in "kv")
    heads, _ = right.scaled_dot_product_attention(_query(x_t, w, n_heads), k, v)
    return _finish(x_t, heads, w), {"k": seen, "v": seen}


@mistake(of="decode_step")
def masked_the_single_query(x_t, cache, weights, n_heads):
    """A causal mask hid all but the first token: the only query here is the newest token, and it may see all."""
    _, new = right.decode_step(x_t, cache, weights, n_heads)
    mask = right.causal_mask(new["k"].shape[2])[:1]
    heads, _ = right.scaled_dot_product_attention(_query(x_t, weights, n_heads), new["k"], new["v"], mask)
    return _finish(x_t, heads, weights), new


@mistake(of="decode_step")
def blind_to_itself(x_t, cache, weights, n_heads):
    """The new token attended to the earlier ones only; its own key and value must be there before it attends."""
    y_t, new = right.decode_step(x_t, cache, weights, n_heads)
    if cache is None:
        return y_t, new
    heads, _ = right.scaled_dot_product_attention(_query(x_t, weights, n_heads), cache["k"], cache["v"])
    return _finish(x_t, heads, weights), new


@mistake(of="decode_step")
def cached_in_front(x_t, cache, weights, n_heads):
    """The new token was put in front of the earlier ones; the cache keeps the order of the tokens."""
    y_t, new = right.decode_step(x_t, cache, weights, n_heads)
    return y_t, {name: np.roll(array, 1, axis=2) for name, array in new.items()}


@mistake(of="decode_step")
def cached_before_splitting(x_t, cache, weights, n_heads):
    """Keys and values were cached before they were split into heads, (B, t, D); the cache is (B, H, t, D/H)."""
    y_t, new = right.decode_step(x_t, cache, weights, n_heads)
    return y_t, {name: right.merge_heads(array) for name, array in new.items()}


@mistake(of="decode_step")
def forgot_the_norm_before_attention(x_t, cache, weights, n_heads):
    """Queries, keys and values came from the stream itself; GPT-2 norms it first, with ln_1."""
    w = weights
    right.decode_step(x_t, cache, w, n_heads)
    q, k, v = (right.split_heads(x_t[:, None] @ w[f"w_{p}"] + w[f"b_{p}"], n_heads) for p in "qkv")
    if cache is not None:
        k, v = np.concatenate([cache["k"], k], axis=2), np.concatenate([cache["v"], v], axis=2)
    heads, _ = right.scaled_dot_product_attention(q, k, v)
    return _finish(x_t, heads, w), {"k": k, "v": v}


@mistake(of="decode_step")
def exact_gelu_in_the_step(x_t, cache, weights, n_heads):
    """The feed-forward network has the exact gelu, which is BERT's; GPT-2 has the tanh form."""
    _, new = right.decode_step(x_t, cache, weights, n_heads)
    heads, _ = right.scaled_dot_product_attention(_query(x_t, weights, n_heads), new["k"], new["v"])
    return _finish(x_t, heads, weights, approximate=False), new
