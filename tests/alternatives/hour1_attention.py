"""Other right answers to hour 1: other algorithms, other libraries, in place on copies of their own."""

import math

import numpy as np

from tests.alternatives import alternative


def _numbers(x, name="x", axes=None, least=1):
    """`x` as an array of numbers: refuses other dtypes, another number of axes, empty axes."""
    x = np.asarray(x)
    if not (np.issubdtype(x.dtype, np.integer) or np.issubdtype(x.dtype, np.floating)):
        raise ValueError(f"{name} has dtype {x.dtype}, which is no number")
    if x.ndim < least or (axes is not None and x.ndim != axes) or 0 in x.shape:
        raise ValueError(f"{name} has shape {x.shape}")
    return x


def _floats(*arrays):
    """Copies in the dtype of the result: float32 if all are, else float64."""
    dtype = np.float32 if all(a.dtype == np.float32 for a in arrays) else np.float64
    return tuple(a.astype(dtype) for a in arrays)


# ── softmax ─────────────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="softmax")
def softmax_by_scipy(x, axis=-1):
    from scipy.special import softmax

    x = np.asarray(x)
    if x.dtype.kind not in "iuf":
        raise ValueError(f"no numbers: {x.dtype}")
    if not -x.ndim <= axis < x.ndim or x.shape[axis] == 0:
        raise ValueError(f"no axis {axis} to sum along in shape {x.shape}")
    return softmax(x.astype(np.result_type(x.dtype, np.float32) if x.dtype.kind == "f" else np.float64), axis=axis)


@alternative(of="softmax")
def softmax_by_logsumexp(x, axis=-1):
    x = np.asarray(x)
    if x.dtype.kind not in "iuf":
        raise ValueError(f"no numbers: {x.dtype}")
    rows = np.moveaxis(x, axis, -1)
    if rows.shape[-1] == 0:
        raise ValueError(f"nothing along axis {axis} in shape {x.shape}")
    (rows,) = _floats(rows)
    log_sums = np.logaddexp.reduce(rows, axis=-1, keepdims=True)
    return np.moveaxis(np.exp(rows - log_sums), -1, axis)


@alternative(of="softmax")
def softmax_in_place_row_by_row(x, axis=-1):
    (out,) = _floats(_with_axis(x, axis))
    moved = np.moveaxis(out, axis, -1)
    for index in np.ndindex(moved.shape[:-1]):
        row = moved[index]
        row -= row.max()
        np.exp(row, out=row)
        row /= row.sum()
    return out


def _with_axis(x, axis):
    x = np.asarray(x)
    if x.dtype.kind not in "iuf":
        raise ValueError(f"no numbers: {x.dtype}")
    try:
        length = x.shape[axis]
    except IndexError:
        raise ValueError(f"there is no axis {axis} in shape {x.shape}") from None
    if length == 0:
        raise ValueError(f"nothing along axis {axis} in shape {x.shape}")
    return x


# ── scaled_dot_product_attention ────────────────────────────────────────────────────────────────────────────────


def _fitting(q, k, v, mask):
    q, k, v = (_numbers(a, name, least=2) for name, a in (("q", q), ("k", k), ("v", v)))
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ValueError(f"q {q.shape}, k {k.shape} and v {v.shape} do not fit together")
    if mask is not None:
        mask = np.asarray(mask)
        if mask.dtype != bool:
            raise ValueError(f"the mask should be bool, it is {mask.dtype}")
        for own, need in zip(mask.shape[::-1], (k.shape[-2], q.shape[-2]), strict=False):
            if own not in (1, need):
                raise ValueError(f"a mask of {mask.shape} does not fit {q.shape[-2]} queries, {k.shape[-2]} keys")
    return *_floats(q, k, v), mask


@alternative(of="scaled_dot_product_attention")
def attention_by_einsum(q, k, v, mask=None):
    q, k, v, mask = _fitting(q, k, v, mask)
    scores = np.einsum("...qd,...kd->...qk", q, k) * q.shape[-1] ** -0.5
    seen = True if mask is None else mask
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=-np.inf, where=seen))
    weights = np.where(seen, weights, np.zeros((), q.dtype))
    sums = weights.sum(axis=-1, keepdims=True)
    np.divide(weights, sums, out=weights, where=sums > 0)
    return np.einsum("...qk,...kd->...qd", weights, v), weights


@alternative(of="scaled_dot_product_attention")
def attention_by_scipy(q, k, v, mask=None):
    """The mask in the exponent: adding −∞ to a score is multiplying its exponential by 0."""
    from scipy.special import log_softmax

    q, k, v, mask = _fitting(q, k, v, mask)
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    if mask is not None:
        empty = ~mask.any(axis=-1, keepdims=True)
        scores = scores + np.where(mask | empty, 0, -np.inf).astype(q.dtype)
    weights = np.exp(log_softmax(scores, axis=-1))
    if mask is not None:
        weights *= ~empty
    return weights @ v, weights


@alternative(of="scaled_dot_product_attention")
def attention_head_by_head(q, k, v, mask=None):
    q, k, v, mask = _fitting(q, k, v, mask)
    leading = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2], () if mask is None else mask.shape[:-2])
    mask = np.ones((1, 1), dtype=bool) if mask is None else mask
    q, k, v = (np.broadcast_to(a, leading + a.shape[-2:]) for a in (q, k, v))
    mask = np.broadcast_to(mask, (*leading, q.shape[-2], k.shape[-2]))
    weights = np.empty(mask.shape, q.dtype)
    output = np.empty((*q.shape[:-1], v.shape[-1]), q.dtype)
    for head in np.ndindex(leading):
        scores = np.where(mask[head], q[head] @ k[head].T / math.sqrt(q.shape[-1]), -np.inf)
        highest = scores.max(axis=-1, keepdims=True)
        exps = np.exp(scores - np.where(np.isfinite(highest), highest, 0))
        weights[head] = exps / np.maximum(exps.sum(axis=-1, keepdims=True), np.finfo(np.float32).tiny)
        np.matmul(weights[head], v[head], out=output[head])
    return output, weights


# ── causal_mask and padding_mask ────────────────────────────────────────────────────────────────────────────────


def _some_tokens(n):
    if n <= 0:
        raise ValueError(f"{n} tokens are too few")


@alternative(of="causal_mask")
def lower_triangle(n):
    _some_tokens(n)
    return np.tril(np.ones((n, n), dtype=bool))


@alternative(of="causal_mask")
def row_by_row(n):
    _some_tokens(n)
    mask = np.zeros((n, n), dtype=bool)
    for token in range(n):
        mask[token, : token + 1] = True
    return mask


@alternative(of="causal_mask")
def running_sum_of_an_identity(n):
    _some_tokens(n)
    return np.cumsum(np.eye(n), axis=1).T > 0


@alternative(of="padding_mask")
def expanded_and_cast(attention_mask):
    attention_mask = _numbers(attention_mask, "attention_mask", axes=2)
    if strange := set(np.unique(attention_mask).tolist()) - {0, 1}:
        raise ValueError(f"neither 0 nor 1: {strange}")
    return np.expand_dims(attention_mask, (1, 2)).astype(bool)


@alternative(of="padding_mask")
def token_by_token(attention_mask):
    attention_mask = _numbers(attention_mask, "attention_mask", axes=2)
    mask = np.empty((len(attention_mask), 1, 1, attention_mask.shape[1]), dtype=bool)
    for b, row in enumerate(attention_mask):
        for t, value in enumerate(row):
            if value not in (0, 1):
                raise ValueError(f"{value} at {b, t} is neither 0 nor 1")
            mask[b, 0, 0, t] = value
    return mask


# ── split_heads and merge_heads ─────────────────────────────────────────────────────────────────────────────────


def _divisible(x, n_heads):
    if n_heads <= 0 or x.shape[-1] % n_heads:
        raise ValueError(f"{x.shape[-1]} features do not make {n_heads} heads")


@alternative(of="split_heads")
def stacked_slices(x, n_heads):
    x = _numbers(x, axes=3)
    _divisible(x, n_heads)
    return np.stack(np.split(x, n_heads, axis=-1), axis=1)


@alternative(of="split_heads")
def split_by_an_index_table(x, n_heads):
    x = _numbers(x, axes=3)
    _divisible(x, n_heads)
    columns = np.arange(x.shape[-1]).reshape(n_heads, 1, -1)
    return x[:, np.arange(x.shape[1])[:, None], columns]


@alternative(of="split_heads")
def split_by_torch(x, n_heads):
    import torch

    x = _numbers(x, axes=3)
    _divisible(x, n_heads)
    return torch.tensor(x).unflatten(-1, (n_heads, -1)).permute(0, 2, 1, 3).numpy()


@alternative(of="merge_heads")
def heads_side_by_side(x):
    x = _numbers(x, axes=4)
    return np.concatenate([x[:, head] for head in range(x.shape[1])], axis=-1)


@alternative(of="merge_heads")
def written_into_place(x):
    x = _numbers(x, axes=4)
    b, h, t, width = x.shape
    out = np.empty((b, t, h * width), dtype=x.dtype)
    for head in range(h):
        out[..., head * width : (head + 1) * width] = x[:, head]
    return out


@alternative(of="merge_heads")
def merged_by_torch(x):
    import torch

    return torch.tensor(_numbers(x, axes=4)).transpose(1, 2).flatten(2).numpy()


# ── multi_head_attention ────────────────────────────────────────────────────────────────────────────────────────


def _projections(x, weights, n_heads, mask):
    """`x` and the eight weights in the dtype of the result."""
    x = _numbers(x, axes=3)
    _divisible(x, n_heads)
    d = x.shape[-1]
    names = [f"{kind}_{p}" for kind in "wb" for p in "qkvo"]
    arrays = [np.asarray(weights[name]) for name in names]
    for name, array in zip(names, arrays, strict=True):
        if array.shape != ((d, d) if name[0] == "w" else (d,)):
            raise ValueError(f"{name} has shape {array.shape}, with {d} features")
    if mask is not None and np.asarray(mask).dtype != bool:
        raise ValueError(f"a mask of {np.asarray(mask).dtype}")
    if mask is not None and not {*np.shape(mask)[-2:]} <= {1, x.shape[1]}:
        raise ValueError(f"a mask of shape {np.shape(mask)} for {x.shape[1]} tokens")
    x, *arrays = _floats(x, *arrays)
    return x, dict(zip(names, arrays, strict=True))


@alternative(of="multi_head_attention")
def heads_summed_by_einsum(x, weights, n_heads, mask=None):
    """Concatenating and projecting is the same as projecting each head by its rows of w_o and adding up."""
    x, w = _projections(x, weights, n_heads, mask)
    d = x.shape[-1]
    width = d // n_heads
    q, k, v = (
        np.einsum("btd,dhw->bhtw", x, w[f"w_{p}"].reshape(d, n_heads, width)) + w[f"b_{p}"].reshape(n_heads, 1, width)
        for p in "qkv"
    )
    heads, _ = attention_by_einsum(q, k, v, mask)
    return np.einsum("bhtw,hwd->btd", heads, w["w_o"].reshape(n_heads, width, d)) + w["b_o"]


@alternative(of="multi_head_attention")
def head_by_head(x, weights, n_heads, mask=None):
    x, w = _projections(x, weights, n_heads, mask)
    width = x.shape[-1] // n_heads
    out = np.zeros_like(x)
    for head in range(n_heads):
        own = slice(head * width, (head + 1) * width)
        q, k, v = (x @ w[f"w_{p}"][:, own] + w[f"b_{p}"][own] for p in "qkv")
        seen = None
        if mask is not None:
            full = np.broadcast_to(mask, (len(x), n_heads, x.shape[1], x.shape[1]))
            seen = full[:, head]
        out += attention_by_einsum(q, k, v, seen)[0] @ w["w_o"][own]
    out += w["b_o"]
    return out


@alternative(of="multi_head_attention")
def multi_head_attention_by_torch(x, weights, n_heads, mask=None):
    import torch

    x, w = _projections(x, weights, n_heads, mask)
    tensors = {name: torch.from_numpy(array) for name, array in w.items()}
    stacked = torch.cat([tensors[f"w_{p}"] for p in "qkv"], dim=1), torch.cat([tensors[f"b_{p}"] for p in "qkv"])
    projected = torch.from_numpy(x) @ stacked[0] + stacked[1]
    q, k, v = projected.unflatten(-1, (3, n_heads, -1)).permute(2, 0, 3, 1, 4)
    seen = None if mask is None else torch.tensor(mask)
    heads = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    merged = heads.transpose(1, 2).flatten(2)
    return (merged @ tensors["w_o"] + tensors["b_o"]).numpy()


# ── causal_lm_labels and masked_lm_labels ───────────────────────────────────────────────────────────────────────


def _ids(ids):
    ids = np.asarray(ids)
    if not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"ids of {ids.dtype}")
    return _numbers(ids, "ids", axes=2).astype(np.int64)


@alternative(of="causal_lm_labels")
def rolled_and_overwritten(ids):
    labels = np.roll(_ids(ids), -1, axis=1)
    labels[:, -1] = -100
    return labels


@alternative(of="causal_lm_labels")
def padded_on_the_right(ids):
    return np.pad(_ids(ids)[:, 1:], ((0, 0), (0, 1)), constant_values=-100)


@alternative(of="causal_lm_labels")
def labels_from_lists(ids):
    return np.array([[*row[1:], -100] for row in _ids(ids).tolist()])


def _hidden(ids, masked):
    masked = np.asarray(masked)
    if masked.dtype != bool:
        raise ValueError(f"masked is {masked.dtype}")
    if masked.shape != np.shape(ids):
        raise ValueError(f"masked has shape {masked.shape}, ids {np.shape(ids)}")
    return masked


@alternative(of="masked_lm_labels")
def overwritten_in_a_copy(ids, masked):
    labels = _ids(ids)
    labels[~_hidden(ids, masked)] = -100
    return labels


@alternative(of="masked_lm_labels")
def by_arithmetic(ids, masked):
    labels, hidden = _ids(ids), _hidden(ids, masked).astype(np.int64)
    return labels * hidden - 100 * (1 - hidden)


@alternative(of="masked_lm_labels")
def filled_by_torch(ids, masked):
    import torch

    return torch.from_numpy(_ids(ids)).masked_fill(torch.tensor(~_hidden(ids, masked)), -100).numpy()


# ── sinusoidal_positions ────────────────────────────────────────────────────────────────────────────────────────


def _size(n, d):
    if n < 1:
        raise ValueError(f"{n} positions")
    if d < 2 or d % 2 == 1:
        raise ValueError(f"{d} features cannot be paired")


@alternative(of="sinusoidal_positions")
def complex_waves(n, d):
    """cos + i·sin is one complex number a pair."""
    _size(n, d)
    frequencies = np.exp(-math.log(10000) * np.arange(0, d, 2) / d)
    waves = np.exp(1j * np.outer(np.arange(n), frequencies))
    return np.stack([waves.imag, waves.real], axis=2).reshape(n, d)


@alternative(of="sinusoidal_positions")
def cosine_as_a_shifted_sine(n, d):
    _size(n, d)
    column = np.arange(d)
    angles = np.arange(n)[:, None] * 10000.0 ** (-(column - column % 2) / d)
    return np.sin(angles + column % 2 * np.pi / 2)


@alternative(of="sinusoidal_positions")
def rotated_step_by_step(n, d):
    _size(n, d)
    positions = np.zeros((n, d))
    positions[0, 1::2] = 1
    turn = [1 / 10000 ** (2 * i / d) for i in range(d // 2)]
    for row in range(1, n):
        sines, cosines = positions[row - 1, 0::2], positions[row - 1, 1::2]
        positions[row, 0::2] = sines * np.cos(turn) + cosines * np.sin(turn)
        positions[row, 1::2] = cosines * np.cos(turn) - sines * np.sin(turn)
    return positions


# ── layer_norm and gelu ─────────────────────────────────────────────────────────────────────────────────────────


def _scales(x, gamma, beta, eps):
    x, gamma, beta = _numbers(x), np.asarray(gamma), np.asarray(beta)
    for name, a in (("gamma", gamma), ("beta", beta)):
        if a.shape != (x.shape[-1],):
            raise ValueError(f"{name} has shape {a.shape}, for {x.shape[-1]} features")
    if eps < 0:
        raise ValueError(f"eps = {eps} is negative")
    return _floats(x, gamma, beta)


@alternative(of="layer_norm")
def layer_norm_in_place(x, gamma, beta, eps=1e-12):
    x, gamma, beta = _scales(x, gamma, beta, eps)
    x -= np.mean(x, axis=-1, keepdims=True)
    x /= np.sqrt(np.einsum("...d,...d->...", x, x)[..., None] / x.shape[-1] + eps)
    x *= gamma
    x += beta
    return x


@alternative(of="layer_norm")
def layer_norm_by_torch(x, gamma, beta, eps=1e-12):
    import torch

    x, gamma, beta = (torch.from_numpy(a) for a in _scales(x, gamma, beta, eps))
    return torch.nn.functional.layer_norm(x, x.shape[-1:], gamma, beta, eps).numpy()


@alternative(of="layer_norm")
def token_by_token_norm(x, gamma, beta, eps=1e-12):
    x, gamma, beta = _scales(x, gamma, beta, eps)
    for index in np.ndindex(x.shape[:-1]):
        mean, variance = x[index].mean(), x[index].var()
        x[index] = gamma * ((x[index] - mean) / math.sqrt(variance + eps)) + beta
    return x


def _activated(x):
    x = np.asarray(x)
    if x.dtype.kind not in "iuf":
        raise ValueError(f"gelu of {x.dtype}")
    return _floats(x)[0]


@alternative(of="gelu")
def gelu_by_the_normal_distribution(x, approximate=False):
    from scipy.special import expit, ndtr

    x = _activated(x)
    if approximate:  # 1 + tanh(a) is 2 sigmoid(2a)
        return x * expit(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))
    return x * ndtr(x)


@alternative(of="gelu")
def gelu_by_torch(x, approximate=False):
    import torch

    form = "tanh" if approximate else "none"
    return torch.nn.functional.gelu(torch.from_numpy(_activated(x)), approximate=form).numpy()


@alternative(of="gelu")
def gelu_number_by_number(x, approximate=False):
    x = _activated(x)
    for index, value in np.ndenumerate(x):
        a = float(value)
        bell = (
            math.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3)) if approximate else math.erf(a / math.sqrt(2))
        )
        x[index] = a * (1 + bell) / 2
    return x


# ── encoder_block, decoder_block and decode_step ────────────────────────────────────────────────────────────────


def _block(x, weights):
    """`x` and all weights of a block, in the dtype of the result."""
    x = _numbers(x)
    names = [*(f"{kind}_{p}" for kind in "wb" for p in (*"qkvo", "up", "down"))]
    names += [f"ln_{n}_{part}" for n in (1, 2) for part in ("gamma", "beta")]
    x, *arrays = _floats(x, *(np.asarray(weights[name]) for name in names))
    w = dict(zip(names, arrays, strict=True))
    d, f = x.shape[-1], len(w["b_up"])
    for name in names[12:]:
        if w[name].shape != (d,):
            raise ValueError(f"{name} has shape {w[name].shape}, for {d} features")
    if w["w_up"].shape != (d, f) or w["w_down"].shape != (f, d):
        raise ValueError(f"w_up {w['w_up'].shape} and w_down {w['w_down'].shape} for {d} features")
    return x, w


def _norm(x, w, number, eps):
    return layer_norm_in_place(x, w[f"ln_{number}_gamma"], w[f"ln_{number}_beta"], eps)


@alternative(of="encoder_block")
def encoder_sequence_by_sequence(x, weights, n_heads, mask=None):
    x, w = _block(x, weights)
    _projections(x, w, n_heads, mask)
    masks = None if mask is None else np.broadcast_to(mask, (len(x), n_heads, x.shape[1], x.shape[1]))
    for b in range(len(x)):
        seen = None if masks is None else masks[b : b + 1]
        x[b] += heads_summed_by_einsum(x[b : b + 1], w, n_heads, seen)[0]
        x[b] = _norm(x[b], w, 1, 1e-12)
        x[b] += gelu_by_the_normal_distribution(x[b] @ w["w_up"] + w["b_up"]) @ w["w_down"] + w["b_down"]
        x[b] = _norm(x[b], w, 2, 1e-12)
    return x


@alternative(of="encoder_block")
def encoder_by_torch(x, weights, n_heads, mask=None):
    import torch
    from torch.nn.functional import gelu, layer_norm, linear

    x, w = _block(x, weights)
    attended = torch.from_numpy(multi_head_attention_by_torch(x, w, n_heads, mask))
    x, t = torch.from_numpy(x), {name: torch.from_numpy(array) for name, array in w.items()}
    x = layer_norm(x + attended, x.shape[-1:], t["ln_1_gamma"], t["ln_1_beta"], 1e-12)
    inner = linear(gelu(linear(x, t["w_up"].T, t["b_up"])), t["w_down"].T, t["b_down"])
    return layer_norm(x + inner, x.shape[-1:], t["ln_2_gamma"], t["ln_2_beta"], 1e-12).numpy()


@alternative(of="decoder_block")
def decoder_one_step_after_another(x, weights, n_heads):
    """A loop over the tokens needs no mask: when one attends, the later ones have not come yet."""
    x = _numbers(x, axes=3)
    cache, outputs = None, []
    for token in x.swapaxes(0, 1):
        y, cache = step_into_a_larger_array(token, cache, weights, n_heads)
        outputs.append(y)
    return np.stack(outputs, axis=1)


@alternative(of="decoder_block")
def decoder_by_torch(x, weights, n_heads):
    import torch
    from torch.nn.functional import gelu, layer_norm

    x, w = _block(_numbers(x, axes=3), weights)
    stream, t = torch.from_numpy(x), {name: torch.from_numpy(array) for name, array in w.items()}
    normed = layer_norm(stream, x.shape[-1:], t["ln_1_gamma"], t["ln_1_beta"], 1e-5)
    causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
    stream = stream + torch.from_numpy(multi_head_attention_by_torch(normed.numpy(), w, n_heads, causal.numpy()))
    normed = layer_norm(stream, x.shape[-1:], t["ln_2_gamma"], t["ln_2_beta"], 1e-5)
    inner = gelu(normed @ t["w_up"] + t["b_up"], approximate="tanh")
    return (stream + inner @ t["w_down"] + t["b_down"]).numpy()


@alternative(of="decoder_block")
def decoder_token_by_token_on_prefixes(x, weights, n_heads):
    x, w = _block(_numbers(x, axes=3), weights)
    normed = _norm(x, w, 1, 1e-5)
    for t in range(x.shape[1]):
        x[:, t] += head_by_head(normed[:, : t + 1], w, n_heads)[:, t]
    inner = gelu_number_by_number(_norm(x, w, 2, 1e-5) @ w["w_up"] + w["b_up"], approximate=True)
    x += inner @ w["w_down"] + w["b_down"]
    return x


def _past(x_t, cache, n_heads):
    """The cache's keys and values, or empty ones."""
    _divisible(x_t, n_heads)
    fitting = len(x_t), n_heads, x_t.shape[-1] // n_heads
    if cache is None:
        return [np.empty((fitting[0], n_heads, 0, fitting[2]), x_t.dtype)] * 2
    for a in (cache["k"], cache["v"]):
        if (a.shape[0], a.shape[1], a.shape[3]) != fitting:
            raise ValueError(f"a cache of {a.shape}, for {n_heads} heads of {x_t.shape}")
    return [cache["k"], cache["v"]]


def _finish(x_t, attended, w):
    x_t = x_t + attended @ w["w_o"] + w["b_o"]
    inner = gelu_by_the_normal_distribution(_norm(x_t, w, 2, 1e-5) @ w["w_up"] + w["b_up"], approximate=True)
    return x_t + inner @ w["w_down"] + w["b_down"]


@alternative(of="decode_step")
def step_into_a_larger_array(x_t, cache, weights, n_heads):
    x_t, w = _block(_numbers(x_t, "x_t", axes=2), weights)
    past = _past(x_t, cache, n_heads)
    b, d = x_t.shape
    q, *new = (
        (_norm(x_t, w, 1, 1e-5) @ w[f"w_{p}"] + w[f"b_{p}"]).reshape(b, n_heads, 1, d // n_heads) for p in "qkv"
    )
    seen = []
    for old, newest in zip(past, new, strict=True):
        both = np.empty((b, n_heads, old.shape[2] + 1, d // n_heads), dtype=np.result_type(old, newest))
        both[:, :, :-1], both[:, :, -1:] = old, newest
        seen.append(both)
    heads, _ = attention_by_einsum(q, *seen)
    return _finish(x_t, heads.reshape(b, d), w), dict(zip("kv", seen, strict=True))


@alternative(of="decode_step")
def step_head_by_head(x_t, cache, weights, n_heads):
    x_t, w = _block(_numbers(x_t, "x_t", axes=2), weights)
    normed, past = _norm(x_t, w, 1, 1e-5), _past(x_t, cache, n_heads)
    width = x_t.shape[1] // n_heads
    outputs, ks, vs = [], [], []
    for head in range(n_heads):
        own = slice(head * width, (head + 1) * width)
        q, k, v = ((normed @ w[f"w_{p}"][:, own] + w[f"b_{p}"][own])[:, None] for p in "qkv")
        ks.append(np.hstack([past[0][:, head], k]))
        vs.append(np.hstack([past[1][:, head], v]))
        outputs.append(attention_by_einsum(q, ks[-1], vs[-1])[0][:, 0])
    return _finish(x_t, np.hstack(outputs), w), {"k": np.stack(ks, axis=1), "v": np.stack(vs, axis=1)}
