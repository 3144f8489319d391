"""Everything that one protocol's raw predictions say."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from emotion.arrays import Probabilities
from emotion.records import PRECISIONS, Metrics, Precision
from training.evaluate import Labels, metrics_of
from training.predictions import PredictionRow, by_artifact, read_complete
from training.protocols import Protocol
from training.scores import ArtifactScores, answers_and_labels, score_all


@dataclass(frozen=True)
class Averaged:
    """Two backbones or more in one precision: the mean of their probabilities, image by image."""

    models: tuple[str, ...]
    precision: Precision
    metrics: Metrics


@dataclass(frozen=True)
class Measured:
    """All artifacts' scores under one protocol, and those of backbones that answer together."""

    protocol: Protocol
    scores: list[ArtifactScores]
    averaged: list[Averaged]


def measure(path: Path, protocol: Protocol) -> Measured:
    """Score one raw file; raises PredictionsError unless it is complete."""
    rows = read_complete(path)
    return Measured(protocol, score_all(rows, protocol.title), average_all(rows, protocol.title))


def average_all(rows: Iterable[PredictionRow], protocol: str) -> list[Averaged]:
    """Score every set of backbones of complete rows (see ``check_complete``); the largest first.

    A fold's artifacts never saw the people whom that fold tests, so neither did their mean.
    """
    found = {key: answers_and_labels(group) for key, group in by_artifact(rows)}
    models = list(dict.fromkeys(model for model, _ in found))
    sets = [s for count in range(len(models), 1, -1) for s in combinations(models, count)]
    return [
        _average(chosen, precision, found, protocol) for chosen in sets for precision in PRECISIONS
    ]


def _average(
    chosen: tuple[str, ...],
    precision: Precision,
    found: dict[tuple[str, Precision], tuple[Probabilities, Labels]],
    protocol: str,
) -> Averaged:
    answers = np.mean([found[model, precision][0] for model in chosen], axis=0)
    _, labels = found[chosen[0], precision]
    return Averaged(chosen, precision, metrics_of(answers, labels, protocol))
