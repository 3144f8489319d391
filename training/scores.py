"""Raw predictions to the figures of each artifact, alone and against its float32 twin."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix

from emotion.arrays import Probabilities
from emotion.labels import EMOTIONS
from emotion.records import Metrics, Precision
from training.evaluate import Labels, ReliabilityBin, metrics_of, reliability_bins
from training.predictions import PredictionRow, by_artifact, read_complete
from training.protocols import Protocol


@dataclass(frozen=True)
class Disagreement:
    """An image that an artifact and its float32 twin name differently."""

    image: str
    label: str
    float32: str
    float32_confidence: float
    other: str
    other_confidence: float


@dataclass(frozen=True)
class ArtifactScores:
    """One artifact's figures under one protocol."""

    model: str
    precision: Precision
    metrics: Metrics
    confusion: npt.NDArray[np.int64]  # [7, 7], truth down, answer across
    bins: tuple[ReliabilityBin, ...]
    difference: float  # accuracy minus float32's
    agreement: float  # share of images with float32's top emotion
    largest_change: float  # of any probability, from float32's
    disagreements: tuple[Disagreement, ...]


def read_scores(path: Path, protocol: Protocol) -> list[ArtifactScores]:
    """Score the artifacts of one raw file; raises PredictionsError unless it is complete."""
    return score_all(read_complete(path), protocol.title)


def score_all(rows: Iterable[PredictionRow], protocol: str) -> list[ArtifactScores]:
    """Score every artifact of complete rows (see ``check_complete``), in the store's order."""
    scores = []
    twin: list[PredictionRow] = []
    for (model, precision), group in by_artifact(rows):
        if precision == "float32":
            twin = group
        scores.append(_score(model, precision, group, twin, protocol))
    return scores


def _score(
    model: str,
    precision: Precision,
    rows: list[PredictionRow],
    twin: list[PredictionRow],
    protocol: str,
) -> ArtifactScores:
    answers, labels = answers_and_labels(rows)
    reference, _ = answers_and_labels(twin)
    metrics = metrics_of(answers, labels, protocol)
    differing = tuple(
        Disagreement(
            image=row.image,
            label=row.label,
            float32=exact.predicted,
            float32_confidence=max(exact.probabilities),
            other=row.predicted,
            other_confidence=max(row.probabilities),
        )
        for row, exact in zip(rows, twin, strict=True)
        if row.predicted != exact.predicted
    )
    return ArtifactScores(
        model=model,
        precision=precision,
        metrics=metrics,
        confusion=confusion_matrix(labels, answers.argmax(axis=1), labels=range(len(EMOTIONS))),
        bins=tuple(reliability_bins(answers, labels)),
        difference=metrics.accuracy - float((reference.argmax(axis=1) == labels).mean()),
        agreement=1 - len(differing) / len(rows),
        largest_change=float(np.abs(answers - reference).max()),
        disagreements=differing,
    )


def answers_and_labels(rows: list[PredictionRow]) -> tuple[Probabilities, Labels]:
    """Return probabilities [n, 7] and truths [n] of one artifact's rows."""
    probabilities = np.array([row.probabilities for row in rows], np.float32)
    return probabilities, np.array([EMOTIONS.index(row.label) for row in rows])
