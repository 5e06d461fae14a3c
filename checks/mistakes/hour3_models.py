"""Wrong answers to hour 3 that people really give.

Each is wrong in one way only. Where that way is not a missing refusal, it refuses what the right answer refuses.
"""

import math

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    pipeline,
)

from deepdive.diagnose import mistake
from solutions import hour3_models as right

# ── load_encoder ────────────────────────────────────────────────────────────────────────────────────────────────


@mistake(of="load_encoder")
def left_in_training_mode(checkpoint):
    """The model is in training mode: dropout is on, and the same text gives other numbers every time."""
    model, tokenizer = right.load_encoder(checkpoint)
    return model.train(), tokenizer


@mistake(of="load_encoder")
def made_from_the_configuration_alone(checkpoint):
    """from_config makes a model of the right shape with random weights; from_pretrained loads the trained ones."""
    _, tokenizer = right.load_encoder(checkpoint)
    return AutoModel.from_config(AutoConfig.from_pretrained(checkpoint)).eval(), tokenizer


@mistake(of="load_encoder")
def with_a_classification_head(checkpoint):
    """A classification head came along, with random weights; AutoModel loads the encoder alone."""
    _, tokenizer = right.load_encoder(checkpoint)
    return AutoModelForSequenceClassification.from_pretrained(checkpoint).eval(), tokenizer


@mistake(of="load_encoder")
def with_a_language_model_head(checkpoint):
    """A head that fills in masked words came along; AutoModel loads the encoder alone."""
    _, tokenizer = right.load_encoder(checkpoint)
    return AutoModelForMaskedLM.from_pretrained(checkpoint).eval(), tokenizer


@mistake(of="load_encoder")
def in_half_precision(checkpoint):
    """The weights were loaded as float16, which saves memory and loses digits; float32 is asked for."""
    model, tokenizer = right.load_encoder(checkpoint)
    return model.half(), tokenizer


@mistake(of="load_encoder")
def tokenizer_first(checkpoint):
    """The model and the tokenizer came back in the other order; it is (model, tokenizer)."""
    return right.load_encoder(checkpoint)[::-1]


@mistake(of="load_encoder")
def froze_the_weights(checkpoint):
    """requires_grad was turned off: evaluation mode turns dropout off, and leaves the parameters trainable."""
    model, tokenizer = right.load_encoder(checkpoint)
    return model.requires_grad_(False), tokenizer


@mistake(of="load_encoder")
def reworded_the_error(checkpoint):
    """The library's error was caught and another one raised; its own says best what was not found, and where."""
    try:
        return right.load_encoder(checkpoint)
    except OSError as error:
        raise ValueError(f"cannot load {checkpoint}") from error


@mistake(of="load_encoder")
def swallowed_the_error(checkpoint):
    """The error was swallowed and nothing returned: the caller will stumble over None, somewhere else."""
    try:
        return right.load_encoder(checkpoint)
    except OSError:
        return None, None


# ── count_parameters ────────────────────────────────────────────────────────────────────────────────────────────


def _share(model, total):
    tables = {module.weight for module in model.modules() if isinstance(module, nn.Embedding)}
    return sum(table.numel() for table in tables) / total if total else 0.0


@mistake(of="count_parameters")
def frozen_counted_as_trainable(model):
    """Frozen parameters were counted as trainable; only those with requires_grad are."""
    counts = right.count_parameters(model)
    return counts | {"trainable": counts["total"]}


@mistake(of="count_parameters")
def left_frozen_ones_out(model):
    """Frozen parameters are missing from the total; they are parameters all the same."""
    counts = right.count_parameters(model)
    return counts | {"total": counts["trainable"], "embedding_share": _share(model, counts["trainable"])}


@mistake(of="count_parameters")
def counted_buffers(model):
    """Buffers were counted too, such as the running means of a BatchNorm; nothing ever trains them."""
    extra = sum(buffer.numel() for buffer in model.buffers())
    counts = right.count_parameters(model)
    total = counts["total"] + extra
    return {"total": total, "trainable": counts["trainable"], "embedding_share": _share(model, total)}


@mistake(of="count_parameters")
def counted_the_state_dict(model):
    """The state_dict was counted: it holds buffers too, and lists a tied weight under each of its names."""
    total = sum(tensor.numel() for tensor in model.state_dict().values())
    return right.count_parameters(model) | {"total": total, "embedding_share": _share(model, total)}


@mistake(of="count_parameters")
def counted_tied_weights_twice(model):
    """A weight that stands in several places was counted once for each of them."""
    every = [parameter for _, parameter in model.named_parameters(remove_duplicate=False)]
    total = sum(parameter.numel() for parameter in every)
    trainable = sum(parameter.numel() for parameter in every if parameter.requires_grad)
    return {"total": total, "trainable": trainable, "embedding_share": _share(model, total)}


@mistake(of="count_parameters")
def counted_a_shared_table_for_each_module(model):
    """The share counts a table once for every nn.Embedding that uses it, though they share a single weight."""
    counts = right.count_parameters(model)
    tables = sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Embedding))
    return counts | {"embedding_share": tables / counts["total"] if counts["total"] else 0.0}


@mistake(of="count_parameters")
def took_what_is_called_embedding(model):
    """The share goes by names with `embed` in them: BERT's LayerNorm after the embeddings has such a name."""
    counts = right.count_parameters(model)
    named = sum(p.numel() for name, p in model.named_parameters() if "embed" in name.lower())
    return counts | {"embedding_share": named / counts["total"] if counts["total"] else 0.0}


@mistake(of="count_parameters")
def took_the_words_alone(model):
    """The share has the table of words alone; positions and token types have nn.Embedding modules as well."""
    counts = right.count_parameters(model)
    tables = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    return counts | {"embedding_share": max((t.numel() for t in tables), default=0) / max(1, counts["total"])}


@mistake(of="count_parameters")
def gave_the_share_of_what_trains(model):
    """The share was taken of the trainable parameters; it is the tables' share of all parameters."""
    counts = right.count_parameters(model)
    return counts | {"embedding_share": _share(model, counts["trainable"])}


@mistake(of="count_parameters")
def gave_a_percentage(model):
    """The share came as a percentage; as a share it lies between 0 and 1."""
    counts = right.count_parameters(model)
    return counts | {"embedding_share": 100 * counts["embedding_share"]}


@mistake(of="count_parameters")
def counted_tensors(model):
    """The parameter tensors were counted, not the numbers in them: .numel() of each."""
    parameters = list(model.parameters())
    tables = {module.weight for module in model.modules() if isinstance(module, nn.Embedding)}
    trainable = sum(parameter.requires_grad for parameter in parameters)
    share = len(tables) / len(parameters) if parameters else 0.0
    return {"total": len(parameters), "trainable": trainable, "embedding_share": share}


@mistake(of="count_parameters")
def divided_by_no_parameters(model):
    """A model without parameters has a total of 0, and dividing by that fails; its share is 0.0."""
    counts = right.count_parameters(model)
    return counts | {"embedding_share": counts["embedding_share"] * counts["total"] / counts["total"]}


# ── mean_pool ───────────────────────────────────────────────────────────────────────────────────────────────────


def _weights(hidden, attention_mask):
    right.mean_pool(hidden, attention_mask)
    return attention_mask.unsqueeze(-1).to(hidden.dtype)


@mistake(of="mean_pool")
def ignored_the_mask(hidden, attention_mask):
    """The mask was ignored: the vectors at the padding are averaged in."""
    right.mean_pool(hidden, attention_mask)
    return hidden.mean(dim=1)


@mistake(of="mean_pool")
def divided_by_the_padded_length(hidden, attention_mask):
    """The sum over the real tokens was divided by T, the padded length; divide by how many real tokens there are."""
    return (hidden * _weights(hidden, attention_mask)).mean(dim=1)


@mistake(of="mean_pool")
def took_the_first_token(hidden, attention_mask):
    """The vector of the first token, [CLS], was taken in place of the mean of all real tokens."""
    right.mean_pool(hidden, attention_mask)
    return hidden[:, 0]


@mistake(of="mean_pool")
def took_the_maximum(hidden, attention_mask):
    """The largest value of each feature was taken (max pooling); the mean is asked for."""
    real = _weights(hidden, attention_mask) > 0
    return torch.where(real, hidden, -math.inf).amax(dim=1).nan_to_num(neginf=0.0)


@mistake(of="mean_pool")
def never_divided(hidden, attention_mask):
    """The vectors were summed up and not divided by the number of real tokens."""
    return (hidden * _weights(hidden, attention_mask)).sum(dim=1)


@mistake(of="mean_pool")
def nan_for_nothing_but_padding(hidden, attention_mask):
    """A text that is all padding is divided by 0 tokens, which gives NaN: keep the divisor at 1 or more."""
    mask = _weights(hidden, attention_mask)
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1)


@mistake(of="mean_pool")
def divided_by_the_tokens_of_the_batch(hidden, attention_mask):
    """The sums were divided by the real tokens of the whole batch; each text has its own number."""
    mask = _weights(hidden, attention_mask)
    return (hidden * mask).sum(dim=1) / mask.sum().clamp(min=1)


@mistake(of="mean_pool")
def averaged_the_padding(hidden, attention_mask):
    """The mask was inverted: the padding was averaged, and the real tokens were left out."""
    mask = 1 - _weights(hidden, attention_mask)
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


@mistake(of="mean_pool")
def averaged_over_features(hidden, attention_mask):
    """The mean was taken over the features, (B, T); it is to be taken over the tokens, (B, D)."""
    return (hidden * _weights(hidden, attention_mask)).mean(dim=2)


@mistake(of="mean_pool")
def left_out_the_first_token(hidden, attention_mask):
    """The first token was left out along with the padding; [CLS] is a real token, as its 1 in the mask says."""
    mask = _weights(hidden, attention_mask).clone()
    mask[:, 0] = 0
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


@mistake(of="mean_pool")
def cut_the_gradients(hidden, attention_mask):
    """The result was detached, so that no gradient flows through: a model could not be trained on it."""
    return right.mean_pool(hidden, attention_mask).detach()


@mistake(of="mean_pool")
def always_float32(hidden, attention_mask):
    """The result is float32 whatever comes in; it should have the dtype of the hidden states."""
    return right.mean_pool(hidden, attention_mask).float()


@mistake(of="mean_pool")
def never_looked_at_the_shapes(hidden, attention_mask):
    """Shapes that do not fit were accepted: broadcasting makes something of them, and nobody notices."""
    mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


@mistake(of="mean_pool")
def zeroed_the_padding_in_place(hidden, attention_mask):
    """`hidden *= mask` writes into the caller's tensor; `hidden * mask` makes a new one."""
    mask = _weights(hidden, attention_mask)
    hidden *= mask
    return hidden.sum(dim=1) / mask.sum(dim=1).clamp(min=1)


# ── embed, and embed_fast on its parts ──────────────────────────────────────────────────────────────────────────


def _refuses(texts, batch_size):
    """Whether `embed` refuses these."""
    return isinstance(texts, str) or batch_size < 1


def _embed(texts, model, tokenizer, batch_size=32, *, pool=right.mean_pool, masked=True, unit=True, **options):
    """`embed`, with one of its parts exchanged."""
    if _refuses(texts, batch_size) or not texts:
        return right.embed(texts, model, tokenizer, batch_size)
    options = {"padding": True, "truncation": True, "return_tensors": "pt"} | options
    rows = []
    with torch.no_grad():
        for start in range(0, len(texts), batch_size):
            batch = tokenizer(texts[start : start + batch_size], **options)
            output = model(**batch) if masked else model(input_ids=batch["input_ids"])
            rows.append(pool(output.last_hidden_state, batch["attention_mask"]))
    vectors = torch.cat(rows)
    return nn.functional.normalize(vectors, dim=-1) if unit else vectors


@mistake(of="embed")
def returned_in_sorted_order(texts, model, tokenizer, batch_size=32):
    """The vectors come in the order of the texts' lengths; the order of the texts is asked for."""
    vectors = right.embed(texts, model, tokenizer, batch_size)
    return vectors[sorted(range(len(texts)), key=lambda index: len(texts[index]))]


@mistake(of="embed")
def hid_the_mask_from_the_model(texts, model, tokenizer, batch_size=32):
    """The model did not get the attention mask: the real tokens attend to the padding, and the batch shows."""
    return _embed(texts, model, tokenizer, batch_size, masked=False)


@mistake(of="embed")
def averaged_over_padding(texts, model, tokenizer, batch_size=32):
    """The mean was taken over the padding too, so that a text's vector depends on its batch."""
    return _embed(texts, model, tokenizer, batch_size, pool=lambda hidden, mask: hidden.mean(dim=1))


@mistake(of="embed")
def left_unnormalised(texts, model, tokenizer, batch_size=32):
    """The vectors were not brought to length 1."""
    return _embed(texts, model, tokenizer, batch_size, unit=False)


@mistake(of="embed")
def normalised_the_features(texts, model, tokenizer, batch_size=32):
    """The features were brought to length 1 over all texts, dim=0; each text's vector has a length, dim=-1."""
    vectors = _embed(texts, model, tokenizer, batch_size, unit=False)
    return nn.functional.normalize(vectors, dim=0)


@mistake(of="embed")
def recorded_gradients(texts, model, tokenizer, batch_size=32):
    """A graph for gradients was recorded all along, which costs time and keeps every layer's output in memory."""
    vectors = right.embed(texts, model, tokenizer, batch_size)
    return vectors + 0 * sum(parameter.sum() for parameter in model.parameters())


@mistake(of="embed")
def took_the_cls_vector(texts, model, tokenizer, batch_size=32):
    """The vector of [CLS] was taken in place of the mean of all real tokens."""
    return _embed(texts, model, tokenizer, batch_size, pool=lambda hidden, mask: hidden[:, 0])


@mistake(of="embed")
def took_the_pooler_output(texts, model, tokenizer, batch_size=32):
    """pooler_output was taken, [CLS] through one more layer; the mean of the last hidden states is asked for."""
    return _embed(texts, model, tokenizer, batch_size, pool=lambda hidden, mask: model.pooler(hidden))


@mistake(of="embed")
def never_truncated(texts, model, tokenizer, batch_size=32):
    """Long texts were not cut to what the model takes: say truncation=True."""
    return _embed(texts, model, tokenizer, batch_size, truncation=False)


@mistake(of="embed")
def truncated_too_early(texts, model, tokenizer, batch_size=32):
    """The texts were cut earlier than the model needs it; the tokenizer knows the limit without a max_length."""
    return _embed(texts, model, tokenizer, batch_size, max_length=32)


@mistake(of="embed")
def left_out_special_tokens(texts, model, tokenizer, batch_size=32):
    """[CLS] and [SEP] are missing: the model was trained with them around every text."""
    return _embed(texts, model, tokenizer, batch_size, add_special_tokens=False)


@mistake(of="embed")
def dropped_the_last_batch(texts, model, tokenizer, batch_size=32):
    """The last batch was dropped because it was not full."""
    if _refuses(texts, batch_size):
        return right.embed(texts, model, tokenizer, batch_size)
    return right.embed(texts[: len(texts) // batch_size * batch_size], model, tokenizer, batch_size)


@mistake(of="embed")
def all_in_one_batch(texts, model, tokenizer, batch_size=32):
    """batch_size was ignored: all texts went through the model at once, however many there are."""
    if _refuses(texts, batch_size):
        return right.embed(texts, model, tokenizer, batch_size)
    return right.embed(texts, model, tokenizer, max(1, len(texts)))


@mistake(of="embed")
def fails_without_texts(texts, model, tokenizer, batch_size=32):
    """No texts give no batches, and torch.cat of nothing fails; a tensor of shape (0, D) is asked for."""
    return torch.cat([]) if not texts else right.embed(texts, model, tokenizer, batch_size)


@mistake(of="embed")
def took_a_text_for_a_list(texts, model, tokenizer, batch_size=32):
    """One text was accepted in place of a list of texts, and taken for a list of letters."""
    return right.embed(list(texts), model, tokenizer, batch_size)


@mistake(of="embed")
def never_looked_at_batch_size(texts, model, tokenizer, batch_size=32):
    """A batch_size below 1 was accepted; range() then makes no batches, and no vectors come back."""
    if batch_size < 0:
        return torch.empty(0, model.config.hidden_size)
    return right.embed(texts, model, tokenizer, batch_size)


# ── classify ────────────────────────────────────────────────────────────────────────────────────────────────────


@mistake(of="classify")
def scores_are_logits(texts, checkpoint):
    """The scores are logits, which can be negative and above 1; the softmax makes probabilities of them."""
    return pipeline("text-classification", model=checkpoint)(texts, truncation=True, function_to_apply="none")


@mistake(of="classify")
def scores_through_a_sigmoid(texts, checkpoint):
    """The scores went through a sigmoid, label by label; the softmax over all labels is asked for."""
    return pipeline("text-classification", model=checkpoint)(texts, truncation=True, function_to_apply="sigmoid")


@mistake(of="classify")
def label_is_an_index(texts, checkpoint):
    """The label is its index; its name is asked for, which model.config.id2label knows."""
    classifier = pipeline("text-classification", model=checkpoint)
    numbers = classifier.model.config.label2id
    return [said | {"label": numbers[said["label"]]} for said in classifier(texts, truncation=True)]


@mistake(of="classify")
def label_is_numbered(texts, checkpoint):
    """The label is LABEL_0, LABEL_1, …; the checkpoint has better names, in model.config.id2label."""
    classifier = pipeline("text-classification", model=checkpoint)
    numbers = classifier.model.config.label2id
    return [said | {"label": f"LABEL_{numbers[said['label']]}"} for said in classifier(texts, truncation=True)]


@mistake(of="classify")
def every_label_of_every_text(texts, checkpoint):
    """Each text got the scores of all labels, as with top_k=None; only the most probable one is asked for."""
    return pipeline("text-classification", model=checkpoint)(texts, truncation=True, top_k=None)


@mistake(of="classify")
def never_cut_long_texts(texts, checkpoint):
    """Long texts were not cut to what the model takes: a pipeline wants to be told, truncation=True."""
    return pipeline("text-classification", model=checkpoint)(texts)


@mistake(of="classify")
def cut_by_characters(texts, checkpoint):
    """Long texts were cut after so many characters; the limit is one of tokens, and most tokens are longer."""
    limit = AutoTokenizer.from_pretrained(checkpoint).model_max_length
    return right.classify([text[:limit] for text in texts], checkpoint)


@mistake(of="classify")
def only_the_first_text(texts, checkpoint):
    """Only the first text was classified."""
    return right.classify(texts[:1], checkpoint)


@mistake(of="classify")
def rounded_the_scores(texts, checkpoint):
    """The scores were rounded to two digits."""
    return [said | {"score": round(said["score"], 2)} for said in right.classify(texts, checkpoint)]


@mistake(of="classify")
def labels_without_scores(texts, checkpoint):
    """Only the labels came back; each is to come with its score, in a dict."""
    return [said["label"] for said in right.classify(texts, checkpoint)]


@mistake(of="classify")
def classified_with_random_weights(texts, checkpoint):
    """from_config makes a model with random weights; the pipeline loads the trained ones itself."""
    model = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(checkpoint))
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    return pipeline("text-classification", model=model, tokenizer=tokenizer)(texts, truncation=True)


# ── classify_by_hand ────────────────────────────────────────────────────────────────────────────────────────────


@torch.no_grad()
def _logits(texts, model, tokenizer, *, masked=True, **options):
    options = {"padding": True, "truncation": True, "return_tensors": "pt"} | options
    batch = tokenizer(texts, **options)
    return (model(**batch) if masked else model(input_ids=batch["input_ids"])).logits


def _said(scores, names):
    best, indices = scores.max(dim=-1)
    return [{"label": names[i], "score": s} for i, s in zip(indices.tolist(), best.tolist(), strict=True)]


@mistake(of="classify_by_hand")
def sigmoid_for_softmax(texts, model, tokenizer):
    """The scores went through a sigmoid, label by label; the softmax over all labels is asked for."""
    return _said(_logits(texts, model, tokenizer).sigmoid(), model.config.id2label) if texts else []


@mistake(of="classify_by_hand")
def softmax_over_the_texts(texts, model, tokenizer):
    """The softmax went over the texts of the batch, dim=0; each text's labels share its probability, dim=-1."""
    return _said(_logits(texts, model, tokenizer).softmax(dim=0), model.config.id2label) if texts else []


@mistake(of="classify_by_hand")
def logits_for_scores(texts, model, tokenizer):
    """The scores are logits, which can be negative and above 1; the softmax makes probabilities of them."""
    return _said(_logits(texts, model, tokenizer), model.config.id2label) if texts else []


@mistake(of="classify_by_hand")
def logarithms_for_scores(texts, model, tokenizer):
    """The scores are logarithms of probabilities, as log_softmax gives them."""
    return _said(_logits(texts, model, tokenizer).log_softmax(dim=-1), model.config.id2label) if texts else []


@mistake(of="classify_by_hand")
def did_not_truncate(texts, model, tokenizer):
    """Long texts were not cut to what the model takes: say truncation=True."""
    return (
        _said(_logits(texts, model, tokenizer, truncation=False).softmax(-1), model.config.id2label) if texts else []
    )


@mistake(of="classify_by_hand")
def cut_after_characters(texts, model, tokenizer):
    """Long texts were cut after so many characters; the limit is one of tokens, and most tokens are longer."""
    return right.classify_by_hand([text[: tokenizer.model_max_length] for text in texts], model, tokenizer)


@mistake(of="classify_by_hand")
def assumed_negative_then_positive(texts, model, tokenizer):
    """Label 0 was taken to be NEGATIVE and label 1 POSITIVE; only model.config.id2label knows."""
    return _said(_logits(texts, model, tokenizer).softmax(-1), ["NEGATIVE", "POSITIVE"]) if texts else []


@mistake(of="classify_by_hand")
def assumed_the_order_of_the_alphabet(texts, model, tokenizer):
    """The labels' names were sorted before they were numbered; their numbers stand in model.config.id2label."""
    return _said(_logits(texts, model, tokenizer).softmax(-1), sorted(model.config.label2id)) if texts else []


@mistake(of="classify_by_hand")
def indices_for_labels(texts, model, tokenizer):
    """The labels are indices; their names are asked for, which model.config.id2label knows."""
    return _said(_logits(texts, model, tokenizer).softmax(-1), range(model.config.num_labels)) if texts else []


@mistake(of="classify_by_hand")
def numbered_the_labels(texts, model, tokenizer):
    """The labels are LABEL_0, LABEL_1, …; model.config.id2label has better names."""
    names = [f"LABEL_{index}" for index in range(model.config.num_labels)]
    return _said(_logits(texts, model, tokenizer).softmax(-1), names) if texts else []


@mistake(of="classify_by_hand")
def let_the_padding_speak(texts, model, tokenizer):
    """The model did not get the attention mask: the padding of short texts is attended to like words."""
    return _said(_logits(texts, model, tokenizer, masked=False).softmax(-1), model.config.id2label) if texts else []


@mistake(of="classify_by_hand")
def kept_the_graph(texts, model, tokenizer):
    """A graph for gradients was recorded, which costs time and memory: torch.no_grad() turns it off."""
    said = right.classify_by_hand(texts, model, tokenizer)
    if texts:
        model(**tokenizer(texts, padding=True, truncation=True, return_tensors="pt"))
    return said


@mistake(of="classify_by_hand")
def scores_left_tensors(texts, model, tokenizer):
    """The scores are tensors still; .item() or .tolist() makes Python floats of them."""
    said = right.classify_by_hand(texts, model, tokenizer)
    return [one | {"score": torch.tensor(one["score"])} for one in said]


@mistake(of="classify_by_hand")
def stumbled_over_no_texts(texts, model, tokenizer):
    """No texts make no batch, and the tokenizer or the model fails on it; [] is asked for."""
    return _said(_logits(texts, model, tokenizer).softmax(-1), model.config.id2label)


# ── training_step ───────────────────────────────────────────────────────────────────────────────────────────────


def _checked(batch, max_grad_norm):
    if "labels" not in batch or not max_grad_norm > 0:
        raise ValueError(f"labels of {list(batch)}, max_grad_norm {max_grad_norm}")


def _step(model, batch, optimizer, max_grad_norm, *, clear=True, clip=None, training=True):
    """`training_step`, with one of its parts exchanged."""
    _checked(batch, max_grad_norm)
    if training:
        model.train()
    if clear:
        optimizer.zero_grad()
    loss = model(**batch).loss
    loss.backward()
    if clip is None:
        nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    else:
        clip(list(model.parameters()))
    optimizer.step()
    return loss.item()


@mistake(of="training_step")
def let_gradients_accumulate(model, batch, optimizer, max_grad_norm=1.0):
    """The gradients were never cleared: backward adds to those of the batches before."""
    return _step(model, batch, optimizer, max_grad_norm, clear=False)


@mistake(of="training_step")
def cleared_only_afterwards(model, batch, optimizer, max_grad_norm=1.0):
    """The gradients were cleared after the step only, so that what an earlier backward pass left behind counts."""
    loss = _step(model, batch, optimizer, max_grad_norm, clear=False)
    optimizer.zero_grad()
    return loss


@mistake(of="training_step")
def stepped_before_backward(model, batch, optimizer, max_grad_norm=1.0):
    """The optimizer stepped before backward, with the gradients of the batch before."""
    _checked(batch, max_grad_norm)
    model.train()
    loss = model(**batch).loss
    optimizer.step()
    optimizer.zero_grad()
    model(**batch).loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    return loss.item()


@mistake(of="training_step")
def never_clipped(model, batch, optimizer, max_grad_norm=1.0):
    """The gradients were not clipped to max_grad_norm, or only after the step, when it was too late."""
    return _step(model, batch, optimizer, max_grad_norm, clip=lambda _: None)


@mistake(of="training_step")
def clipped_each_value(model, batch, optimizer, max_grad_norm=1.0):
    """Each value was clipped by itself, which turns the direction; the length of all gradients together is meant."""
    return _step(model, batch, optimizer, max_grad_norm, clip=lambda p: nn.utils.clip_grad_value_(p, max_grad_norm))


@mistake(of="training_step")
def clipped_each_parameter(model, batch, optimizer, max_grad_norm=1.0):
    """Each parameter's gradient was clipped by itself; the length of all gradients together is meant."""
    clip = nn.utils.clip_grad_norm_
    return _step(model, batch, optimizer, max_grad_norm, clip=lambda ps: [clip([p], max_grad_norm) for p in ps])


@mistake(of="training_step")
def always_rescaled(model, batch, optimizer, max_grad_norm=1.0):
    """Short gradients were lengthened to max_grad_norm; only longer ones are scaled, down to it."""

    def rescale(parameters):
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        length = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        for gradient in gradients:
            gradient *= max_grad_norm / length

    return _step(model, batch, optimizer, max_grad_norm, clip=rescale)


@mistake(of="training_step")
def always_clipped_to_one(model, batch, optimizer, max_grad_norm=1.0):
    """max_grad_norm was ignored: the gradients are always clipped to 1."""
    return _step(model, batch, optimizer, max_grad_norm, clip=lambda p: nn.utils.clip_grad_norm_(p, 1.0))


@mistake(of="training_step")
def left_in_evaluation_mode(model, batch, optimizer, max_grad_norm=1.0):
    """The model learnt in evaluation mode, without dropout: model.train() is missing."""
    return _step(model, batch, optimizer, max_grad_norm, training=False)


@mistake(of="training_step")
def loss_after_the_step(model, batch, optimizer, max_grad_norm=1.0):
    """The loss was computed after the step; the one before it is asked for, which is known already."""
    _step(model, batch, optimizer, max_grad_norm)
    with torch.no_grad():
        return model(**batch).loss.item()


@mistake(of="training_step")
def loss_left_a_tensor(model, batch, optimizer, max_grad_norm=1.0):
    """The loss is a tensor still, and keeps the whole graph alive with it: .item() makes a float of it."""
    return torch.tensor(_step(model, batch, optimizer, max_grad_norm))


@mistake(of="training_step")
def forgot_the_step(model, batch, optimizer, max_grad_norm=1.0):
    """Nothing was learnt: optimizer.step() is missing, or the gradients were cleared before it."""
    _checked(batch, max_grad_norm)
    model.train()
    optimizer.zero_grad()
    loss = model(**batch).loss
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    return loss.item()


@mistake(of="training_step")
def popped_the_labels(model, batch, optimizer, max_grad_norm=1.0):
    """batch.pop("labels") takes the labels out of the caller's batch; batch["labels"] leaves them there."""
    loss = _step(model, batch, optimizer, max_grad_norm)
    batch.pop("labels")
    return loss


@mistake(of="training_step")
def stumbled_over_missing_labels(model, batch, optimizer, max_grad_norm=1.0):
    """A batch without labels was not refused: the model gives no loss for it, and None has no backward."""
    if "labels" not in batch:
        return model(**batch).loss.backward()
    return right.training_step(model, batch, optimizer, max_grad_norm)


@mistake(of="training_step")
def accepted_any_max_grad_norm(model, batch, optimizer, max_grad_norm=1.0):
    """A max_grad_norm of 0 or less was accepted: nothing is learnt with it, or the opposite of what was to be."""
    if "labels" not in batch:
        return right.training_step(model, batch, optimizer, max_grad_norm)
    clip = nn.utils.clip_grad_norm_
    return _step(model, batch, optimizer, 1.0, clip=lambda parameters: clip(parameters, max_grad_norm))


# ── semantic_search ─────────────────────────────────────────────────────────────────────────────────────────────


def _ranked(query, corpus, model, tokenizer, top_k, *, vectors=right.embed, key=lambda found: (-found[1], found[0])):
    """`semantic_search`, with one of its parts exchanged."""
    right.semantic_search(query, [], model, tokenizer, top_k)
    indices = [index for index, text in enumerate(corpus) if text != query]
    embedded = vectors([query, *(corpus[index] for index in indices)], model, tokenizer)
    scores = (embedded[1:] @ embedded[0]).tolist()
    return sorted(((index, round(score, 6)) for index, score in zip(indices, scores, strict=True)), key=key)[:top_k]


@mistake(of="semantic_search")
def dot_product_of_raw_vectors(query, corpus, model, tokenizer, top_k=5):
    """The dot product was taken of vectors of any length: long vectors win; the cosine wants them of length 1."""
    return _ranked(query, corpus, model, tokenizer, top_k, vectors=left_unnormalised)


@mistake(of="semantic_search")
def compared_cls_vectors(query, corpus, model, tokenizer, top_k=5):
    """The vectors of [CLS] were compared; the mean vectors that `embed` gives are asked for."""
    return _ranked(query, corpus, model, tokenizer, top_k, vectors=took_the_cls_vector)


@mistake(of="semantic_search")
def worst_first(query, corpus, model, tokenizer, top_k=5):
    """The findings are in ascending order: the least alike come first."""
    return _ranked(query, corpus, model, tokenizer, top_k, key=lambda found: (found[1], found[0]))


@mistake(of="semantic_search")
def found_the_query(query, corpus, model, tokenizer, top_k=5):
    """The query found itself in the corpus; entries that are the query itself are no findings."""
    right.semantic_search(query, [], model, tokenizer, top_k)
    found = right.semantic_search(
        query, [text for text in corpus if text != query], model, tokenizer, len(corpus) + 1
    )
    others = [index for index, text in enumerate(corpus) if text != query]
    itself = [(index, 1.0) for index, text in enumerate(corpus) if text == query]
    return (itself + [(others[index], cosine) for index, cosine in found])[:top_k]


@mistake(of="semantic_search")
def gave_everything(query, corpus, model, tokenizer, top_k=5):
    """top_k was ignored: all of the corpus came back."""
    right.semantic_search(query, [], model, tokenizer, top_k)
    return right.semantic_search(query, corpus, model, tokenizer, max(top_k, len(corpus)))


@mistake(of="semantic_search")
def gave_distances(query, corpus, model, tokenizer, top_k=5):
    """Distances came back, 1 minus the cosine; the cosine itself is asked for."""
    found = right.semantic_search(query, corpus, model, tokenizer, top_k)
    return [(index, round(1 - cosine, 6)) for index, cosine in found]


@mistake(of="semantic_search")
def ties_to_the_higher_index(query, corpus, model, tokenizer, top_k=5):
    """Of equal texts the later one came first, as in an ascending order turned round; ties go to the lower index."""
    return _ranked(query, corpus, model, tokenizer, top_k, key=lambda found: (-found[1], -found[0]))


@mistake(of="semantic_search")
def counted_without_the_query(query, corpus, model, tokenizer, top_k=5):
    """The indices count the corpus after the query was taken out; they are to point into the corpus as it came."""
    return right.semantic_search(query, [text for text in corpus if text != query], model, tokenizer, top_k)


@mistake(of="semantic_search")
def looked_the_index_up(query, corpus, model, tokenizer, top_k=5):
    """The index was looked up by the text, corpus.index(…), which always finds the first of equal texts."""
    found = right.semantic_search(query, corpus, model, tokenizer, top_k)
    return [(corpus.index(corpus[index]), cosine) for index, cosine in found]


@mistake(of="semantic_search")
def cosine_before_index(query, corpus, model, tokenizer, top_k=5):
    """The pairs are the other way round; it is (index, cosine)."""
    return [(cosine, index) for index, cosine in right.semantic_search(query, corpus, model, tokenizer, top_k)]


@mistake(of="semantic_search")
def wanted_more_than_there_are(query, corpus, model, tokenizer, top_k=5):
    """topk fails when it is asked for more than there are; all of them is the answer then."""
    found = right.semantic_search(query, corpus, model, tokenizer, top_k)
    torch.topk(torch.zeros(len([text for text in corpus if text != query])), top_k)
    return found


@mistake(of="semantic_search")
def accepted_any_top_k(query, corpus, model, tokenizer, top_k=5):
    """A top_k below 1 was accepted; a slice makes something of it, and an empty list looks like a finding of none."""
    if top_k >= 1:
        return right.semantic_search(query, corpus, model, tokenizer, top_k)
    return right.semantic_search(query, corpus, model, tokenizer, len(corpus))[:top_k]


# ── train_with_trainer ──────────────────────────────────────────────────────────────────────────────────────────


def _accuracy(prediction):
    return {"accuracy": float((prediction.predictions.argmax(axis=-1) == prediction.label_ids).mean())}


def _trainer(model, train, evaluation, output_dir, metrics=_accuracy, **settings):
    settings = {
        "num_train_epochs": 3,
        "per_device_train_batch_size": 8,
        "learning_rate": 3e-3,
        "eval_strategy": "epoch",
        "save_strategy": "no",
        "report_to": "none",
    } | settings
    arguments = TrainingArguments(output_dir=output_dir, **settings)
    return Trainer(model=model, args=arguments, train_dataset=train, eval_dataset=evaluation, compute_metrics=metrics)


def _run(trainer):
    training = trainer.train()
    return {"train_loss": training.training_loss, **trainer.evaluate()}


@mistake(of="train_with_trainer")
def compared_logits_with_labels(model, train, evaluation, output_dir):
    """The metric compares logits with labels: take the argmax over the labels first."""
    return _run(
        _trainer(
            model,
            train,
            evaluation,
            output_dir,
            lambda p: {"accuracy": float((p.predictions == p.label_ids).mean())},
        )
    )


@mistake(of="train_with_trainer")
def took_logits_for_probabilities(model, train, evaluation, output_dir):
    """The first logit was compared with 0.5 as if it were a probability; the greater of the two logits decides."""
    return _run(
        _trainer(
            model,
            train,
            evaluation,
            output_dir,
            lambda p: {"accuracy": float(((p.predictions[:, 0] > 0.5) == p.label_ids).mean())},
        )
    )


@mistake(of="train_with_trainer")
def argmax_over_the_rows(model, train, evaluation, output_dir):
    """The argmax went over the rows, axis 0; each row's labels are along the last axis."""
    return _run(
        _trainer(
            model,
            train,
            evaluation,
            output_dir,
            lambda p: {"accuracy": float((p.predictions.argmax(axis=0)[0] == p.label_ids).mean())},
        )
    )


@mistake(of="train_with_trainer")
def accuracy_in_percent(model, train, evaluation, output_dir):
    """The accuracy came as a percentage; as a share it lies between 0 and 1."""
    return _run(
        _trainer(model, train, evaluation, output_dir, lambda p: {"accuracy": 100 * _accuracy(p)["accuracy"]})
    )


@mistake(of="train_with_trainer")
def dropped_the_labels(model, train, evaluation, output_dir):
    """The column `label` was dropped: without labels the model computes no loss."""
    return _run(_trainer(model, train.remove_columns("label"), evaluation, output_dir))


@mistake(of="train_with_trainer")
def evaluated_on_the_training_rows(model, train, evaluation, output_dir):
    """The model was evaluated on the rows it was trained on, which flatters it; `evaluation` is for this."""
    return _run(_trainer(model, train, train, output_dir))


@mistake(of="train_with_trainer")
def trained_on_the_evaluation_rows(model, train, evaluation, output_dir):
    """The two sets are the wrong way round: the model was trained on `evaluation`."""
    return _run(_trainer(model, evaluation, train, output_dir))


@mistake(of="train_with_trainer")
def used_the_old_name(model, train, evaluation, output_dir):
    """`evaluation_strategy` is gone from the library; it is called `eval_strategy` now."""
    return _run(_trainer(model, train, evaluation, output_dir, evaluation_strategy="epoch"))


@mistake(of="train_with_trainer")
def never_evaluated_in_between(model, train, evaluation, output_dir):
    """The model was evaluated only at the end; eval_strategy="epoch" does it after every epoch."""
    return _run(_trainer(model, train, evaluation, output_dir, eval_strategy="no"))


@mistake(of="train_with_trainer")
def evaluated_before_the_training(model, train, evaluation, output_dir):
    """What is reported was measured before the training, not after it."""
    trainer = _trainer(model, train, evaluation, output_dir)
    before = trainer.evaluate()
    return {"train_loss": trainer.train().training_loss, **before}


@mistake(of="train_with_trainer")
def reported_the_training_alone(model, train, evaluation, output_dir):
    """Only the training was reported, which train() returns; trainer.evaluate() gives the rest."""
    return _trainer(model, train, evaluation, output_dir).train().metrics


@mistake(of="train_with_trainer")
def without_a_metric(model, train, evaluation, output_dir):
    """There is no accuracy: the Trainer computes one only if it is given compute_metrics."""
    return _run(_trainer(model, train, evaluation, output_dir, None))


@mistake(of="train_with_trainer")
def left_the_learning_rate(model, train, evaluation, output_dir):
    """The learning rate was left at the library's 5e-5: for an untrained model that is far too slow."""
    return _run(_trainer(model, train, evaluation, output_dir, learning_rate=5e-5))


@mistake(of="train_with_trainer")
def trained_for_one_epoch(model, train, evaluation, output_dir):
    """The training lasted one epoch; three are asked for."""
    return _run(_trainer(model, train, evaluation, output_dir, num_train_epochs=1))


@mistake(of="train_with_trainer")
def reported_the_last_loss(model, train, evaluation, output_dir):
    """train_loss is the evaluation's loss; the mean loss over the training is asked for, train().training_loss."""
    told = _run(_trainer(model, train, evaluation, output_dir))
    return told | {"train_loss": told["eval_loss"]}


# ── embed_fast ──────────────────────────────────────────────────────────────────────────────────────────────────


def _fast(texts, model, tokenizer, *, length=None, batches_to=True, masked=True, unit=True, **options):
    """`embed_fast`, with one of its parts exchanged: the vectors in sorted order, and that order."""
    if not texts:
        return right.embed_fast(texts, model, tokenizer), []
    encoded = tokenizer(texts, **{"truncation": True} | options)
    rows = [dict(zip(encoded, row, strict=True)) for row in zip(*encoded.values(), strict=True)]
    lengths = [length(text) if length else sum(row["attention_mask"]) for text, row in zip(texts, rows, strict=True)]
    order = sorted(range(len(texts)), key=lengths.__getitem__)
    collate = DataCollatorWithPadding(tokenizer, padding=batches_to)
    vectors = []
    with torch.no_grad():
        for start in range(0, len(order), 32):
            batch = collate([rows[index] for index in order[start : start + 32]])
            hidden = model(**batch)[0] if masked else model(input_ids=batch["input_ids"])[0]
            vectors.append(right.mean_pool(hidden, batch["attention_mask"]))
    pooled = torch.cat(vectors)
    return nn.functional.normalize(pooled, dim=-1) if unit else pooled, order


def _restored(vectors, order):
    back = torch.empty_like(vectors)
    back[order] = vectors
    return back


@mistake(of="embed_fast")
def left_in_sorted_order(texts, model, tokenizer):
    """The vectors come in the order of the texts' lengths; the order of the texts is asked for."""
    return _fast(texts, model, tokenizer)[0]


@mistake(of="embed_fast")
def sorted_them_twice(texts, model, tokenizer):
    """vectors[order] sorts a second time; the way back is result[order] = vectors, or the argsort of the order."""
    vectors, order = _fast(texts, model, tokenizer)
    return vectors[order]


@mistake(of="embed_fast")
def sorted_by_characters(texts, model, tokenizer):
    """The texts were sorted by their characters; a batch costs what its tokens cost, and some words have many."""
    return _restored(*_fast(texts, model, tokenizer, length=len))


@mistake(of="embed_fast")
def did_not_sort(texts, model, tokenizer):
    """The texts went through the model in their own order: one long text makes its whole batch as long."""
    return _restored(*_fast(texts, model, tokenizer, length=lambda text: 1))


@mistake(of="embed_fast")
def padded_all_to_the_limit(texts, model, tokenizer):
    """Every batch was padded to the most that the model takes; its own longest text is enough."""
    return _restored(*_fast(texts, model, tokenizer, batches_to="max_length"))


@mistake(of="embed_fast")
def padded_before_sorting(texts, model, tokenizer):
    """All texts were padded together, to the longest of all, before they were sorted into batches."""
    return _restored(*_fast(texts, model, tokenizer, padding=True))


@mistake(of="embed_fast")
def cut_texts_short(texts, model, tokenizer):
    """The texts were cut shorter than the model needs it: that is fast, and loses what they say further on."""
    return _restored(*_fast(texts, model, tokenizer, max_length=32))


@mistake(of="embed_fast")
def kept_the_mask_from_the_model(texts, model, tokenizer):
    """The model did not get the attention mask: the real tokens attend to the padding."""
    return _restored(*_fast(texts, model, tokenizer, masked=False))


@mistake(of="embed_fast")
def recorded_the_graph(texts, model, tokenizer):
    """A graph for gradients was recorded, which costs time and memory: torch.no_grad() turns it off."""
    vectors = right.embed_fast(texts, model, tokenizer)
    return vectors + 0 * sum(parameter.sum() for parameter in model.parameters()) if texts else vectors


@mistake(of="embed_fast")
def in_fewer_digits(texts, model, tokenizer):
    """The model ran in bfloat16: that may be faster, and leaves two or three digits of the vectors."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return right.embed_fast(texts, model, tokenizer).float()


@mistake(of="embed_fast")
def stumbled_without_texts(texts, model, tokenizer):
    """No texts give no batches, and torch.cat of nothing fails; a tensor of shape (0, D) is asked for."""
    return torch.cat([]) if not texts else right.embed_fast(texts, model, tokenizer)


@mistake(of="embed_fast")
def not_of_length_one(texts, model, tokenizer):
    """The vectors were not brought to length 1."""
    return _restored(*_fast(texts, model, tokenizer, unit=False))
