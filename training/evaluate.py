"""The converted artifacts themselves, run through ``emotion``, to numbers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score, recall_score

from emotion.agreement import wilson_interval
from emotion.arrays import Pixels, Probabilities
from emotion.interpreter import Interpreter
from emotion.labels import EMOTIONS
from emotion.records import Metrics

Labels = npt.NDArray[np.int64]


def probabilities_of(artifact: bytes, tensors: Pixels) -> Probabilities:
    """Run an artifact on uint8 tensors [n, size, size, 3]; returns float32 [n, 7]."""
    return Interpreter(artifact, threads=1).run(tensors)


def metrics_of(probabilities: Probabilities, labels: Labels, protocol: str) -> Metrics:
    """Score answers [n, 7] against the truth [n]."""
    predicted = probabilities.argmax(axis=1)
    correct = int((predicted == labels).sum())
    low, high = wilson_interval(correct, len(labels))
    classes = np.arange(len(EMOTIONS))
    recall = recall_score(labels, predicted, labels=classes, average=None, zero_division=0)
    return Metrics(
        protocol=protocol,
        images=len(labels),
        accuracy=correct / len(labels),
        accuracy_low=low,
        accuracy_high=high,
        macro_f1=f1_score(labels, predicted, labels=classes, average="macro", zero_division=0),
        recall=dict(zip(EMOTIONS, recall.tolist(), strict=True)),
        calibration_error=expected_calibration_error(probabilities, labels),
    )


def expected_calibration_error(
    probabilities: Probabilities, labels: Labels, bins: int = 15
) -> float:
    """Mean distance of confidence and accuracy over equal-width bins (Guo et al. 2017)."""
    filled = reliability_bins(probabilities, labels, bins)
    return sum(b.images * abs(b.accuracy - b.confidence) for b in filled) / len(labels)


@dataclass(frozen=True)
class ReliabilityBin:
    """The answers whose confidence lies in one bin, which begins at ``low``."""

    low: float
    images: int
    confidence: float  # mean, 0..1
    accuracy: float


def reliability_bins(
    probabilities: Probabilities, labels: Labels, bins: int = 15
) -> list[ReliabilityBin]:
    """Return the bins that hold an answer, of ``bins`` equally wide ones over 0..1."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        ReliabilityBin(
            low=int(b) / bins,
            images=int((which == b).sum()),
            confidence=float(confidence[which == b].mean()),
            accuracy=float(correct[which == b].mean()),
        )
        for b in np.unique(which)
    ]
