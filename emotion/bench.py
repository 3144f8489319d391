"""Times every stage of the pipeline for several artifacts, on this machine."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from emotion.classifier import Classifier, Faces, NoFace
from emotion.machine import machine
from emotion.records import ArtifactRecord
from emotion.results import Prediction

STAGES = ("decode", "detect", "preprocess", "inference", "total")
_WARM_UP = 3


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one stage over the repeats."""

    p50: float
    p95: float


@dataclass(frozen=True)
class ArtifactTiming:
    """One artifact's milliseconds per stage, and how they relate to its model's float32."""

    record: ArtifactRecord
    stages: dict[str, Timing]
    speedup: dict[str, float] | None  # of inference and total, p50; None where float32 did not run


@dataclass(frozen=True)
class Bench:
    """What was measured, where and when."""

    machine: str
    date: str
    repeats: int
    detector: str | None
    width: int
    height: int
    artifacts: tuple[ArtifactTiming, ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON values, named as the HTTP answers name them."""
        return {
            "machine": self.machine,
            "date": self.date,
            "repeats": self.repeats,
            "image": {"width": self.width, "height": self.height},
            "detector": self.detector,
            "artifacts": [
                {
                    "model": timed.record.model,
                    "precision": timed.record.precision,
                    "version": timed.record.version,
                    "bytes": timed.record.bytes,
                    "accuracy": timed.record.metrics.accuracy,
                    "latency_ms": {name: vars(stage) for name, stage in timed.stages.items()},
                    "speedup_over_float32": timed.speedup,
                }
                for timed in self.artifacts
            ],
        }


def bench(
    classifier: Classifier,
    content: bytes,
    artifacts: Sequence[ArtifactRecord],
    *,
    repeats: int,
    faces: Faces = "largest",
    no_face: NoFace = "error",
) -> Bench:
    """Predict one image with each artifact, over and over.

    The artifacts take turns, and each round begins with another one, so that whatever else the
    machine does hits all of them alike.

    Args:
        classifier: opens the store.
        content: an encoded image.
        artifacts: at least one.
        repeats: timed calls of each, after a warm-up.
        faces: as for ``Classifier.predict``.
        no_face: as for ``Classifier.predict``.

    Raises:
        The errors of ``Classifier.predict``.
    """
    times: list[list[dict[str, float]]] = [[] for _ in artifacts]
    for number in range(_WARM_UP + repeats):
        for turn in range(len(artifacts)):
            index = (number + turn) % len(artifacts)
            record = artifacts[index]
            start = time.perf_counter()
            answer = classifier.predict(
                content, record.model, record.precision, faces=faces, no_face=no_face
            )
            total = 1000 * (time.perf_counter() - start)
            times[index].append(answer.milliseconds | {"total": total})
    stages = [_timings(rows[_WARM_UP:]) for rows in times]
    return _bench(answer, artifacts, stages, repeats)


def _bench(
    last: Prediction,
    artifacts: Sequence[ArtifactRecord],
    stages: list[dict[str, Timing]],
    repeats: int,
) -> Bench:
    exact = {
        record.model: timings
        for record, timings in zip(artifacts, stages, strict=True)
        if record.precision == "float32"
    }
    return Bench(
        machine(),
        datetime.now(UTC).date().isoformat(),
        repeats,
        last.image.detector,
        last.image.width,
        last.image.height,
        tuple(
            ArtifactTiming(record, timings, _speedup(exact.get(record.model), timings))
            for record, timings in zip(artifacts, stages, strict=True)
        ),
    )


def _timings(rows: list[dict[str, float]]) -> dict[str, Timing]:
    return {
        stage: Timing(*(float(p) for p in np.percentile([row[stage] for row in rows], (50, 95))))
        for stage in STAGES
    }


def _speedup(exact: dict[str, Timing] | None, own: dict[str, Timing]) -> dict[str, float] | None:
    if exact is None:
        return None
    return {stage: exact[stage].p50 / own[stage].p50 for stage in ("inference", "total")}
