"""Measured artifacts to the model store, past a gate."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from emotion.errors import ArtifactUnavailableError, EmotionError
from emotion.interpreter import Interpreter
from emotion.labels import EMOTIONS
from emotion.preprocess import PIPELINE
from emotion.records import PRECISIONS, ArtifactRecord, Latency, Precision, file_name
from emotion.store import MANIFEST, REPORTS, ModelStore, publish
from training.card import card, read_folds
from training.network import init_source
from training.operators import same_graph
from training.web import WEB
from training.workspace import Evaluation, TrainedModel, Workspace

MAX_LOSS = 0.01
_PRETRAIN = "pretrain.json"
MAX_SIZE: dict[Precision, float] = {"float16": 0.51, "int8": 0.28}


class GateError(EmotionError):
    """An artifact is not good enough to be published."""


def publish_model(
    model: str,
    workspace: Workspace,
    store: Path,
    precisions: Sequence[Precision] = PRECISIONS,
) -> None:
    """Put a model's artifacts, its card, and the evidence behind both into the store.

    The evidence, in the store's reports: the logs of the training and the raw test answers.
    An artifact with the graph of the one it replaces keeps that one's latency: it does not depend
    on the weights, and a store's latencies stay of one run (``time_again``).

    Args:
        model: the backbone.
        workspace: of its run; all three artifacts are there and must pass the gate.
        store: receives them.
        precisions: which of the three; the card describes all, and says which the store holds.

    Raises:
        GateError: an artifact never recognises some class, lost more accuracy to quantization
            than MAX_LOSS, or did not get as small as MAX_SIZE; or the store would then hold
            precisions of different trainings.
        PredictionsError: the cross-validation's predictions in the store are damaged.
        StoreError: the store cannot be written; it is then as it was before.
    """
    trained = TrainedModel.model_validate_json(workspace.read(workspace.log(model), "train"))
    evaluation = Evaluation.model_validate_json(
        workspace.read(workspace.evaluation(model), "evaluate")
    )
    contents = {p: workspace.read(workspace.artifact(model, p), "quantize") for p in PRECISIONS}
    check_gate(model, evaluation, {p: len(c) for p, c in contents.items()})
    published = _published(model, store)
    siblings = [record for record, _ in published if record.precision not in precisions]
    _check_siblings(siblings, trained)
    latency = evaluation.latency | {
        record.precision: record.latency
        for record, content in published
        if content and same_graph(content, contents[record.precision])
    }
    records = [
        (_record(model, precision, content, trained, evaluation, latency[precision]), content)
        for precision, content in contents.items()
    ]
    held = {*precisions, *(sibling.precision for sibling in siblings)}
    text = card(model, [r for r, _ in records], trained, evaluation, read_folds(model, store), held)
    chosen = [(r, content) for r, content in records if r.precision in precisions]
    evidence = _evidence(model, workspace, trained)
    publish(store, chosen, {model: text}, reports=evidence)
    pretrained = f"{model}_{_PRETRAIN}"
    if pretrained not in evidence:  # that in the store is of the training before
        (store / REPORTS / pretrained).unlink(missing_ok=True)


def check_gate(model: str, evaluation: Evaluation, sizes: dict[Precision, int]) -> None:
    """Raise GateError, naming every reason, unless all three artifacts may be published."""
    reference = evaluation.metrics["float32"].accuracy
    reasons = []
    for precision, metrics in evaluation.metrics.items():
        never = [label for label in EMOTIONS if metrics.recall[label] == 0]
        if never:
            reasons.append(f"{precision} never recognises {', '.join(never)}")
        if metrics.accuracy < reference - MAX_LOSS:
            reasons.append(f"{precision} reaches {metrics.accuracy:.1%}, float32 {reference:.1%}")
    for precision, limit in MAX_SIZE.items():
        share = sizes[precision] / sizes["float32"]
        if share > limit:
            reasons.append(f"{precision} has {share:.2f} of float32's size")
    if reasons:
        raise GateError(f"{model} is not published: {'; '.join(reasons)}.")


def _evidence(model: str, workspace: Workspace, trained: TrainedModel) -> dict[str, bytes]:
    files = [workspace.log(model), workspace.evaluation(model), workspace.predictions(model)]
    evidence = {f"{model}_{file.name}": file.read_bytes() for file in files if file.is_file()}
    for faces in WEB:
        weights, log = workspace.pretrained(model, faces), workspace.pretrained_log(model, faces)
        if log.is_file() and init_source(str(weights)) == trained.run.recipe["init"]:
            evidence[f"{model}_{_PRETRAIN}"] = log.read_bytes()
    return evidence


def _published(model: str, store: Path) -> list[tuple[ArtifactRecord, bytes | None]]:
    """Return the model's artifacts in the store, none where there is no store yet."""
    if not (store / MANIFEST).exists():
        return []
    opened = ModelStore(store)
    return [
        (record, _content(opened, record)) for record in opened.records if record.model == model
    ]


def _content(opened: ModelStore, record: ArtifactRecord) -> bytes | None:
    try:
        return opened.read(record)
    except ArtifactUnavailableError:  # damaged, so all the more to be replaced
        return None


def _check_siblings(siblings: Sequence[ArtifactRecord], trained: TrainedModel) -> None:
    for record in siblings:
        if record.training != trained.run:
            raise GateError(
                f"{record.name} in the store comes from another training: publish it as well, or "
                "the precisions could not be compared."
            )


def _record(
    model: str,
    precision: Precision,
    content: bytes,
    trained: TrainedModel,
    evaluation: Evaluation,
    latency: Latency,
) -> ArtifactRecord:
    interpreter = Interpreter(content)
    sha256 = hashlib.sha256(content).hexdigest()
    return ArtifactRecord(
        model=model,
        precision=precision,
        file=file_name(model, precision, sha256),
        sha256=sha256,
        bytes=len(content),
        pipeline_fingerprint=PIPELINE.fingerprint,
        input=interpreter.input,
        output=interpreter.output,
        training=trained.run,
        metrics=evaluation.metrics[precision],
        latency=latency,
    )
