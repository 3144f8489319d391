"""The page's rule for the best trade-off (service/web/js/tradeoff.js), said a second time."""

from collections.abc import Mapping, Sequence
from typing import Any

from emotion.records import ArtifactRecord


def best(records: Sequence[ArtifactRecord], answers: Sequence[Mapping[str, Any]] = ()) -> str:
    """Choose the name, by the latencies that /compare answered, or else by those of the store."""
    latencies = {
        f"{a['model']}/{a['precision']}": (a["latency_ms"], *a["latency_spread_ms"])
        for a in answers
    } or {r.name: (r.latency.p50_ms, r.latency.p50_ms, r.latency.p95_ms) for r in records}
    top = max(record.metrics.accuracy for record in records)
    good = [record for record in records if record.metrics.accuracy_high >= top]
    fastest = min(good, key=lambda r: latencies[r.name][0])
    slowest_of_it = latencies[fastest.name][2]
    fast = [record for record in good if latencies[record.name][1] <= slowest_of_it]
    return min(fast, key=lambda r: r.bytes).name
