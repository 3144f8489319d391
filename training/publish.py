"""Measured artifacts to the model store, past a gate."""

import hashlib
from pathlib import Path

from emotion.errors import EmotionError
from emotion.interpreter import Interpreter
from emotion.labels import EMOTIONS
from emotion.preprocess import PIPELINE
from emotion.records import PRECISIONS, ArtifactRecord, Precision
from emotion.store import publish
from training.workspace import Evaluation, TrainedModel, Workspace

MAX_LOSS = 0.01
MAX_SIZE = {"float16": 0.51, "int8": 0.28}


class GateError(EmotionError):
    """An artifact is not good enough to be published."""


def publish_model(model: str, workspace: Workspace, store: Path) -> None:
    """Put a model's three artifacts and its card into the store.

    Raises:
        GateError: an artifact lost more accuracy to quantization than MAX_LOSS, never answers
            some class its float32 twin does answer, or did not get as small as MAX_SIZE.
        StoreError: the store cannot be written; it is then as it was before.
    """
    trained = TrainedModel.model_validate_json(workspace.read(workspace.log(model), "train"))
    evaluation = Evaluation.model_validate_json(
        workspace.read(workspace.evaluation(model), "evaluate")
    )
    contents = {p: workspace.read(workspace.artifact(model, p), "quantize") for p in PRECISIONS}
    check_gate(model, evaluation, {p: len(c) for p, c in contents.items()})
    records = [
        (_record(model, precision, content, trained, evaluation), content)
        for precision, content in contents.items()
    ]
    publish(store, records, {model: card(model, [r for r, _ in records], trained, evaluation)})


def check_gate(model: str, evaluation: Evaluation, sizes: dict[Precision, int]) -> None:
    """Raise GateError, naming every reason, unless all three artifacts may be published."""
    reference = evaluation.metrics["float32"]
    reasons = []
    for precision in PRECISIONS[1:]:
        metrics = evaluation.metrics[precision]
        if metrics.accuracy < reference.accuracy - MAX_LOSS:
            reasons.append(
                f"{precision} reaches {metrics.accuracy:.1%}, float32 {reference.accuracy:.1%}"
            )
        for label in EMOTIONS:
            if metrics.recall[label] == 0 < reference.recall[label]:
                reasons.append(f"{precision} never recognises {label}, float32 does")
        share = sizes[precision] / sizes["float32"]
        if share > MAX_SIZE[precision]:
            reasons.append(f"{precision} has {share:.2f} of float32's size")
    if reasons:
        raise GateError(f"{model} is not published: {'; '.join(reasons)}.")


def _record(
    model: str,
    precision: Precision,
    content: bytes,
    trained: TrainedModel,
    evaluation: Evaluation,
) -> ArtifactRecord:
    interpreter = Interpreter(content)
    return ArtifactRecord(
        model=model,
        precision=precision,
        file=f"{model}/{precision}.tflite",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        pipeline_fingerprint=PIPELINE.fingerprint,
        input=interpreter.input,
        output=interpreter.output,
        training=trained.run,
        metrics=evaluation.metrics[precision],
        latency=evaluation.latency[precision],
    )


def card(
    model: str, records: list[ArtifactRecord], trained: TrainedModel, evaluation: Evaluation
) -> str:
    """Write the model's card in Markdown."""
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

Measured on {first.metrics.images} images: {first.metrics.protocol}. ECE is the expected
calibration error, "as float32" the share of equal answers, p50 the median latency of the
network alone on one thread of {first.latency.machine}, {first.latency.date}.

Recall per class:

| class | {" | ".join(r.precision for r in records)} |
| --- | --- | --- | --- |
{recalls}

## Data and training

CK+ (Lucey et al. 2010): 981 images, the last three frames of 327 sequences, 118 subjects;
data fingerprint `{trained.run.data_fingerprint}`. Trained, validated and tested on disjoint
subjects. Started from {recipe["init"]}; {recipe["head_epochs"]} epochs of the head alone, then up
to {recipe["epochs"]} of the whole network (stopped after {trained.epochs}, the best was
{trained.best_epoch}); {trained.seconds / 60:.0f} minutes on {trained.machine}. Temperature
{trained.temperature:.3f} is folded into the last layer. Seed {trained.run.seed}, commit
`{trained.run.git_commit}`. int8 is full-integer, calibrated on training images.

## Limits

CK+ shows posed expressions of mostly young adults, frontal, in a laboratory, and has no neutral
class: a neutral face gets one of the seven labels all the same. A label is a guess about a
picture, not about what a person feels. Do not use it to decide about people.
"""
