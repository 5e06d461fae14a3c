"""Other right answers to hour 5: by hand instead of by a library, by another part of the library, by loops."""

import math

import numpy as np
import torch

from tests.alternatives import alternative

# ── compute_metrics ─────────────────────────────────────────────────────────────────────────────────────────────


def _two_columns(prediction):
    logits, labels = np.asarray(prediction.predictions), np.asarray(prediction.label_ids)
    if logits.ndim != 2 or logits.shape[1] != 2 or not len(logits):
        raise ValueError(f"bad logits: {logits.shape}")
    if labels.shape != (len(logits),):
        raise ValueError(f"bad labels: {labels.shape}")
    return logits, labels


@alternative(of="compute_metrics")
def metrics_by_counting(prediction):
    logits, labels = _two_columns(prediction)
    called = logits[:, 1] > logits[:, 0]
    found, all_called, all_true = ((called & (labels == 1)).sum(), called.sum(), (labels == 1).sum())
    precision = float(found / all_called) if all_called else 0.0
    recall = float(found / all_true) if all_true else 0.0
    f1 = 2 * precision * recall / (precision + recall) if found else 0.0
    return {"accuracy": float((called == labels).mean()), "precision": precision, "recall": recall, "f1": f1}


@alternative(of="compute_metrics")
def metrics_by_four_scores(prediction):
    from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

    logits, labels = _two_columns(prediction)
    called = torch.tensor(logits).argmax(dim=1).numpy()
    scores = {"precision": precision_score, "recall": recall_score, "f1": f1_score}
    measures = {name: float(score(labels, called, zero_division=0)) for name, score in scores.items()}
    return {"f1": measures.pop("f1"), **measures, "accuracy": accuracy_score(labels, called)}


# ── training_arguments ──────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="training_arguments")
def arguments_by_setdefault(output_dir, **overrides):
    from transformers import IntervalStrategy, TrainingArguments

    overrides.setdefault("eval_strategy", IntervalStrategy.EPOCH)
    overrides.setdefault("learning_rate", 0.00002)
    for which in "train", "eval":
        overrides.setdefault(f"per_device_{which}_batch_size", 16)
    overrides.setdefault("num_train_epochs", 2.0)
    overrides.setdefault("weight_decay", 0.01)
    overrides.setdefault("logging_steps", 50)
    return TrainingArguments(output_dir=output_dir, **overrides)


@alternative(of="training_arguments")
def arguments_with_more_of_their_own(output_dir, **overrides):
    from transformers import TrainingArguments

    plan = {
        "eval_strategy": "epoch",
        "learning_rate": 2e-5,
        "num_train_epochs": 2,
        "weight_decay": 1e-2,
        "logging_steps": 50,
    }
    plan.update(
        per_device_train_batch_size=16, per_device_eval_batch_size=16, save_strategy="epoch", save_total_limit=1
    )
    plan.update(overrides)
    return TrainingArguments(output_dir, **plan)


# ── build_trainer ───────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="build_trainer")
def trainer_with_a_collator(checkpoint, train, validation, arguments):
    from transformers import (
        AutoConfig,
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
    )

    config = AutoConfig.from_pretrained(checkpoint, id2label={0: "neg", 1: "pos"}, label2id={"neg": 0, "pos": 1})
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    return Trainer(
        AutoModelForSequenceClassification.from_pretrained(checkpoint, config=config),
        arguments,
        DataCollatorWithPadding(tokenizer, padding="longest"),
        train,
        validation,
        tokenizer,
        compute_metrics=metrics_by_counting,
    )


@alternative(of="build_trainer")
def trainer_that_makes_its_model(checkpoint, train, validation, arguments):
    from transformers import AutoTokenizer, DistilBertForSequenceClassification, Trainer

    def model():
        names = {"id2label": {0: "neg", 1: "pos"}, "label2id": {"neg": 0, "pos": 1}}
        return DistilBertForSequenceClassification.from_pretrained(checkpoint, num_labels=2, **names)

    return Trainer(
        args=arguments,
        model_init=model,
        train_dataset=train,
        eval_dataset=validation,
        processing_class=AutoTokenizer.from_pretrained(checkpoint),
        compute_metrics=metrics_by_four_scores,
    )


# ── fine_tune ───────────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="fine_tune")
def tuned_with_a_model_from_the_trainer(checkpoint, train, validation, output_dir, seed, **overrides):
    """The Trainer itself draws the head from its seed when it makes the model; freezing is done there too."""
    from transformers import AutoTokenizer, DistilBertForSequenceClassification, Trainer

    layers = overrides.pop("frozen_layers", 0)

    def model():
        made = DistilBertForSequenceClassification.from_pretrained(checkpoint, num_labels=2)
        if layers < 0 or layers > made.config.n_layers:
            raise ValueError(f"no such layers: {layers}")
        for name, parameter in made.distilbert.named_parameters():
            below = name.startswith("embeddings.") or int(name.split(".")[2]) < layers
            parameter.requires_grad = not (layers and below)
        return made

    trainer = Trainer(
        args=arguments_by_setdefault(output_dir, **(overrides | {"seed": seed})),
        model_init=model,
        train_dataset=train,
        eval_dataset=validation,
        processing_class=AutoTokenizer.from_pretrained(checkpoint),
        compute_metrics=metrics_by_counting,
    )
    trainer.train()
    metrics = trainer.evaluate(validation)
    trainer.save_model()
    return metrics


@alternative(of="fine_tune")
def tuned_and_saved_by_hand(checkpoint, train, validation, output_dir, seed, **overrides):
    from transformers import AutoTokenizer

    torch.manual_seed(seed)
    layers = overrides.pop("frozen_layers", 0)
    arguments = arguments_with_more_of_their_own(output_dir, **overrides, seed=seed, data_seed=seed + 1)
    trainer = trainer_with_a_collator(checkpoint, train, validation, arguments)
    blocks = list(trainer.model.distilbert.transformer.layer)
    if layers not in range(len(blocks) + 1):
        raise ValueError(f"frozen_layers={layers}")
    for module in [trainer.model.distilbert.embeddings, *blocks[:layers]] if layers else []:
        for parameter in module.parameters():
            parameter.requires_grad = False
    trainer.train()
    measured = trainer.predict(validation, metric_key_prefix="eval").metrics
    trainer.model.save_pretrained(output_dir)
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained(output_dir)
    return measured


# ── evaluate ────────────────────────────────────────────────────────────────────────────────────────────────────


def _fitting(texts, labels, n_labels):
    if not len(texts) or len(texts) != len(labels):
        raise ValueError(f"{len(texts)} texts, {len(labels)} labels")
    odd = [label for label in labels if label not in range(n_labels)]
    if odd:
        raise ValueError(f"no such label: {odd[0]}")


@alternative(of="evaluate")
def evaluated_one_by_one(model_dir, texts, labels):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model, tokenizer = (
        kind.from_pretrained(model_dir) for kind in (AutoModelForSequenceClassification, AutoTokenizer)
    )
    model.eval()
    c = model.config.num_labels
    _fitting(texts, labels, c)
    confusion = [[0] * c for _ in range(c)]
    with torch.no_grad():
        for text, label in zip(texts, labels, strict=True):
            logits = model(**tokenizer(text, truncation=True, return_tensors="pt")).logits[0]
            confusion[label][int(logits.argmax())] += 1
    return {"accuracy": sum(confusion[i][i] for i in range(c)) / len(texts), "confusion": confusion}


@alternative(of="evaluate")
def evaluated_by_a_pipeline(model_dir, texts, labels):
    from transformers import pipeline

    classify = pipeline("text-classification", model=model_dir, device="cpu", truncation=True)
    ids, c = classify.model.config.label2id, classify.model.config.num_labels
    _fitting(texts, labels, c)
    called = np.array([ids[result["label"]] for result in classify(list(texts), batch_size=7)])
    confusion = np.bincount(np.array(labels) * c + called, minlength=c * c).reshape(c, c)
    return {"confusion": confusion.tolist(), "accuracy": float(np.trace(confusion) / confusion.sum())}


# ── linear_schedule ─────────────────────────────────────────────────────────────────────────────────────────────


def _plan(step, warmup, total):
    if step < 0 or warmup < 0 or warmup > total:
        raise ValueError(f"no plan: {step}, {warmup}, {total}")


@alternative(of="linear_schedule")
def schedule_by_interpolation(step, warmup, total):
    _plan(step, warmup, total)
    if total == 0 or step >= total:
        return 0.0
    if warmup == 0:
        return float(np.interp(step, [0, total], [1, 0]))
    return float(np.interp(step, [0, warmup, max(total, warmup + 1)], [0, 1, 0]))


@alternative(of="linear_schedule")
def schedule_by_the_smaller_of_two(step, warmup, total):
    _plan(step, warmup, total)
    rise = step / warmup if warmup else math.inf
    fall = (total - step) / (total - warmup) if total > warmup else (math.inf if step < total else 0.0)
    return float(max(0, min(rise, fall, 1)))


# ── cross_entropy ───────────────────────────────────────────────────────────────────────────────────────────────


def _rows(logits, labels, ignore_index):
    if logits.dim() != 2 or labels.dim() != 1 or len(labels) != len(logits):
        raise ValueError(f"logits {tuple(logits.shape)}, labels {tuple(labels.shape)}")
    for label in labels.tolist():
        if label != ignore_index and label not in range(logits.size(1)):
            raise ValueError(f"label {label}")


@alternative(of="cross_entropy")
def entropy_by_torch(logits, labels, ignore_index=-100):
    _rows(logits, labels, ignore_index)
    total = torch.nn.functional.cross_entropy(logits, labels, ignore_index=ignore_index, reduction="sum")
    return total / (labels != ignore_index).sum().clamp(min=1)


@alternative(of="cross_entropy")
def entropy_by_log_softmax(logits, labels, ignore_index=-100):
    _rows(logits, labels, ignore_index)
    shifted = logits - logits.max(dim=1, keepdim=True).values
    log_probabilities = shifted - shifted.exp().sum(dim=1, keepdim=True).log()
    weights = (labels != ignore_index).to(logits.dtype)
    one_hot = torch.nn.functional.one_hot(labels.where(labels != ignore_index, 0), logits.size(1))
    return -((log_probabilities * one_hot).sum(dim=1) * weights).sum() / max(1.0, weights.sum().item())


# ── decay_groups ────────────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="decay_groups")
def groups_module_by_module(model, weight_decay):
    seen, decayed, spared = set(), [], []
    modules = sorted(model.modules(), key=lambda module: not isinstance(module, torch.nn.LayerNorm))
    for module in modules:
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                is_spared = isinstance(module, torch.nn.LayerNorm) or name == "bias"
                (spared if is_spared else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]


@alternative(of="decay_groups")
def groups_as_transformers_names_them(model, weight_decay):
    from transformers.trainer_pt_utils import get_parameter_names

    within = torch.nn.ModuleList([model])  # for it looks at modules within modules only
    names = {name.removeprefix("0.") for name in get_parameter_names(within, [torch.nn.LayerNorm])}
    names = {name for name in names if name.split(".")[-1] != "bias"}
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for name, parameter in trained if name in names], "weight_decay": weight_decay},
        {"params": [parameter for name, parameter in trained if name not in names], "weight_decay": 0.0},
    ]


# ── overfit_one_batch ───────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="overfit_one_batch")
def overfit_with_adam(checkpoint, batch, steps):
    from transformers import AutoConfig, AutoModelForSequenceClassification

    if steps <= 0:
        raise ValueError(f"{steps} steps")
    config = AutoConfig.from_pretrained(checkpoint, dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, config=config).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    losses = []
    while len(losses) < steps:
        model.zero_grad(set_to_none=True)
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        loss = torch.nn.functional.cross_entropy(logits, batch["labels"])
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return losses


@alternative(of="overfit_one_batch")
def overfit_with_clipping(checkpoint, batch, steps):
    from transformers import DistilBertForSequenceClassification

    if steps < 1:
        raise ValueError(f"steps={steps}")
    model = DistilBertForSequenceClassification.from_pretrained(checkpoint)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    history = []
    for _ in range(steps):
        output = model(**batch)
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        history.append(output.loss.detach().item())
    return history


# ── worst_mistakes ──────────────────────────────────────────────────────────────────────────────────────────────


def _pairs(probabilities, labels):
    p, y = torch.as_tensor(probabilities), torch.as_tensor(labels)
    if p.ndim != 2 or y.ndim != 1 or len(p) != len(y):
        raise ValueError(f"probabilities {tuple(p.shape)}, labels {tuple(y.shape)}")
    return p.double(), y


@alternative(of="worst_mistakes")
def worst_by_sorting_tuples(probabilities, labels, k):
    p, y = _pairs(probabilities, labels)
    if k < 0:
        raise ValueError(f"k={k}")
    wrong = []
    for row, (scores, label) in enumerate(zip(p.tolist(), y.tolist(), strict=True)):
        if scores.index(max(scores)) != label:
            wrong.append((-max(scores), row))
    return [row for _, row in sorted(wrong)[:k]]


@alternative(of="worst_mistakes")
def worst_by_torch(probabilities, labels, k):
    p, y = _pairs(probabilities, labels)
    if k < 0:
        raise ValueError(f"k={k}")
    sure, called = p.max(dim=1)
    order = torch.sort(sure, descending=True, stable=True).indices
    return order[called[order] != y[order]][:k].tolist()


# ── calibration_error ───────────────────────────────────────────────────────────────────────────────────────────


@alternative(of="calibration_error")
def calibration_by_digitize(probabilities, labels, bins=10):
    p, y = (tensor.numpy() for tensor in _pairs(probabilities, labels))
    if not len(p):
        raise ValueError(f"nothing in {p.shape}")
    if bins <= 0:
        raise ValueError(f"bins={bins}")
    sure, hit = p.max(axis=1), p.argmax(axis=1) == y
    places = np.digitize(sure, np.linspace(0, 1, bins + 1), right=True)
    gaps = np.bincount(places, weights=sure - hit)
    return float(np.abs(gaps).sum() / len(p))


@alternative(of="calibration_error")
def calibration_by_edges(probabilities, labels, bins=10):
    p, y = _pairs(probabilities, labels)
    if len(p) == 0:
        raise ValueError(f"nothing in {tuple(p.shape)}")
    if bins < 1:
        raise ValueError(f"bins={bins}")
    sure, called = p.max(dim=1)
    error = 0.0
    for i in range(bins):
        inside = (sure > i / bins) & (sure <= (i + 1) / bins)
        if inside.any():
            gap = sure[inside].mean() - (called == y)[inside].double().mean()
            error += float(inside.double().mean() * gap.abs())
    return error
