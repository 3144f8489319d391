"""The page's rule for the best trade-off (service/web/js/tradeoff.js), said a second time."""

from collections.abc import Mapping, Sequence

from emotion.records import ArtifactRecord


def best(records: Sequence[ArtifactRecord], latencies: Mapping[str, float] | None = None) -> str:
    """Choose the name; ``latencies`` in ms by name, or else those of the store."""
    top = max(record.metrics.accuracy for record in records)
    good = [record for record in records if record.metrics.accuracy_high >= top]
    return min(good, key=lambda r: latencies[r.name] if latencies else r.latency.p50_ms).name
