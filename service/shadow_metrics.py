"""What Prometheus is told of a shadow: counts and differences, no answers."""

from collections.abc import Iterable
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram

Dropped = Literal["busy", "failed"]
FACES = "emotion_shadow_faces"
DIFFERENCE = "emotion_shadow_difference"
DROPPED = "emotion_shadow_dropped"
_DIFFERENCES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)


class ShadowMetrics:
    """Artifacts are named with their versions, so that a newer one starts anew."""

    def __init__(self, registry: CollectorRegistry) -> None:
        pair = ("primary", "shadow")
        self._faces = Counter(
            FACES,
            "Faces shown to both artifacts, by what each said.",
            (*pair, "emotion", "shadow_emotion"),
            registry=registry,
        )
        self._difference = Histogram(
            DIFFERENCE,
            "Mean absolute difference of a face's seven probabilities.",
            pair,
            buckets=_DIFFERENCES,
            registry=registry,
        )
        self._dropped = Counter(
            DROPPED,
            "Pictures whose answers the shadow was to be compared with, and was not.",
            ("reason",),
            registry=registry,
        )
        for reason in get_args(Dropped):
            self._dropped.labels(reason)

    def compared(self, primary: str, shadow: str, faces: Iterable[tuple[str, str, float]]) -> None:
        """Count faces: the primary's emotion, the shadow's, and their difference."""
        for emotion, shadow_emotion, difference in faces:
            self._faces.labels(primary, shadow, emotion, shadow_emotion).inc()
            self._difference.labels(primary, shadow).observe(difference)

    def dropped(self, reason: Dropped, pictures: int) -> None:
        """Count the answers to so many pictures, without a comparison."""
        self._dropped.labels(reason).inc(pictures)
