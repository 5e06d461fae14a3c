"""Wrong answers to hour 5 that people really give.

Each is wrong in one way only. Where that way is not a missing refusal, it refuses what the right answer refuses, by
asking the right answer first or by building on its parts.
"""

import math

import numpy as np
import torch
from datasets import concatenate_datasets
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    EvalPrediction,
    Trainer,
    TrainingArguments,
    set_seed,
)

from deepdive.diagnose import mistake
from solutions import hour5_finetuning as right

# ── compute_metrics ─────────────────────────────────────────────────────────────────────────────────────────────


def _measured(labels, predicted, **settings):
    settings = {"average": "binary", "zero_division": 0.0} | settings
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, **settings)
    accuracy = float(accuracy_score(labels, predicted))
    return {"accuracy": accuracy, "precision": float(precision), "recall": float(recall), "f1": float(f1)}


@mistake(of="compute_metrics")
def argmax_over_the_texts(prediction):
    """The argmax was taken down the columns, over the texts; each text needs the larger logit of its own row."""
    right.compute_metrics(prediction)
    return _measured(prediction.label_ids, prediction.predictions.argmax(axis=0))


@mistake(of="compute_metrics")
def macro_average(prediction):
    """Precision, recall and F1 were averaged over both labels (average="macro"); asked for are those of label 1."""
    right.compute_metrics(prediction)
    return _measured(prediction.label_ids, prediction.predictions.argmax(axis=1), average="macro")


@mistake(of="compute_metrics")
def weighted_average(prediction):
    """The labels' scores were averaged by how many texts they have (average="weighted"); label 1's are asked for."""
    right.compute_metrics(prediction)
    return _measured(prediction.label_ids, prediction.predictions.argmax(axis=1), average="weighted")


@mistake(of="compute_metrics")
def micro_average(prediction):
    """average="micro" makes precision, recall and F1 all the same as the accuracy; label 1's are asked for."""
    right.compute_metrics(prediction)
    return _measured(prediction.label_ids, prediction.predictions.argmax(axis=1), average="micro")


@mistake(of="compute_metrics")
def label_0_is_positive(prediction):
    """Precision, recall and F1 are those of label 0; the positive label is 1."""
    right.compute_metrics(prediction)
    return _measured(prediction.label_ids, prediction.predictions.argmax(axis=1), pos_label=0)


@mistake(of="compute_metrics")
def precision_and_recall_swapped(prediction):
    """Precision and recall are swapped: was `precision_recall_fscore_support(predicted, labels)` called that way?"""
    right.compute_metrics(prediction)
    return _measured(prediction.predictions.argmax(axis=1), prediction.label_ids)


@mistake(of="compute_metrics")
def divided_by_zero(prediction):
    """Where nothing is called positive or nothing is, a division by zero goes wrong; the measure is 0.0 there."""
    right.compute_metrics(prediction)
    labels, predicted = prediction.label_ids, prediction.predictions.argmax(axis=1)
    found = int(((predicted == 1) & (labels == 1)).sum())
    precision, recall = found / int((predicted == 1).sum()), found / int((labels == 1).sum())
    f1 = 2 * precision * recall / (precision + recall)
    return {"accuracy": float((predicted == labels).mean()), "precision": precision, "recall": recall, "f1": f1}


@mistake(of="compute_metrics")
def one_where_undefined(prediction):
    """What is undefined was counted as 1.0 (zero_division=1), which makes a model that finds nothing look precise."""
    right.compute_metrics(prediction)
    return _measured(prediction.label_ids, prediction.predictions.argmax(axis=1), zero_division=1.0)


@mistake(of="compute_metrics")
def positive_above_zero(prediction):
    """A text was called positive when its second logit is above 0; what counts is which of the two is larger."""
    right.compute_metrics(prediction)
    return _measured(prediction.label_ids, (prediction.predictions[:, 1] > 0).astype(int))


@mistake(of="compute_metrics")
def ties_go_up(prediction):
    """Of two equal logits the second was taken; argmax takes the first."""
    right.compute_metrics(prediction)
    logits = prediction.predictions
    return _measured(prediction.label_ids, (logits[:, 1] >= logits[:, 0]).astype(int))


@mistake(of="compute_metrics")
def arithmetic_f1(prediction):
    """The F1 is the plain mean of precision and recall; it is their harmonic mean, 2pr / (p + r)."""
    measures = right.compute_metrics(prediction)
    return measures | {"f1": (measures["precision"] + measures["recall"]) / 2}


@mistake(of="compute_metrics")
def accuracy_as_a_count(prediction):
    """The accuracy is the number of right predictions; divide it by the number of texts."""
    measures = right.compute_metrics(prediction)
    return measures | {"accuracy": measures["accuracy"] * len(prediction.label_ids)}


@mistake(of="compute_metrics")
def names_with_a_prefix(prediction):
    """The names already begin with "eval_": the Trainer puts that before them itself."""
    return {f"eval_{name}": value for name, value in right.compute_metrics(prediction).items()}


@mistake(of="compute_metrics")
def measured_without_looking(prediction):
    """Arrays that do not fit were measured all the same; the docstring's Raises says what to refuse."""
    logits = prediction.predictions.reshape(len(prediction.predictions), -1)
    labels = prediction.label_ids.reshape(-1)[: len(logits)]
    logits = logits[: len(labels)]
    return (
        right.compute_metrics(EvalPrediction(logits[:, :2], labels))
        if logits.size >= 2 and logits.shape[1] > 1
        else {}
    )


# ── training_arguments ──────────────────────────────────────────────────────────────────────────────────────────


def _without(name):
    """What a plan without one of its settings gives: the library's own default in its place."""

    def arguments(output_dir, **overrides):
        default = getattr(TrainingArguments("unused"), name)
        return right.training_arguments(output_dir, **({name: default} | overrides))

    return arguments


@mistake(of="training_arguments")
def no_weight_decay(output_dir, **overrides):
    """The weight decay of 0.01 is missing: the library's own default is 0."""
    return _without("weight_decay")(output_dir, **overrides)


@mistake(of="training_arguments")
def library_learning_rate(output_dir, **overrides):
    """The learning rate of 2e-5 is missing: the library's own default is 5e-5."""
    return _without("learning_rate")(output_dir, **overrides)


@mistake(of="training_arguments")
def batches_of_eight(output_dir, **overrides):
    """The training batches are of 8, the library's default: per_device_train_batch_size should be 16."""
    return _without("per_device_train_batch_size")(output_dir, **overrides)


@mistake(of="training_arguments")
def evaluation_batches_of_eight(output_dir, **overrides):
    """The evaluation batches are of 8, the library's default: per_device_eval_batch_size should be 16."""
    return _without("per_device_eval_batch_size")(output_dir, **overrides)


@mistake(of="training_arguments")
def three_epochs(output_dir, **overrides):
    """It trains for 3 epochs, the library's default: num_train_epochs should be 2."""
    return _without("num_train_epochs")(output_dir, **overrides)


@mistake(of="training_arguments")
def never_evaluates(output_dir, **overrides):
    """It never evaluates: without eval_strategy="epoch" the Trainer trains to the end and measures nothing."""
    return _without("eval_strategy")(output_dir, **overrides)


@mistake(of="training_arguments")
def evaluates_by_steps(output_dir, **overrides):
    """It evaluates every so many steps; the plan says every epoch, eval_strategy="epoch"."""
    return right.training_arguments(output_dir, **({"eval_strategy": "steps"} | overrides))


@mistake(of="training_arguments")
def rare_logs(output_dir, **overrides):
    """It logs every 500 steps, the library's default: logging_steps should be 50."""
    return _without("logging_steps")(output_dir, **overrides)


@mistake(of="training_arguments")
def the_old_name(output_dir, **overrides):
    """`evaluation_strategy` is no longer known; today it is called eval_strategy."""
    return TrainingArguments(output_dir, evaluation_strategy="epoch", **overrides)


@mistake(of="training_arguments")
def overrides_are_ignored(output_dir, **overrides):
    """The overrides were not passed on."""
    right.training_arguments(output_dir, **overrides)
    return right.training_arguments(output_dir)


@mistake(of="training_arguments")
def only_the_overrides(output_dir, **overrides):
    """Where there are overrides, only they count, and the plan's other settings are lost."""
    return TrainingArguments(output_dir, **overrides) if overrides else right.training_arguments(output_dir)


@mistake(of="training_arguments")
def the_plan_wins(output_dir, **overrides):
    """The plan's settings win over the overrides; merge them the other way round, `plan | overrides`."""
    names = "eval_strategy", "learning_rate", "per_device_train_batch_size", "per_device_eval_batch_size"
    names += "num_train_epochs", "weight_decay", "logging_steps"
    more = {name: value for name, value in overrides.items() if name not in names}
    return right.training_arguments(output_dir, **more)


@mistake(of="training_arguments")
def a_setting_twice(output_dir, **overrides):
    """A setting that is in the plan and in the overrides was passed twice; merge the two dicts first."""
    return TrainingArguments(
        output_dir,
        eval_strategy="epoch",
        learning_rate=2e-5,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=16,
        num_train_epochs=2,
        weight_decay=0.01,
        logging_steps=50,
        **overrides,
    )


@mistake(of="training_arguments")
def drops_what_the_plan_lacks(output_dir, **overrides):
    """Overrides that the plan does not speak of were dropped; any argument of TrainingArguments may come."""
    names = "eval_strategy", "learning_rate", "per_device_train_batch_size", "per_device_eval_batch_size"
    names += "num_train_epochs", "weight_decay", "logging_steps"
    return right.training_arguments(output_dir, **{name: overrides[name] for name in names if name in overrides})


@mistake(of="training_arguments")
def a_folder_of_its_own(output_dir, **overrides):
    """The folder is always "output"; it should be the one that was passed."""
    return right.training_arguments("output", **overrides)


# ── build_trainer ───────────────────────────────────────────────────────────────────────────────────────────────

NAMES = {"id2label": {0: "neg", 1: "pos"}, "label2id": {"neg": 0, "pos": 1}}


def _trainer(checkpoint, train, validation, arguments, *, model=None, **settings):
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    if model is None:
        model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=2, **NAMES)
    defaults = {"processing_class": tokenizer, "data_collator": DataCollatorWithPadding(tokenizer)}
    defaults["compute_metrics"] = right.compute_metrics
    settings = defaults | settings
    return Trainer(model=model, args=arguments, train_dataset=train, eval_dataset=validation, **settings)


def _with_labels(**settings):
    def build(checkpoint, train, validation, arguments):
        model = AutoModelForSequenceClassification.from_pretrained(checkpoint, **settings)
        return _trainer(checkpoint, train, validation, arguments, model=model)

    return build


@mistake(of="build_trainer")
def one_label(checkpoint, train, validation, arguments):
    """The head has one label: num_labels=1 makes it a regression. Two classes need num_labels=2."""
    return _with_labels(num_labels=1)(checkpoint, train, validation, arguments)


@mistake(of="build_trainer")
def labels_without_names(checkpoint, train, validation, arguments):
    """The labels are called LABEL_0 and LABEL_1; id2label and label2id give them their names, neg and pos."""
    return _with_labels(num_labels=2)(checkpoint, train, validation, arguments)


@mistake(of="build_trainer")
def names_the_wrong_way_round(checkpoint, train, validation, arguments):
    """Label 0 is called pos and label 1 neg: every prediction will be read as its opposite."""
    swapped = {"id2label": {0: "pos", 1: "neg"}, "label2id": {"pos": 0, "neg": 1}}
    return _with_labels(num_labels=2, **swapped)(checkpoint, train, validation, arguments)


@mistake(of="build_trainer")
def names_one_way_only(checkpoint, train, validation, arguments):
    """id2label was set and label2id was not, so that the two contradict one another."""
    return _with_labels(num_labels=2, id2label=NAMES["id2label"], label2id={"LABEL_0": 0, "LABEL_1": 1})(
        checkpoint, train, validation, arguments
    )


@mistake(of="build_trainer")
def random_encoder(checkpoint, train, validation, arguments):
    """The encoder has random weights: from_config knows the architecture only, from_pretrained loads the weights."""
    config = AutoConfig.from_pretrained(checkpoint, num_labels=2, **NAMES)
    model = AutoModelForSequenceClassification.from_config(config)
    return _trainer(checkpoint, train, validation, arguments, model=model)


@mistake(of="build_trainer")
def frozen_encoder(checkpoint, train, validation, arguments):
    """The encoder is frozen, so that only the head can be trained."""
    trainer = right.build_trainer(checkpoint, train, validation, arguments)
    trainer.model.base_model.requires_grad_(False)
    return trainer


@mistake(of="build_trainer")
def evaluates_on_the_training_rows(checkpoint, train, validation, arguments):
    """It evaluates on the rows it trains on: that measures memory, not what was learnt."""
    return right.build_trainer(checkpoint, train, train, arguments)


@mistake(of="build_trainer")
def datasets_swapped(checkpoint, train, validation, arguments):
    """It trains on the validation rows and evaluates on the training rows."""
    return right.build_trainer(checkpoint, validation, train, arguments)


@mistake(of="build_trainer")
def trains_on_everything(checkpoint, train, validation, arguments):
    """It trains on the validation rows too, so that the evaluation is no longer on unseen texts."""
    return right.build_trainer(checkpoint, concatenate_datasets([train, validation]), validation, arguments)


@mistake(of="build_trainer")
def pads_to_the_maximum(checkpoint, train, validation, arguments):
    """Every batch is padded to the model's maximum: right, and many times slower. Pad to the batch's longest row."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    padding = DataCollatorWithPadding(tokenizer, padding="max_length", max_length=tokenizer.model_max_length)
    return _trainer(checkpoint, train, validation, arguments, data_collator=padding)


@mistake(of="build_trainer")
def pads_all_rows_alike(checkpoint, train, validation, arguments):
    """Every batch is padded to the longest row of the whole dataset; pad each to its own longest row."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    longest = max(len(row) for data in (train, validation) for row in data["input_ids"])
    padding = DataCollatorWithPadding(tokenizer, padding="max_length", max_length=longest)
    return _trainer(checkpoint, train, validation, arguments, data_collator=padding)


@mistake(of="build_trainer")
def no_padding(checkpoint, train, validation, arguments):
    """Rows are not padded: without a tokenizer (processing_class) or a DataCollatorWithPadding the Trainer cannot."""
    settings = {"processing_class": None, "data_collator": None}
    return _trainer(checkpoint, train, validation, arguments, **settings)


@mistake(of="build_trainer")
def no_measures(checkpoint, train, validation, arguments):
    """An evaluation gives the loss only: compute_metrics was not passed to the Trainer."""
    return _trainer(checkpoint, train, validation, arguments, compute_metrics=None)


@mistake(of="build_trainer")
def the_tokenizer_is_not_saved(checkpoint, train, validation, arguments):
    """The Trainer does not know the tokenizer, so that it saves the model without it: pass processing_class."""
    padding = DataCollatorWithPadding(AutoTokenizer.from_pretrained(checkpoint))

    class Forgetful:
        def __init__(self, collator):
            self.collator = collator

        def __call__(self, rows):
            return self.collator(rows)

    return _trainer(checkpoint, train, validation, arguments, processing_class=None, data_collator=Forgetful(padding))


@mistake(of="build_trainer")
def settings_of_its_own(checkpoint, train, validation, arguments):
    """The arguments that were passed are not used: the Trainer has settings of its own."""
    own = {"report_to": "none", "use_cpu": True, "per_device_eval_batch_size": arguments.per_device_eval_batch_size}
    return right.build_trainer(checkpoint, train, validation, TrainingArguments(arguments.output_dir, **own))


# ── fine_tune ───────────────────────────────────────────────────────────────────────────────────────────────────


def _prepared(checkpoint, train, validation, output_dir, seed, frozen_layers=0, **overrides):
    """A Trainer ready to train, as the right answer has it."""
    set_seed(seed)
    arguments = right.training_arguments(output_dir, seed=seed, **overrides)
    trainer = right.build_trainer(checkpoint, train, validation, arguments)
    encoder = trainer.model.distilbert
    if not 0 <= frozen_layers <= len(encoder.transformer.layer):
        raise ValueError(f"frozen_layers is {frozen_layers}")
    if frozen_layers:
        encoder.embeddings.requires_grad_(False)
        encoder.transformer.layer[:frozen_layers].requires_grad_(False)
    return trainer


def _finished(trainer, output_dir):
    trainer.train()
    trainer.save_model(output_dir)
    return trainer.evaluate()


@mistake(of="fine_tune")
def not_saved(checkpoint, train, validation, output_dir, seed, **overrides):
    """The model was not saved: `trainer.save_model(output_dir)` is missing."""
    trainer = _prepared(checkpoint, train, validation, output_dir, seed, **overrides)
    trainer.train()
    return trainer.evaluate()


@mistake(of="fine_tune")
def saved_without_tokenizer(checkpoint, train, validation, output_dir, seed, **overrides):
    """The model was saved without its tokenizer: nobody can use the one without the other."""
    trainer = _prepared(checkpoint, train, validation, output_dir, seed, **overrides)
    trainer.train()
    trainer.model.save_pretrained(output_dir)
    return trainer.evaluate()


@mistake(of="fine_tune")
def saved_before_training(checkpoint, train, validation, output_dir, seed, **overrides):
    """The model was saved before it was trained."""
    trainer = _prepared(checkpoint, train, validation, output_dir, seed, **overrides)
    trainer.save_model(output_dir)
    trainer.train()
    return trainer.evaluate()


@mistake(of="fine_tune")
def never_trained(checkpoint, train, validation, output_dir, seed, **overrides):
    """`trainer.train()` was not called."""
    trainer = _prepared(checkpoint, train, validation, output_dir, seed, **overrides)
    trainer.save_model(output_dir)
    return trainer.evaluate()


@mistake(of="fine_tune")
def measured_before_training(checkpoint, train, validation, output_dir, seed, **overrides):
    """The measures are those from before the training."""
    trainer = _prepared(checkpoint, train, validation, output_dir, seed, **overrides)
    metrics = trainer.evaluate()
    trainer.train()
    trainer.save_model(output_dir)
    return metrics


@mistake(of="fine_tune")
def measured_on_the_training_rows(checkpoint, train, validation, output_dir, seed, **overrides):
    """The measures are those on the training rows, which the model has seen."""
    trainer = _prepared(checkpoint, train, validation, output_dir, seed, **overrides)
    _finished(trainer, output_dir)
    return trainer.evaluate(train)


@mistake(of="fine_tune")
def trained_on_the_validation_rows(checkpoint, train, validation, output_dir, seed, **overrides):
    """It trains on the validation rows."""
    return right.fine_tune(checkpoint, validation, validation, output_dir, seed, **overrides)


@mistake(of="fine_tune")
def labels_shuffled(checkpoint, train, validation, output_dir, seed, **overrides):
    """The labels no longer belong to their texts: when one column is shuffled, so must be the others."""
    order = np.random.default_rng(seed).permutation(len(train))
    labels = [train["label"][int(row)] for row in order]
    train = train.remove_columns("label").add_column("label", labels)
    return right.fine_tune(checkpoint, train, validation, output_dir, seed, **overrides)


@mistake(of="fine_tune")
def labels_turned_round(checkpoint, train, validation, output_dir, seed, **overrides):
    """Positive texts were learnt as negative ones: label 1 is pos."""
    turned = [1 - label for label in train["label"]]
    train = train.remove_columns("label").add_column("label", turned)
    return right.fine_tune(checkpoint, train, validation, output_dir, seed, **overrides)


@mistake(of="fine_tune")
def trained_the_head_alone(checkpoint, train, validation, output_dir, seed, **overrides):
    """Only the head was trained, the whole encoder is frozen; by default everything is trained."""
    trainer = _prepared(checkpoint, train, validation, output_dir, seed, **overrides)
    trainer.model.distilbert.requires_grad_(False)
    return _finished(trainer, output_dir)


@mistake(of="fine_tune")
def unseeded_head(checkpoint, train, validation, output_dir, seed, **overrides):
    """The seed came too late: the head had been drawn before it. Call set_seed before the model is loaded."""
    arguments = right.training_arguments(output_dir, seed=seed, **_known(overrides))
    torch.seed()  # as in a process that has drawn no random numbers yet
    trainer = right.build_trainer(checkpoint, train, validation, arguments)
    return _finished(_frozen(trainer, overrides), output_dir)


@mistake(of="fine_tune")
def always_the_same_seed(checkpoint, train, validation, output_dir, seed, **overrides):
    """The seed that was passed is not used: every run is the same."""
    return right.fine_tune(checkpoint, train, validation, output_dir, 42, **overrides)


@mistake(of="fine_tune")
def seed_for_the_head_alone(checkpoint, train, validation, output_dir, seed, **overrides):
    """Only the head comes from the seed: rows and dropout come from the Trainer's own, so pass it `seed` as well."""
    set_seed(seed)
    trainer = right.build_trainer(
        checkpoint, train, validation, right.training_arguments(output_dir, **_known(overrides))
    )
    return _finished(_frozen(trainer, overrides), output_dir)


def _known(overrides):
    return {name: value for name, value in overrides.items() if name != "frozen_layers"}


def _frozen(trainer, overrides):
    encoder, layers = trainer.model.distilbert, overrides.get("frozen_layers", 0)
    if not 0 <= layers <= len(encoder.transformer.layer):
        raise ValueError(f"frozen_layers is {layers}")
    if layers:
        encoder.embeddings.requires_grad_(False)
        encoder.transformer.layer[:layers].requires_grad_(False)
    return trainer


@mistake(of="fine_tune")
def ignored_the_overrides(checkpoint, train, validation, output_dir, seed, **overrides):
    """The overrides were not passed on to training_arguments: it always trains by the plan."""
    frozen = {"frozen_layers": overrides.get("frozen_layers", 0)}
    quiet = {"disable_tqdm": True, "use_cpu": True, "save_strategy": "no"}
    return right.fine_tune(checkpoint, train, validation, output_dir, seed, **(quiet | frozen))


@mistake(of="fine_tune")
def passed_frozen_layers_on(checkpoint, train, validation, output_dir, seed, **overrides):
    """`frozen_layers` was passed on to TrainingArguments, which does not know it: take it out of the overrides."""
    set_seed(seed)
    arguments = right.training_arguments(output_dir, seed=seed, **overrides)
    return _finished(right.build_trainer(checkpoint, train, validation, arguments), output_dir)


@mistake(of="fine_tune")
def froze_nothing(checkpoint, train, validation, output_dir, seed, **overrides):
    """`frozen_layers` has no effect: everything was trained all the same."""
    _refuse(checkpoint, overrides)
    return right.fine_tune(checkpoint, train, validation, output_dir, seed, **_known(overrides))


def _refuse(checkpoint, overrides):
    layers = overrides.get("frozen_layers", 0)
    if not 0 <= layers <= AutoConfig.from_pretrained(checkpoint).n_layers:
        raise ValueError(f"frozen_layers is {layers}")


def _freezing(freeze):
    def fine_tune(checkpoint, train, validation, output_dir, seed, **overrides):
        _refuse(checkpoint, overrides)
        trainer = _prepared(checkpoint, train, validation, output_dir, seed, **_known(overrides))
        if layers := overrides.get("frozen_layers", 0):
            freeze(trainer.model.distilbert, layers)
        return _finished(trainer, output_dir)

    return fine_tune


@mistake(of="fine_tune")
def froze_the_layers_only(checkpoint, train, validation, output_dir, seed, **overrides):
    """The lowest layers were frozen, the embeddings below them were not; they are half of all parameters."""

    def freeze(encoder, layers):
        encoder.transformer.layer[:layers].requires_grad_(False)

    return _freezing(freeze)(checkpoint, train, validation, output_dir, seed, **overrides)


@mistake(of="fine_tune")
def froze_the_embeddings_only(checkpoint, train, validation, output_dir, seed, **overrides):
    """The embeddings were frozen, the lowest layers above them were not."""

    def freeze(encoder, layers):
        encoder.embeddings.requires_grad_(False)

    return _freezing(freeze)(checkpoint, train, validation, output_dir, seed, **overrides)


@mistake(of="fine_tune")
def froze_the_top(checkpoint, train, validation, output_dir, seed, **overrides):
    """The highest layers were frozen instead of the lowest: those have the most to learn."""

    def freeze(encoder, layers):
        encoder.embeddings.requires_grad_(False)
        encoder.transformer.layer[-layers:].requires_grad_(False)

    return _freezing(freeze)(checkpoint, train, validation, output_dir, seed, **overrides)


@mistake(of="fine_tune")
def froze_one_too_many(checkpoint, train, validation, output_dir, seed, **overrides):
    """One layer too many was frozen: `layer[:n]` are the lowest n."""

    def freeze(encoder, layers):
        encoder.embeddings.requires_grad_(False)
        encoder.transformer.layer[: layers + 1].requires_grad_(False)

    return _freezing(freeze)(checkpoint, train, validation, output_dir, seed, **overrides)


@mistake(of="fine_tune")
def froze_what_is_not_there(checkpoint, train, validation, output_dir, seed, **overrides):
    """A number of layers that the encoder does not have was accepted: slices do not complain, so you must."""
    trainer = _prepared(checkpoint, train, validation, output_dir, seed, **_known(overrides))
    if layers := overrides.get("frozen_layers", 0):
        trainer.model.distilbert.embeddings.requires_grad_(False)
        trainer.model.distilbert.transformer.layer[:layers].requires_grad_(False)
    return _finished(trainer, output_dir)


# ── evaluate ────────────────────────────────────────────────────────────────────────────────────────────────────


def _called(model_dir, texts, *, train=False, batch=32, mask=True, **settings):
    """The labels that a saved model gives."""
    model = AutoModelForSequenceClassification.from_pretrained(model_dir).train(train)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    settings = {"truncation": True, "padding": True} | settings
    called = []
    with torch.no_grad():
        for start in range(0, len(texts), batch):
            inputs = tokenizer(list(texts[start : start + batch]), return_tensors="pt", **settings)
            if not mask:
                inputs.pop("attention_mask")
            called += model(**inputs).logits.argmax(dim=1).tolist()
    return called


def _judged(model_dir, labels, called):
    n_labels = AutoConfig.from_pretrained(model_dir).num_labels
    confusion = confusion_matrix(labels, called, labels=range(n_labels)).tolist()
    return {"accuracy": float(accuracy_score(labels, called)), "confusion": confusion}


@mistake(of="evaluate")
def in_training_mode(model_dir, texts, labels):
    """The model is in training mode: dropout drops something else every time. Call `model.eval()`."""
    right.evaluate(model_dir, texts, labels)
    return _judged(model_dir, labels, _called(model_dir, texts, train=True))


@mistake(of="evaluate")
def confusion_transposed(model_dir, texts, labels):
    """The confusion matrix is transposed: rows are the true labels, columns the predicted ones."""
    result = right.evaluate(model_dir, texts, labels)
    return result | {"confusion": np.transpose(result["confusion"]).tolist()}


@mistake(of="evaluate")
def confusion_in_shares(model_dir, texts, labels):
    """The confusion matrix holds shares; it should hold counts."""
    result = right.evaluate(model_dir, texts, labels)
    return result | {"confusion": (np.array(result["confusion"]) / len(texts)).tolist()}


@mistake(of="evaluate")
def labels_that_do_not_occur_are_missing(model_dir, texts, labels):
    """Labels that do not occur have no row and no column: tell confusion_matrix which labels there are."""
    result = right.evaluate(model_dir, texts, labels)
    return result | {"confusion": confusion_matrix(labels, _called(model_dir, texts)).tolist()}


@mistake(of="evaluate")
def no_truncation(model_dir, texts, labels):
    """Long texts were not cut, and the model has no positions for them: truncation=True is missing."""
    right.evaluate(model_dir, texts, labels)
    return _judged(model_dir, labels, _called(model_dir, texts, truncation=False))


@mistake(of="evaluate")
def cut_too_early(model_dir, texts, labels):
    """Texts were cut before the model's own limit."""
    right.evaluate(model_dir, texts, labels)
    return _judged(model_dir, labels, _called(model_dir, texts, max_length=8))


@mistake(of="evaluate")
def padding_is_read(model_dir, texts, labels):
    """The attention mask was not passed on: the model reads the padding as if it were text."""
    right.evaluate(model_dir, texts, labels)
    return _judged(model_dir, labels, _called(model_dir, texts, mask=False))


@mistake(of="evaluate")
def the_last_batch_is_lost(model_dir, texts, labels):
    """The last batch, which is not full, was left out."""
    right.evaluate(model_dir, texts, labels)
    full = len(texts) - len(texts) % 16 or len(texts)
    return _judged(model_dir, labels[:full], _called(model_dir, texts[:full]))


@mistake(of="evaluate")
def accuracy_in_percent(model_dir, texts, labels):
    """The accuracy is in per cent; it should be a share, from 0 to 1."""
    result = right.evaluate(model_dir, texts, labels)
    return result | {"accuracy": 100 * result["accuracy"]}


@mistake(of="evaluate")
def without_special_tokens(model_dir, texts, labels):
    """Texts were tokenized without [CLS] and [SEP]: the head reads the first token, which must be [CLS]."""
    right.evaluate(model_dir, texts, labels)
    return _judged(model_dir, labels, _called(model_dir, texts, add_special_tokens=False))


@mistake(of="evaluate")
def untrained_head(model_dir, texts, labels):
    """Only the encoder was loaded and given a new head: load what was saved as a whole."""
    right.evaluate(model_dir, texts, labels)
    model = AutoModelForSequenceClassification.from_pretrained(model_dir)
    torch.manual_seed(0)
    for layer in (model.pre_classifier, model.classifier):
        torch.nn.init.normal_(layer.weight, std=0.02)
        torch.nn.init.zeros_(layer.bias)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    called = []
    with torch.no_grad():
        for text in texts:
            called.append(int(model(**tokenizer(text, truncation=True, return_tensors="pt")).logits.argmax()))
    return _judged(model_dir, labels, called)


@mistake(of="evaluate")
def accepts_labels_that_do_not_fit(model_dir, texts, labels):
    """Labels that do not fit were accepted; the docstring's Raises says what to refuse."""
    n = min(len(texts), len(labels))
    n_labels = AutoConfig.from_pretrained(model_dir).num_labels
    if n == 0:
        return {"accuracy": 0.0, "confusion": [[0] * n_labels] * n_labels}
    called = _called(model_dir, texts[:n])
    confusion = np.zeros((n_labels, n_labels), int)
    for label, guess in zip(labels[:n], called, strict=True):
        if label < n_labels:
            confusion[label, guess] += 1
    return {"accuracy": float(np.mean(np.array(called) == np.array(labels[:n]))), "confusion": confusion.tolist()}


# ── linear_schedule ─────────────────────────────────────────────────────────────────────────────────────────────


@mistake(of="linear_schedule")
def one_step_ahead(step, warmup, total):
    """It is one step ahead: at step 0 nothing has been done yet, and the factor is 0 if there is a warm-up."""
    right.linear_schedule(step, warmup, total)
    return right.linear_schedule(step + 1, warmup, total)


@mistake(of="linear_schedule")
def one_step_behind(step, warmup, total):
    """It reaches 0 one step too late: at step `total` the factor is 0."""
    right.linear_schedule(step, warmup, total)
    if step < warmup:
        return step / warmup
    return max(0.0, (total + 1 - step) / (total + 1 - warmup))


@mistake(of="linear_schedule")
def below_zero(step, warmup, total):
    """After the last step the factor falls below 0, and the optimizer would climb: hold it at 0.0."""
    right.linear_schedule(step, warmup, total)
    return step / warmup if step < warmup else (total - step) / max(1, total - warmup)


@mistake(of="linear_schedule")
def no_warm_up(step, warmup, total):
    """There is no warm-up: the factor starts at 1."""
    right.linear_schedule(step, warmup, total)
    return max(0.0, (total - step) / max(1, total))


@mistake(of="linear_schedule")
def falls_from_the_start(step, warmup, total):
    """The fall is counted from step 0, so that the factor jumps after the warm-up: count it from step `warmup`."""
    right.linear_schedule(step, warmup, total)
    return step / warmup if step < warmup else max(0.0, (total - step) / max(1, total))


@mistake(of="linear_schedule")
def never_falls(step, warmup, total):
    """After the warm-up the factor stays at 1."""
    right.linear_schedule(step, warmup, total)
    return min(1.0, step / warmup) if warmup else 1.0


@mistake(of="linear_schedule")
def divides_by_no_warm_up(step, warmup, total):
    """Without warm-up it divides by zero."""
    right.linear_schedule(step, warmup, total)
    rise = step / warmup
    return min(rise, max(0.0, (total - step) / max(1, total - warmup)))


@mistake(of="linear_schedule")
def divides_by_no_fall(step, warmup, total):
    """When all steps are warm-up it divides by zero."""
    right.linear_schedule(step, warmup, total)
    return step / warmup if step < warmup else max(0.0, (total - step) / (total - warmup))


@mistake(of="linear_schedule")
def falls_like_a_cosine(step, warmup, total):
    """The fall follows a cosine; asked for is a straight line."""
    factor = right.linear_schedule(step, warmup, total)
    return factor if step < warmup else (1 - math.cos(math.pi * factor)) / 2


@mistake(of="linear_schedule")
def whole_numbers_only(step, warmup, total):
    """`//` gives whole numbers: the factor is always 0 or 1. Use `/`."""
    right.linear_schedule(step, warmup, total)
    return float(step // warmup if step < warmup else max(0, (total - step) // max(1, total - warmup)))


@mistake(of="linear_schedule")
def any_numbers(step, warmup, total):
    """Numbers that are no plan were accepted: a step or a warm-up below 0, a warm-up longer than all steps."""
    if step < warmup:
        return step / warmup
    return max(0.0, (total - step) / max(1, total - warmup))


# ── cross_entropy ───────────────────────────────────────────────────────────────────────────────────────────────


def _losses(logits, labels, ignore_index, log_probabilities=None):
    """The loss of every row, 0 where it does not count, and which rows count."""
    right.cross_entropy(logits, labels, ignore_index)
    counts = labels != ignore_index
    if log_probabilities is None:
        log_probabilities = logits.log_softmax(dim=1)
    classes = torch.where(counts, labels, 0)
    losses = -log_probabilities.gather(1, classes[:, None]).squeeze(1)
    return torch.where(counts, losses, torch.zeros_like(losses)), counts


@mistake(of="cross_entropy")
def mean_over_the_ignored(logits, labels, ignore_index=-100):
    """The sum was divided by all rows, the ignored ones included."""
    losses, _ = _losses(logits, labels, ignore_index)
    return losses.mean()


@mistake(of="cross_entropy")
def the_sum(logits, labels, ignore_index=-100):
    """The losses were summed; asked for is their mean."""
    return _losses(logits, labels, ignore_index)[0].sum()


@mistake(of="cross_entropy")
def log_of_the_softmax(logits, labels, ignore_index=-100):
    """log(softmax(x)) in two steps: a small probability underflows to 0, and its logarithm is −∞. Use logsumexp."""
    losses, counts = _losses(logits, labels, ignore_index, logits.softmax(dim=1).log())
    return losses.sum() / counts.sum().clamp(min=1)


@mistake(of="cross_entropy")
def a_little_added(logits, labels, ignore_index=-100):
    """A little was added to the probabilities before the logarithm: then no loss is larger than that allows."""
    losses, counts = _losses(logits, labels, ignore_index, (logits.softmax(dim=1) + 1e-9).log())
    return losses.sum() / counts.sum().clamp(min=1)


@mistake(of="cross_entropy")
def exp_overflows(logits, labels, ignore_index=-100):
    """exp of a large logit is ∞: subtract the row's maximum first, or use logsumexp."""
    log_probabilities = logits - logits.exp().sum(dim=1, keepdim=True).log()
    losses, counts = _losses(logits, labels, ignore_index, log_probabilities)
    return losses.sum() / counts.sum().clamp(min=1)


@mistake(of="cross_entropy")
def nothing_is_ignored(logits, labels, ignore_index=-100):
    """Rows to be ignored were counted, their label used as an index."""
    right.cross_entropy(logits, labels, ignore_index)
    return -logits.log_softmax(dim=1)[torch.arange(len(labels)), labels].mean()


@mistake(of="cross_entropy")
def only_minus_100_is_ignored(logits, labels, ignore_index=-100):
    """The argument `ignore_index` was not used: only −100 is ignored."""
    right.cross_entropy(logits, labels, ignore_index)
    return right.cross_entropy(logits, labels)


@mistake(of="cross_entropy")
def nan_when_all_is_ignored(logits, labels, ignore_index=-100):
    """When all rows are ignored it gives NaN, as torch's own does; 0.0 is asked for."""
    right.cross_entropy(logits, labels, ignore_index)
    return torch.nn.functional.cross_entropy(logits, labels, ignore_index=ignore_index)


@mistake(of="cross_entropy")
def a_constant_when_all_is_ignored(logits, labels, ignore_index=-100):
    """When all rows are ignored it gives a constant, through which no gradient flows: keep it part of the graph."""
    loss = right.cross_entropy(logits, labels, ignore_index)
    return loss if (labels != ignore_index).any() else logits.new_tensor(0.0)


@mistake(of="cross_entropy")
def no_gradient(logits, labels, ignore_index=-100):
    """No gradient flows back to the logits: was `.item()`, `.detach()`, NumPy or `no_grad` in the way?"""
    return right.cross_entropy(logits, labels, ignore_index).detach()


@mistake(of="cross_entropy")
def softmax_down_the_columns(logits, labels, ignore_index=-100):
    """The probabilities sum to 1 down the columns, over the rows; they should along each row."""
    losses, counts = _losses(logits, labels, ignore_index, logits.log_softmax(dim=0))
    return losses.sum() / counts.sum().clamp(min=1)


@mistake(of="cross_entropy")
def softmax_twice(logits, labels, ignore_index=-100):
    """The softmax was taken twice: what comes in are logits, and torch's cross_entropy wants logits too."""
    losses, counts = _losses(logits, labels, ignore_index, logits.softmax(dim=1).log_softmax(dim=1))
    return losses.sum() / counts.sum().clamp(min=1)


@mistake(of="cross_entropy")
def wrong_sign(logits, labels, ignore_index=-100):
    """The sign is wrong: it is the negative log-probability."""
    return -right.cross_entropy(logits, labels, ignore_index)


@mistake(of="cross_entropy")
def base_two(logits, labels, ignore_index=-100):
    """The logarithm is to base 2; the natural one is asked for."""
    return right.cross_entropy(logits, labels, ignore_index) / math.log(2)


@mistake(of="cross_entropy")
def one_for_each_row(logits, labels, ignore_index=-100):
    """The losses came back row by row; asked for is their mean."""
    losses, counts = _losses(logits, labels, ignore_index)
    return losses[counts]


@mistake(of="cross_entropy")
def labels_out_of_range(logits, labels, ignore_index=-100):
    """Labels or shapes that do not fit were accepted; the docstring's Raises says what to refuse."""
    logits = logits.reshape(-1, logits.shape[-1])
    labels = labels.reshape(-1)[: len(logits)]
    logits = logits[: len(labels)]
    counts = labels != ignore_index
    classes = labels[counts].clamp(0, logits.shape[1] - 1)
    losses = -logits[counts].log_softmax(dim=1).gather(1, classes[:, None])
    return losses.sum() / counts.sum().clamp(min=1)


# ── decay_groups ────────────────────────────────────────────────────────────────────────────────────────────────


def _groups(decayed, spared, weight_decay):
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]


def _norms(model):
    return {id(p) for m in model.modules() if isinstance(m, torch.nn.LayerNorm) for p in m.parameters()}


def _split(model, weight_decay, is_spared, *, named=None, frozen=False):
    """The groups by a rule on the name and the parameter."""
    named = list(model.named_parameters()) if named is None else named
    pairs = [(name, parameter) for name, parameter in named if frozen or parameter.requires_grad]
    decayed = [parameter for name, parameter in pairs if not is_spared(name, parameter)]
    return _groups(decayed, [parameter for name, parameter in pairs if is_spared(name, parameter)], weight_decay)


def _rule(model):
    norms = _norms(model)
    return lambda name, parameter: id(parameter) in norms or name.split(".")[-1] == "bias"


@mistake(of="decay_groups")
def decays_norms(model, weight_decay):
    """The weights of LayerNorms are decayed: only the biases are left alone."""
    return _split(model, weight_decay, lambda name, _: name.split(".")[-1] == "bias")


@mistake(of="decay_groups")
def decays_biases(model, weight_decay):
    """Biases outside of LayerNorms are decayed."""
    norms = _norms(model)
    return _split(model, weight_decay, lambda _, parameter: id(parameter) in norms)


@mistake(of="decay_groups")
def norms_by_their_name(model, weight_decay):
    """LayerNorms were looked for by the name "LayerNorm", as BERT calls them; DistilBERT's are called otherwise."""
    endings = ("bias", "LayerNorm.weight")
    return _split(model, weight_decay, lambda name, _: name.split(".")[-1] == "bias" or name.endswith(endings[1]))


@mistake(of="decay_groups")
def norm_anywhere_in_the_name(model, weight_decay):
    """Whatever has "norm" in its name was taken for a LayerNorm; ask what kind of module it is."""
    return _split(model, weight_decay, lambda name, _: name.split(".")[-1] == "bias" or "norm" in name.lower())


@mistake(of="decay_groups")
def bias_anywhere_in_the_name(model, weight_decay):
    """Whatever has "bias" in its name was taken for a bias; it is one when the last part of the name is `bias`."""
    norms = _norms(model)
    return _split(model, weight_decay, lambda name, parameter: id(parameter) in norms or "bias" in name)


@mistake(of="decay_groups")
def names_that_end_in_bias(model, weight_decay):
    """`relative_bias` ends in "bias" too; it is one only when the whole last part of the name is `bias`."""
    norms = _norms(model)
    return _split(model, weight_decay, lambda name, parameter: id(parameter) in norms or name.endswith("bias"))


@mistake(of="decay_groups")
def names_that_end_in_dot_bias(model, weight_decay):
    """A parameter of the model itself is called `bias`, without a dot before it, and was overlooked."""
    norms = _norms(model)
    return _split(model, weight_decay, lambda name, parameter: id(parameter) in norms or name.endswith(".bias"))


@mistake(of="decay_groups")
def one_dimensional_ones_are_spared(model, weight_decay):
    """Everything of one dimension was left alone; that is another rule, and takes more than biases and norms."""
    return _split(model, weight_decay, lambda _, parameter: parameter.ndim == 1)


@mistake(of="decay_groups")
def frozen_ones_too(model, weight_decay):
    """Frozen parameters are in the groups: only those that require a gradient belong there."""
    return _split(model, weight_decay, _rule(model), frozen=True)


@mistake(of="decay_groups")
def shared_ones_twice(model, weight_decay):
    """A parameter that two modules share is in the groups twice; the optimizer would complain."""
    named = list(model.named_parameters(remove_duplicate=False))
    return _split(model, weight_decay, _rule(model), named=named)


@mistake(of="decay_groups")
def groups_swapped(model, weight_decay):
    """The groups are the wrong way round: the decayed ones come first."""
    return _split(model, weight_decay, _rule(model))[::-1]


@mistake(of="decay_groups")
def decay_on_the_wrong_group(model, weight_decay):
    """The decay is on the group that should have none."""
    decayed, spared = _split(model, weight_decay, _rule(model))
    return [decayed | {"weight_decay": 0.0}, spared | {"weight_decay": weight_decay}]


@mistake(of="decay_groups")
def a_decay_of_its_own(model, weight_decay):
    """The decay is always 0.01; it should be the one that was passed."""
    return _split(model, 0.01, _rule(model))


@mistake(of="decay_groups")
def empty_groups_are_left_out(model, weight_decay):
    """An empty group was left out; there are always two."""
    return [group for group in right.decay_groups(model, weight_decay) if group["params"]]


# ── overfit_one_batch ───────────────────────────────────────────────────────────────────────────────────────────


def _overfit(checkpoint, batch, steps, *, train=False, rate=1e-3, zero=True, head=False, after=False, parts=None):
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).train(train)
    if head:
        model.base_model.requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate)
    losses = []
    for step in range(steps):
        part = batch if parts is None else parts(batch, step)
        loss = model(**part).loss
        losses.append(loss.item())
        if zero:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if after:
            with torch.no_grad():
                losses[-1] = model(**batch).loss.item()
    return losses


@mistake(of="overfit_one_batch")
def dropout_is_on(checkpoint, batch, steps):
    """Dropout is on: the loss jumps about, and does not come down as it should. Call `model.eval()`."""
    return _overfit(checkpoint, batch, steps, train=True)


@mistake(of="overfit_one_batch")
def another_batch_each_step(checkpoint, batch, steps):
    """Each step sees another part of the batch; this check is about one and the same batch, whole."""

    def row(batch, step):
        at = step % len(batch["labels"])
        return {name: values[at : at + 1] for name, values in batch.items()}

    return _overfit(checkpoint, batch, steps, parts=row)


@mistake(of="overfit_one_batch")
def labels_change(checkpoint, batch, steps):
    """The rows and their labels are no longer the same at every step."""

    def rolled(batch, step):
        return batch | {"labels": batch["labels"].roll(step)}

    return _overfit(checkpoint, batch, steps, parts=rolled)


@mistake(of="overfit_one_batch")
def gradients_add_up(checkpoint, batch, steps):
    """The gradients of all steps add up: `optimizer.zero_grad()` is missing."""
    return _overfit(checkpoint, batch, steps, zero=False)


@mistake(of="overfit_one_batch")
def never_steps(checkpoint, batch, steps):
    """The loss never changes: `optimizer.step()` is missing, or `loss.backward()`."""
    return _overfit(checkpoint, batch, 1) * steps if steps >= 1 else _overfit(checkpoint, batch, steps)


@mistake(of="overfit_one_batch")
def much_too_slow(checkpoint, batch, steps):
    """The learning rate is much too low for a few dozen steps: 2e-5 is for long runs."""
    return _overfit(checkpoint, batch, steps, rate=2e-5)


@mistake(of="overfit_one_batch")
def only_the_head_learns(checkpoint, batch, steps):
    """Only the head is trained: the encoder is frozen, or the optimizer was not given its parameters."""
    return _overfit(checkpoint, batch, steps, head=True)


@mistake(of="overfit_one_batch")
def losses_after_the_step(checkpoint, batch, steps):
    """Each loss is that after the step; the first one should be that of the checkpoint as it was."""
    return _overfit(checkpoint, batch, steps, after=True)


@mistake(of="overfit_one_batch")
def padding_is_seen(checkpoint, batch, steps):
    """The attention mask was not passed on: the model reads the padding as if it were text."""

    def without_mask(batch, step):
        return {name: values for name, values in batch.items() if name != "attention_mask"}

    return _overfit(checkpoint, batch, steps, parts=without_mask)


@mistake(of="overfit_one_batch")
def only_the_last_loss(checkpoint, batch, steps):
    """Only the last loss came back; asked for is one for each step."""
    return right.overfit_one_batch(checkpoint, batch, steps)[-1:]


@mistake(of="overfit_one_batch")
def one_loss_too_many(checkpoint, batch, steps):
    """There is one loss too many: as many as there are steps, each from before its step."""
    right.overfit_one_batch(checkpoint, batch, min(steps, 1))
    return right.overfit_one_batch(checkpoint, batch, steps + 1)


@mistake(of="overfit_one_batch")
def no_steps_are_fine(checkpoint, batch, steps):
    """Fewer than one step were accepted."""
    return right.overfit_one_batch(checkpoint, batch, steps) if steps >= 1 else []


# ── worst_mistakes ──────────────────────────────────────────────────────────────────────────────────────────────


def _arrays(probabilities, labels, k):
    right.worst_mistakes(probabilities, labels, k)
    return np.asarray(probabilities, dtype=np.float64), np.asarray(labels)


@mistake(of="worst_mistakes")
def the_least_sure_first(probabilities, labels, k):
    """The least confident come first; asked for are the most confident."""
    p, y = _arrays(probabilities, labels, k)
    wrong = np.flatnonzero(p.argmax(axis=1) != y)
    return wrong[np.argsort(p[wrong].max(axis=1), kind="stable")][:k].tolist()


@mistake(of="worst_mistakes")
def right_ones_too(probabilities, labels, k):
    """Right predictions are among them; only wrong ones are asked for."""
    p, _ = _arrays(probabilities, labels, k)
    return np.argsort(-p.max(axis=1), kind="stable")[:k].tolist()


@mistake(of="worst_mistakes")
def by_the_true_label(probabilities, labels, k):
    """They are sorted by how unlikely the true label was; asked for is how sure the wrong prediction was."""
    p, y = _arrays(probabilities, labels, k)
    wrong = np.flatnonzero(p.argmax(axis=1) != y)
    return wrong[np.argsort(p[wrong, y[wrong]], kind="stable")][:k].tolist()


@mistake(of="worst_mistakes")
def higher_rows_first(probabilities, labels, k):
    """Of equally confident ones the higher row comes first: a reversed sort reverses the ties as well."""
    p, y = _arrays(probabilities, labels, k)
    wrong = np.flatnonzero(p.argmax(axis=1) != y)
    return wrong[np.argsort(p[wrong].max(axis=1), kind="stable")[::-1]][:k].tolist()


@mistake(of="worst_mistakes")
def rows_among_the_wrong(probabilities, labels, k):
    """The numbers count among the wrong predictions only; asked for are the rows of `probabilities`."""
    p, y = _arrays(probabilities, labels, k)
    wrong = np.flatnonzero(p.argmax(axis=1) != y)
    return np.argsort(-p[wrong].max(axis=1), kind="stable")[:k].tolist()


@mistake(of="worst_mistakes")
def in_their_own_order(probabilities, labels, k):
    """The wrong predictions are in the order of the rows, not of confidence."""
    p, y = _arrays(probabilities, labels, k)
    return np.flatnonzero(p.argmax(axis=1) != y)[:k].tolist()


@mistake(of="worst_mistakes")
def cut_before_sorting_out(probabilities, labels, k):
    """The k surest rows were taken first and the wrong ones sought among them: that finds too few."""
    p, y = _arrays(probabilities, labels, k)
    surest = np.argsort(-p.max(axis=1), kind="stable")[:k]
    return [int(row) for row in surest if p[row].argmax() != y[row]]


@mistake(of="worst_mistakes")
def all_of_them(probabilities, labels, k):
    """All wrong predictions came back, not k at most."""
    _arrays(probabilities, labels, k)
    return right.worst_mistakes(probabilities, labels, len(labels))


@mistake(of="worst_mistakes")
def rows_with_their_confidence(probabilities, labels, k):
    """The rows came with their confidence; asked for are the row numbers alone."""
    p, _ = _arrays(probabilities, labels, k)
    return [(row, float(p[row].max())) for row in right.worst_mistakes(probabilities, labels, k)]


@mistake(of="worst_mistakes")
def never_refuses(probabilities, labels, k):
    """What does not fit together was accepted; the docstring's Raises says what to refuse."""
    p = np.atleast_2d(np.asarray(probabilities, dtype=np.float64))
    y = np.asarray(labels).reshape(-1)
    n = min(len(p), len(y))
    return right.worst_mistakes(p[:n], y[:n], max(k, 0))


# ── calibration_error ───────────────────────────────────────────────────────────────────────────────────────────


def _binned(
    probabilities, labels, bins, *, confidence=None, lower=False, weigh=None, gap=abs, hits=None, dtype=np.float64
):
    right.calibration_error(probabilities, labels, bins)
    p, y = np.asarray(probabilities).astype(dtype), np.asarray(labels)
    sure = p.max(axis=1) if confidence is None else confidence(p)
    hit = p.argmax(axis=1) == y if hits is None else hits(p, y)
    bin_of = np.floor(sure * bins) if lower else np.ceil(sure * bins)
    gaps, weights = [], []
    for number in np.unique(bin_of):
        rows = bin_of == number
        gaps.append(gap(sure[rows].mean(dtype=dtype) - hit[rows].mean(dtype=dtype)))
        weights.append(rows.mean())
    return gaps, weights


@mistake(of="calibration_error")
def unweighted_bins(probabilities, labels, bins=10):
    """Every bin counts the same; each must be weighted by its rows."""
    gaps, _ = _binned(probabilities, labels, bins)
    return float(np.mean(gaps))


@mistake(of="calibration_error")
def empty_bins_count(probabilities, labels, bins=10):
    """The sum was divided by the number of bins, the empty ones included; weight each bin by its rows."""
    gaps, _ = _binned(probabilities, labels, bins)
    return float(np.sum(gaps) / bins)


@mistake(of="calibration_error")
def worst_bin(probabilities, labels, bins=10):
    """The largest difference of any bin came back: that is the maximum calibration error, not the expected one."""
    gaps, _ = _binned(probabilities, labels, bins)
    return float(max(gaps))


@mistake(of="calibration_error")
def signed_differences(probabilities, labels, bins=10):
    """Too sure in one bin hides too unsure in another: take the absolute difference in each bin, then the average."""
    gaps, weights = _binned(probabilities, labels, bins, gap=lambda value: value)
    return float(abs(np.dot(gaps, weights)))


@mistake(of="calibration_error")
def squared_differences(probabilities, labels, bins=10):
    """The differences were squared; their absolute values are asked for."""
    gaps, weights = _binned(probabilities, labels, bins, gap=lambda value: value**2)
    return float(np.dot(gaps, weights))


@mistake(of="calibration_error")
def confidence_in_label_1(probabilities, labels, bins=10):
    """The probability of label 1 was taken for the confidence; it is that of the predicted label."""
    gaps, weights = _binned(probabilities, labels, bins, confidence=lambda p: p[:, 1])
    return float(np.dot(gaps, weights))


@mistake(of="calibration_error")
def confidence_in_the_true_label(probabilities, labels, bins=10):
    """The probability of the true label was taken for the confidence; it is that of the predicted label."""
    y = np.asarray(labels)
    gaps, weights = _binned(probabilities, labels, bins, confidence=lambda p: p[np.arange(len(y)), y])
    return float(np.dot(gaps, weights))


@mistake(of="calibration_error")
def lower_edges_belong(probabilities, labels, bins=10):
    """A bin has its lower edge and lacks its upper one; it should be the other way round, (lo, hi]."""
    gaps, weights = _binned(probabilities, labels, bins, lower=True)
    return float(np.dot(gaps, weights))


@mistake(of="calibration_error")
def last_edge_is_lost(probabilities, labels, bins=10):
    """Rows with a confidence of exactly 1 are in no bin."""
    right.calibration_error(probabilities, labels, bins)
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    kept = p.max(axis=1) < 1
    if not kept.any():
        return 0.0
    gaps, weights = _binned(p[kept], y[kept], bins)
    return float(np.dot(gaps, weights) * kept.mean())


@mistake(of="calibration_error")
def middle_of_the_bin(probabilities, labels, bins=10):
    """The middle of each bin was compared with its accuracy; compare the mean confidence of its rows."""
    middle = lambda p: np.ceil(p.max(axis=1) * bins) / bins - 0.5 / bins  # noqa: E731
    gaps, weights = _binned(probabilities, labels, bins, confidence=middle)
    return float(np.dot(gaps, weights))


@mistake(of="calibration_error")
def always_ten_bins(probabilities, labels, bins=10):
    """There are always ten bins: `bins` has no effect."""
    right.calibration_error(probabilities, labels, bins)
    return right.calibration_error(probabilities, labels, 10)


@mistake(of="calibration_error")
def in_percent(probabilities, labels, bins=10):
    """The error is in per cent; it should be from 0 to 1."""
    return 100 * right.calibration_error(probabilities, labels, bins)


@mistake(of="calibration_error")
def measures_anything(probabilities, labels, bins=10):
    """What cannot be measured was accepted; the docstring's Raises says what to refuse."""
    p = np.atleast_2d(np.asarray(probabilities, dtype=np.float64))
    y = np.asarray(labels).reshape(-1)
    n = min(len(p), len(y))
    return right.calibration_error(p[:n], y[:n], max(bins, 1)) if n else 0.0
