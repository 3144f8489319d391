"""Prometheus metrics of connections, as opposed to requests."""

from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter

Awaited = Literal["head", "reader"]


class ConnectionMetrics:
    """What one process counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Start at 0."""
        self._refused = Counter(
            "emotion_connections_refused",
            "Connections closed at once because too many were open.",
            registry=registry,
        )
        self._dropped = Counter(
            "emotion_connections_dropped",
            "Connections closed because a client was too slow: to send a request's head (many of "
            "these are only idle), or to take an answer.",
            ("waiting_for",),
            registry=registry,
        )
        for awaited in get_args(Awaited):
            self._dropped.labels(awaited)

    def refused(self) -> None:
        """Count a connection that was one too many."""
        self._refused.inc()

    def dropped(self, waiting_for: Awaited) -> None:
        """Count a connection whose client was too slow."""
        self._dropped.labels(waiting_for).inc()
