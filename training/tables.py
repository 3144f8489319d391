"""Scores to Markdown tables."""

from collections.abc import Iterable, Sequence

from emotion.labels import EMOTIONS
from emotion.records import ArtifactRecord, Metrics
from training.measured import Averaged
from training.scores import ArtifactScores
from training.study import STUDY_ACCURACY

_QUALITY = ("macro F1", "worst class recall", "ECE")


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay cells out as a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def with_interval(metrics: Metrics) -> str:
    """Accuracy with its 95 % Wilson interval."""
    low, high = metrics.accuracy_low, metrics.accuracy_high
    return f"{metrics.accuracy:.1%} ({low:.1%} to {high:.1%})"


def accuracy_table(scores: Sequence[ArtifactScores]) -> str:
    """Accuracy, F1, the worst class and calibration of each artifact; the study's beside it."""
    head = ("model", "precision", "the study", "accuracy (95 % interval)")
    return markdown_table(
        (*head, *_QUALITY),
        (
            (
                s.model,
                s.precision,
                _share(STUDY_ACCURACY.get(s.model, {}).get(s.precision)),
                with_interval(s.metrics),
                *_quality(s.metrics),
            )
            for s in scores
        ),
    )


def quantization_table(scores: Sequence[ArtifactScores]) -> str:
    """What each precision changes against float32; the study's loss beside it."""
    head = ("model", "precision", "accuracy, points", "the study, points", "same top emotion")
    return markdown_table(
        (*head, "images named differently", "largest change of a probability"),
        (
            (
                s.model,
                s.precision,
                _points(s.difference),
                _study_loss(s.model, s.precision),
                f"{s.agreement:.2%}",
                str(len(s.disagreements)),
                f"{s.largest_change:.3f}",
            )
            for s in scores
            if s.precision != "float32"
        ),
    )


def averaged_table(averaged: Sequence[Averaged]) -> str:
    """Accuracy, F1, the worst class and calibration of backbones that answer together."""
    return markdown_table(
        ("models", "precision", "accuracy (95 % interval)", *_QUALITY),
        (
            (" + ".join(a.models), a.precision, with_interval(a.metrics), *_quality(a.metrics))
            for a in averaged
        ),
    )


def recall_table(scores: Sequence[ArtifactScores]) -> str:
    """Recall of each class, a column per artifact."""
    return markdown_table(
        ("class", "images", *(f"{s.model} {s.precision}" for s in scores)),
        (
            (
                label,
                str(int(scores[0].confusion[index].sum())),
                *(f"{s.metrics.recall[label]:.1%}" for s in scores),
            )
            for index, label in enumerate(EMOTIONS)
        ),
    )


def size_table(records: Sequence[ArtifactRecord]) -> str:
    """Size and latency of the shipped artifacts, and their shares of float32's where it ships."""
    twins = {r.model: r for r in records if r.precision == "float32"}
    rows = []
    for r in records:
        twin = twins.get(r.model)
        latency = r.latency
        rows.append(
            (
                r.model,
                r.precision,
                f"{r.input_size}x{r.input_size}",
                f"{r.bytes / 1e6:.2f} MB",
                f"{r.bytes / twin.bytes:.3f}" if twin else "",
                f"{latency.p50_ms:.2f} / {latency.p95_ms:.2f} / {latency.p99_ms:.2f} ms",
                f"{twin.latency.p50_ms / latency.p50_ms:.1f}x" if twin else "",
            )
        )
    head = ("model", "precision", "input", "size", "of float32", "p50 / p95 / p99", "speed-up")
    return markdown_table(head, rows)


def disagreement_table(scores: Sequence[ArtifactScores]) -> str:
    """Every image that int8 names otherwise than float32."""
    return markdown_table(
        ("model", "image", "truth", "float32", "int8"),
        (
            (
                s.model,
                d.image,
                d.label,
                f"{d.float32} {d.float32_confidence:.0%}",
                f"{d.other} {d.other_confidence:.0%}",
            )
            for s in scores
            if s.precision == "int8"
            for d in s.disagreements
        ),
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _points(difference: float) -> str:
    return f"{round(100 * difference, 2) + 0.0:+.2f}"  # + 0.0 makes -0.0 positive


def _study_loss(model: str, precision: str) -> str:
    study = STUDY_ACCURACY.get(model)
    return f"{100 * (study[precision] - study['float32']):+.1f}" if study else ""


def _quality(metrics: Metrics) -> tuple[str, str, str]:
    return f"{metrics.macro_f1:.3f}", _worst(metrics), f"{metrics.calibration_error:.1%}"


def _worst(metrics: Metrics) -> str:
    label = min(EMOTIONS, key=lambda emotion: metrics.recall[emotion])
    return f"{metrics.recall[label]:.1%} {label}"
