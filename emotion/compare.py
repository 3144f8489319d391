"""One face through several artifacts: each timed, and held against its model's float32."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import numpy as np

from emotion.arrays import Probabilities
from emotion.preprocess import face_tensors
from emotion.registry import LoadedArtifact
from emotion.results import ComparedArtifact, FacePrediction, ImageFaces
from emotion.stopwatch import observer

T = TypeVar("T")


class Share(Protocol):
    """Runs pieces of work, on whatever threads, and returns their results in order."""

    def __call__(self, work: Sequence[Callable[[], T]]) -> list[T]:
        """Run ``work``; raises what a piece raises."""
        ...


def in_turn(work: Sequence[Callable[[], T]]) -> list[T]:
    """Run one piece after another: none takes another's time."""
    return [piece() for piece in work]


def compared(
    seen: ImageFaces,
    artifacts: Sequence[LoadedArtifact],
    repeats: int,
    check: Callable[[], object] | None,
    share: Share,
) -> tuple[ComparedArtifact, ...]:
    """Show the first face to every artifact, ``repeats`` times; see ``Classifier.compare``."""

    def show(artifact: LoadedArtifact) -> tuple[Probabilities, list[float]]:
        tensors = face_tensors(seen.pixels, artifact.record.input_size)
        times = []
        with observer.get()("inference", artifact.record.name):
            for _ in range(repeats):
                if check:
                    check()
                start = time.perf_counter()
                answer = artifact.run(tensors)[0]
                times.append(1000 * (time.perf_counter() - start))
        return answer, times

    shown = share([partial(show, artifact) for artifact in artifacts])
    records = [artifact.record for artifact in artifacts]
    exact = {
        record.model: answer
        for record, (answer, _) in zip(records, shown, strict=True)
        if record.precision == "float32"
    }
    rows = []
    for record, (answer, times) in zip(records, shown, strict=True):
        agrees, difference = None, None
        if (twin := exact.get(record.model)) is not None:
            agrees = bool(twin.argmax() == answer.argmax())
            difference = float(np.abs(twin - answer).max())
        low, middle, high = np.percentile(times, (10, 50, 90)).tolist()
        answered = FacePrediction(seen.faces[0], answer)
        rows.append(ComparedArtifact(record, answered, middle, (low, high), agrees, difference))
    return tuple(rows)
