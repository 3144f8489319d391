"""A model's card: what it is, how it was measured, where it ends."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion.labels import EMOTIONS
from emotion.records import PRECISIONS, ArtifactRecord, Precision
from emotion.store import REPORTS, ModelStore, publish
from training.datasets import CKPLUS
from training.merged import MergedRecipe, read_recipes
from training.protocols import PROTOCOLS
from training.scores import ArtifactScores, read_scores
from training.tables import markdown_table, with_interval
from training.workspace import Evaluation, TrainedModel

EVIDENCE = ("train", "evaluation")  # logs that a card is made of
_CROSSVAL = PROTOCOLS["subject10"]


@dataclass(frozen=True)
class Folds:
    """A model's merged cross-validation."""

    scores: Sequence[ArtifactScores] = ()  # none where there is none
    recipe: MergedRecipe | None = None  # of all folds, where it was noted


def read_folds(model: str, store: Path) -> Folds:
    """Score the model's merged cross-validation in the store."""
    reports = store / REPORTS
    if not (reports / _CROSSVAL.file).is_file():
        return Folds()
    scores = read_scores(reports / _CROSSVAL.file, _CROSSVAL)
    recipe = read_recipes(reports, _CROSSVAL).get(model)
    return Folds([s for s in scores if s.model == model], recipe)


_NO_FOLDS = Folds()


def renew_cards(store: Path) -> None:
    """Write the cards of models whose three precisions are there, as the store is now.

    From its manifest, the logs and evaluations among its reports, and the cross-validation.

    Raises:
        StoreError: the store cannot be read or written.
        PredictionsError: the cross-validation's predictions are damaged.
    """
    opened, cards = ModelStore(store), {}
    for model in {record.model for record in opened.records}:
        records = [record for record in opened.records if record.model == model]
        log, evaluation = (store / REPORTS / f"{model}_{name}.json" for name in EVIDENCE)
        if len(records) == len(PRECISIONS) and log.is_file() and evaluation.is_file():
            cards[model] = card(
                model,
                records,
                TrainedModel.model_validate_json(log.read_text()),
                Evaluation.model_validate_json(evaluation.read_text()),
                read_folds(model, store),
            )
    publish(store, [], cards)


def card(
    model: str,
    records: list[ArtifactRecord],
    trained: TrainedModel,
    evaluation: Evaluation,
    folds: Folds = _NO_FOLDS,
    held: Collection[Precision] = PRECISIONS,
) -> str:
    """Write the model's card in Markdown.

    ``folds`` is its cross-validation, ``held`` are the precisions in the store.
    """
    first = records[0]
    rows = "\n".join(
        f"| {r.precision} | {r.bytes / 1e6:.2f} MB | {r.metrics.accuracy:.1%} "
        f"({r.metrics.accuracy_low:.1%} to {r.metrics.accuracy_high:.1%}) | "
        f"{r.metrics.macro_f1:.3f} | {r.metrics.calibration_error:.1%} | "
        f"{evaluation.agreement_with_float32[r.precision]:.1%} | "
        f"{r.latency.p50_ms:.2f} ms | `{r.version}` |"
        for r in records
    )
    recalls = "\n".join(
        f"| {label} | " + " | ".join(f"{r.metrics.recall[label]:.1%}" for r in records) + " |"
        for label in EMOTIONS
    )
    recipe = trained.run.recipe
    return f"""# {model}

Seven posed emotions ({", ".join(EMOTIONS)}) from a {first.input_size}x{first.input_size} grey face.

| precision | size | accuracy (95 % interval) | macro F1 | ECE | as float32 | p50 | version |
| --- | --- | --- | --- | --- | --- | --- | --- |
{rows}
{_held_section(held)}
Measured on {first.metrics.images} images: {first.metrics.protocol}. ECE is the expected
calibration error, "as float32" the share of equal answers, p50 the median latency of the
network alone on one thread of {first.latency.machine}, {first.latency.date}.
{_folds_section(folds, trained)}
Recall per class on the held-out subjects:

| class | {" | ".join(r.precision for r in records)} |
| --- | --- | --- | --- |
{recalls}

## Data and training

{evaluation.dataset};
data fingerprint `{trained.run.data_fingerprint}`. {_divided(recipe)}
subjects. Started from {recipe["init"]}; {recipe["head_epochs"]} epochs of the head alone, then up
to {recipe["epochs"]} of the whole network (stopped after {trained.epochs}, the best was
{trained.best_epoch}); {_took(trained)} on {trained.machine}. Temperature
{trained.temperature:.3f} is folded into the last layer. Seed {trained.run.seed}, commit
`{trained.run.git_commit}`. int8 is full-integer, calibrated on training images.

## Limits

{_limits(evaluation)}
"""


def _held_section(held: Collection[Precision]) -> str:
    if set(held) == set(PRECISIONS):
        return ""
    return f"\nOf these the store holds {' and '.join(p for p in PRECISIONS if p in held)} alone.\n"


def _divided(recipe: dict[str, Any]) -> str:
    if recipe.get("refit") == "all":
        return "Trained a second time on those who had validated the first; tested on other"
    return "Trained, validated and tested on disjoint"


def _limits(evaluation: Evaluation) -> str:
    shown = "It has seen only faces like those of its dataset, and there is no neutral class"
    if evaluation.dataset.startswith(CKPLUS):
        shown = (
            "CK+ shows posed expressions of mostly young adults, frontal, in a laboratory, and has "
            "no neutral\nclass"
        )
    return (
        f"{shown}: a neutral face gets one of the seven labels all the same. A label is a guess "
        "about a\npicture, not about what a person feels. Do not use it to decide about people."
    )


def _folds_section(folds: Folds, trained: TrainedModel) -> str:
    if not folds.scores:
        return ""
    recipe = "Another recipe"
    if folds.recipe is None:
        recipe = "A recipe that was not noted"
    elif folds.recipe.is_of(trained):
        recipe = "The same recipe"
    table = markdown_table(
        ("precision", "accuracy (95 % interval)", "macro F1", "ECE", "as float32"),
        (
            (
                s.precision,
                with_interval(s.metrics),
                f"{s.metrics.macro_f1:.3f}",
                f"{s.metrics.calibration_error:.1%}",
                f"{s.agreement:.1%}",
            )
            for s in folds.scores
        ),
    )
    return f"""
{recipe}, {_CROSSVAL.title.lower()} ({folds.scores[0].metrics.images} images, each predicted by
artifacts that never saw its subject):

{table}"""


def _took(trained: TrainedModel) -> str:
    peak = trained.peak_memory_bytes
    memory = f" in a process of at most {peak / 1e9:.1f} GB of main memory" if peak else ""
    return f"{trained.seconds / 60:.0f} minutes{memory}"
