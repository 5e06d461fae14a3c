"""Other right answers to hour 3: one text at a time, other padding, NumPy for torch, other parts of the library."""

import numpy as np
import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    TextClassificationPipeline,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    pipeline,
)

from tests.alternatives import alternative

# ── load_encoder ────────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="load_encoder")
def through_the_configuration(checkpoint):
    config = AutoConfig.from_pretrained(checkpoint)
    model = AutoModel.from_pretrained(checkpoint, config=config, dtype=torch.float32)
    model.train(False)
    return model, AutoTokenizer.from_pretrained(checkpoint, config=config)


@alternative(of="load_encoder")
def out_of_a_pipeline(checkpoint):
    extractor = pipeline("feature-extraction", model=checkpoint, device="cpu")
    return [extractor.model.eval(), extractor.tokenizer]


# ── count_parameters ────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="count_parameters")
def counted_by_identity(model):
    seen, total, trainable, embedded = set(), 0, 0, 0
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            total += parameter.nelement()
            trainable += parameter.nelement() * parameter.requires_grad
    seen = set()
    for module in model.modules():
        if isinstance(module, nn.Embedding) and id(module.weight) not in seen:
            seen.add(id(module.weight))
            embedded += module.num_embeddings * module.embedding_dim
    return {"embedding_share": embedded / max(total, 1), "total": total, "trainable": int(trainable)}


@alternative(of="count_parameters")
def counted_with_numpy(model):
    sizes = {p: np.prod(p.shape, dtype=np.int64) for p in model.parameters()}
    tables = {m.weight for m in model.modules() if isinstance(m, nn.Embedding)}
    total = int(sum(sizes.values()))
    return {
        "total": total,
        "trainable": int(sum(size for p, size in sizes.items() if p.requires_grad)),
        "embedding_share": float(sum(sizes[table] for table in tables) / total) if total else 0.0,
    }


# ── mean_pool ───────────────────────────────────────────────────────────────────────────────────────────────────


def _fits(hidden, attention_mask):
    if hidden.dim() != 3 or tuple(attention_mask.shape) != tuple(hidden.shape[:-1]):
        raise ValueError(f"hidden {list(hidden.shape)}, attention_mask {list(attention_mask.shape)}")


@alternative(of="mean_pool")
def pooled_by_a_product(hidden, attention_mask):
    _fits(hidden, attention_mask)
    mask = attention_mask.to(hidden.dtype)
    weights = (mask / mask.sum(dim=-1, keepdim=True)).nan_to_num()
    return torch.einsum("bt,btd->bd", weights, hidden)


@alternative(of="mean_pool")
def pooled_text_by_text(hidden, attention_mask):
    _fits(hidden, attention_mask)
    means = [row[keep].mean(dim=0).nan_to_num() for row, keep in zip(hidden, attention_mask.bool(), strict=True)]
    return torch.stack(means)


@alternative(of="mean_pool")
def pooled_as_sentence_transformers_does(hidden, attention_mask):
    _fits(hidden, attention_mask)
    mask = attention_mask.unsqueeze(-1).expand(hidden.size()).to(hidden.dtype)
    return torch.sum(hidden * mask, 1) / torch.clamp(mask.sum(1), min=1e-9)


# ── embed ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _allowed(texts, batch_size):
    if isinstance(texts, str) or batch_size < 1:
        raise ValueError(f"texts {texts!r}, batch_size {batch_size}")


@alternative(of="embed")
def embedded_one_at_a_time(texts, model, tokenizer, batch_size=32):
    _allowed(texts, batch_size)
    vectors = torch.zeros(len(texts), model.config.hidden_size)
    with torch.inference_mode():
        for index, text in enumerate(texts):
            output = model(**tokenizer(text, truncation=True, return_tensors="pt"))
            mean = output[0].mean(dim=1)
            vectors[index] = mean[0] / mean.norm()
    return vectors


@alternative(of="embed")
@torch.no_grad()
def embedded_with_padding_to_the_limit(texts, model, tokenizer, batch_size=32):
    _allowed(texts, batch_size)
    if not texts:
        return torch.zeros((0, model.config.hidden_size))
    encoded = tokenizer(
        list(texts), padding="max_length", truncation=True, max_length=tokenizer.model_max_length, return_tensors="pt"
    )
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(encoded["input_ids"], encoded["attention_mask"]), batch_size=batch_size
    )
    vectors = []
    for ids, mask in loader:
        hidden = model(ids, attention_mask=mask).last_hidden_state.numpy()
        weights = mask.numpy()[:, :, None].astype(np.float32)
        sums = (hidden * weights).sum(axis=1)  # the mean points the same way
        vectors.append(torch.from_numpy(sums / np.linalg.norm(sums, axis=1, keepdims=True)))
    return torch.cat(vectors)


# ── classify and classify_by_hand ───────────────────────────────────────────────────────────────────────────────


@alternative(of="classify")
def classified_by_its_parts(texts, checkpoint):
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint)
    classifier = TextClassificationPipeline(model=model, tokenizer=AutoTokenizer.from_pretrained(checkpoint))
    return [dict(said) for [said] in classifier(texts, truncation=True, top_k=1)] if texts else []


@alternative(of="classify")
def classified_in_batches(texts, checkpoint):
    classifier = pipeline("sentiment-analysis", model=checkpoint, tokenizer=checkpoint, device=-1)
    limit = classifier.model.config.max_position_embeddings
    return list(classifier(list(texts), batch_size=4, padding=True, truncation=True, max_length=limit))


@alternative(of="classify_by_hand")
def one_text_after_the_other(texts, model, tokenizer):
    said = []
    for text in texts:
        with torch.inference_mode():
            logits = model(**tokenizer(text, truncation=True, return_tensors="pt")).logits.squeeze(0)
        index = logits.argmax().item()
        said.append({"score": logits.log_softmax(0).exp()[index].item(), "label": model.config.id2label[index]})
    return said


@alternative(of="classify_by_hand")
@torch.no_grad()
def with_numpy(texts, model, tokenizer):
    if len(texts) == 0:
        return []
    limit = min(tokenizer.model_max_length, model.config.max_position_embeddings)
    logits = model(**tokenizer(texts, padding="max_length", max_length=limit, truncation=True, return_tensors="pt"))[
        0
    ]
    exps = np.exp(logits.numpy() - logits.numpy().max(axis=1, keepdims=True))
    probabilities = exps / exps.sum(axis=1, keepdims=True)
    return [{"label": model.config.id2label[int(p.argmax())], "score": float(p.max())} for p in probabilities]


# ── training_step ───────────────────────────────────────────────────────────────────────────────────────────────


def _trainable(batch, max_grad_norm):
    if "labels" not in batch:
        raise ValueError("there are no labels")
    if max_grad_norm <= 0:
        raise ValueError(f"max_grad_norm={max_grad_norm}")


@alternative(of="training_step")
def stepped_with_a_loss_of_its_own(model, batch, optimizer, max_grad_norm=1.0):
    _trainable(batch, max_grad_norm)
    model.train(True)
    model.zero_grad(set_to_none=False)
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    loss = nn.functional.cross_entropy(model(**inputs).logits, batch["labels"])
    loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
    for gradient in gradients:
        gradient.mul_(min(1.0, max_grad_norm / (float(length) + 1e-6)))
    optimizer.step()
    return float(loss)


@alternative(of="training_step")
def stepped_with_gradients_set_by_hand(model, batch, optimizer, max_grad_norm=1.0):
    _trainable(batch, max_grad_norm)
    model.train()
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    loss = model(**batch)["loss"]
    gradients = torch.autograd.grad(loss, parameters)
    length = sum(float(g.double().pow(2).sum()) for g in gradients) ** 0.5
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient * (max_grad_norm / length) if length > max_grad_norm else gradient
    optimizer.step()
    optimizer.zero_grad()
    return loss.detach().item()


# ── semantic_search ─────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="semantic_search")
def searched_one_by_one(query, corpus, model, tokenizer, top_k=5):
    if top_k <= 0:
        raise ValueError(f"top_k={top_k}")
    wanted = embedded_one_at_a_time([query], model, tokenizer)
    cosines = {
        index: round(
            float(nn.functional.cosine_similarity(wanted, embedded_one_at_a_time([text], model, tokenizer))), 6
        )
        for index, text in enumerate(corpus)
        if text != query
    }
    best = sorted(cosines, key=cosines.__getitem__, reverse=True)[:top_k]  # reverse keeps the order of equal ones
    return [(index, cosines[index]) for index in best]


@alternative(of="semantic_search")
def searched_with_numpy(query, corpus, model, tokenizer, top_k=5):
    if top_k < 1:
        raise ValueError(f"top_k={top_k}")
    if not corpus:
        return []
    vectors = _in_batches([*corpus, query], model, tokenizer).numpy().astype(np.float64)
    cosines = (vectors[:-1] @ vectors[-1]).round(6)
    order = [index for index in np.argsort(-cosines, kind="stable").tolist() if corpus[index] != query]
    return [(index, float(cosines[index])) for index in order[:top_k]]


# ── train_with_trainer ──────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="train_with_trainer")
def trained_with_argmax_ahead(model, train, evaluation, output_dir):
    arguments = TrainingArguments(
        output_dir,
        num_train_epochs=3,
        per_device_train_batch_size=8,
        per_device_eval_batch_size=64,
        learning_rate=3e-3,
        eval_strategy="epoch",
        logging_strategy="epoch",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    trainer = Trainer(
        model,
        arguments,
        train_dataset=train.rename_column("label", "labels"),
        eval_dataset=evaluation.rename_column("label", "labels"),
        preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(dim=-1),
        compute_metrics=lambda p: {"accuracy": float(np.mean(p.predictions == p.label_ids))},
    )
    trained = trainer.train().metrics
    return trained | trainer.evaluate()


@alternative(of="train_with_trainer")
def trained_and_read_from_its_log(model, train, evaluation, output_dir):
    class Quiet(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **others):
            control.should_log = False

    def accuracy(prediction):
        logits, labels = prediction
        return {
            "accuracy": float(
                sum(row.argmax() == label for row, label in zip(logits, labels, strict=True)) / len(labels)
            )
        }

    arguments = TrainingArguments(
        output_dir=output_dir,
        learning_rate=0.003,
        per_device_train_batch_size=8,
        eval_strategy="epoch",
        save_strategy="no",
        report_to="none",
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=train.with_format("torch"),
        eval_dataset=evaluation.with_format("torch"),
        compute_metrics=accuracy,
        callbacks=[Quiet()],
    )
    loss = trainer.train().training_loss
    last = [entry for entry in trainer.state.log_history if "eval_loss" in entry][-1]
    return {"train_loss": loss, "eval_loss": last["eval_loss"], "eval_accuracy": last["eval_accuracy"]}


# ── embed_fast ──────────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="embed_fast")
@torch.inference_mode()
def fast_from_the_longest(texts, model, tokenizer):
    if not texts:
        return torch.zeros(0, model.config.hidden_size)
    encoded = tokenizer(texts, truncation=True)["input_ids"]
    order = np.argsort([-len(ids) for ids in encoded], kind="stable")
    parts = []
    for start in range(0, len(texts), 16):
        rows = [torch.tensor(encoded[index]) for index in order[start : start + 16]]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=tokenizer.pad_token_id)
        mask = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        sums = (model(input_ids=ids, attention_mask=mask)[0] * mask[:, :, None]).sum(dim=1)
        parts.append(nn.functional.normalize(sums))
    return torch.cat(parts)[np.argsort(order)]


@alternative(of="embed_fast")
def fast_by_sorted_texts(texts, model, tokenizer):
    lengths = [len(ids) for ids in tokenizer(texts)["input_ids"]] if texts else []
    order = sorted(range(len(texts)), key=lengths.__getitem__)
    sorted_vectors = _in_batches([texts[index] for index in order], model, tokenizer)
    places = torch.tensor(order, dtype=torch.int64).argsort()
    return sorted_vectors[places]


@torch.no_grad()
def _in_batches(texts, model, tokenizer):
    parts = [torch.zeros(0, model.config.hidden_size)]
    for start in range(0, len(texts), 32):
        batch = tokenizer(texts[start : start + 32], truncation=True, padding="longest", return_tensors="pt")
        mask = batch["attention_mask"].unsqueeze(-1)
        means = (model(**batch).last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1)
        parts.append(means / means.norm(dim=-1, keepdim=True))
    return torch.cat(parts)
