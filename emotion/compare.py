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
    until: float | None,
    check: Callable[[], object] | None,
    share: Share,
) -> tuple[tuple[ComparedArtifact, ...], int]:
    """Show the first face to every artifact, ``repeats`` times; see ``Classifier.compare``.

    Returns:
        The artifacts, and how often each was run.
    """

    def show(artifact: LoadedArtifact, times: int) -> tuple[Probabilities, list[float]]:
        tensors = face_tensors(seen.pixels, artifact.record.input_size)
        taken = []
        with observer.get()("inference", artifact.record.name):
            for _ in range(times):
                if check:
                    check()
                start = time.perf_counter()
                answer = artifact.run(tensors)[0]
                taken.append(1000 * (time.perf_counter() - start))
        return answer, taken

    shown = share([partial(show, artifact, 1) for artifact in artifacts])
    more = repeats - 1
    if more and until is not None:
        once = sum(taken[0] for _, taken in shown) / 1000
        more = max(0, min(more, int((until - time.perf_counter()) / once)))
    if more:
        for artifact, (_, taken) in zip(artifacts, shown, strict=True):
            taken += show(artifact, more)[1]
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
    return tuple(rows), 1 + more
