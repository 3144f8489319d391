"""The numbers of docs/deploy.md: from the manifest and benchmarks/results/curves.json."""

import json
from typing import Any

from benchmarks.costs import QUIET, result
from benchmarks.curves import LEAST_SECONDS
from benchmarks.server import ROOT
from emotion.classifier import CHECKOUT_STORE
from emotion.records import PRECISIONS
from emotion.store import ModelStore
from training.tables import markdown_table, size_table

CURVES = ROOT / "benchmarks" / "results" / "curves.json"


def artifacts() -> str:
    """Size, latency and accuracy of what the store holds."""
    records = ModelStore(CHECKOUT_STORE).records
    int8 = {r.model: r for r in records if r.precision == "int8"}
    accuracy = markdown_table(
        ("artifact", "accuracy", "of int8's time", "of int8's size"),
        (
            (
                r.name,
                f"{r.metrics.accuracy:.1%}",
                f"{r.latency.p50_ms / int8[r.model].latency.p50_ms:.1f}x",
                f"{r.bytes / int8[r.model].bytes:.1f}x",
            )
            for r in records
            if r.model in int8
        ),
    )
    return f"{size_table(records)}\n{accuracy}"


def detectors() -> str:
    """The compiled detectors against the original."""
    return markdown_table(
        ("detector", "size", "one detection, p50", "the Caffe original", "faces lost", "IoU"),
        (
            (
                record.name,
                f"{record.bytes / 1e6:.1f} MB",
                f"{record.latency.p50_ms:.2f} ms",
                f"{record.caffe_p50_ms:.2f} ms",
                f"{record.agreement.lost} of {record.agreement.faces}",
                f"{record.agreement.mean_iou:.4f}",
            )
            for record in ModelStore(CHECKOUT_STORE).detectors
        ),
    )


def lesser_cpus() -> str:
    """What each kind of CPU makes of the detectors and networks, against Caffe or float32."""
    report = result("lesser_cpus")
    kinds: dict[str, dict[str, float]] = report["milliseconds"]
    names = list(next(iter(kinds.values())))
    rows = [(name, *(_spent(spent, name) for spent in kinds.values())) for name in names]
    head = ("ms, and times as fast as Caffe or float32", *kinds)
    where = f"On {report['machine']}, {report['date']}, one thread.{_not_among(names)}"
    return f"{where}\n\n{markdown_table(head, rows)}"


def _not_among(names: list[str]) -> str:
    """Name the store's artifacts that were not there when something was measured."""
    missing = [r.name for r in ModelStore(CHECKOUT_STORE).records if r.name not in names]
    return f" Before {' and '.join(missing)} were published." if missing else ""


def _spent(spent: dict[str, float], name: str) -> str:
    model, _, precision = name.partition("/")
    reference = (
        f"{model}/float32" if precision in PRECISIONS else name.partition(", ")[0] + ", caffe"
    )
    if reference == name or reference not in spent:
        return f"{spent[name]:.1f}"
    return f"{spent[name]:.1f} ({spent[reference] / spent[name]:.1f}x)"


def curves() -> str:
    """Every measured point, an axis a table, and the picture."""
    report: dict[str, Any] = json.loads(CURVES.read_text())
    points = report["points"]
    requests = [point["requests"] for point in points]
    names = [str(point["value"]) for point in points if point["axis"] == "artifact"]
    parts = [
        f"On {report['machine']}, {report['date']}, {report['seconds']:g} seconds a point: "
        f"{min(requests):,} to {max(requests):,} requests.{_not_among(names)}",
        _warning(report["load_per_core_before"], report["seconds"]),
        "![Throughput and latency](../benchmarks/results/curves.svg)",
    ]
    for axis in dict.fromkeys(point["axis"] for point in points):
        varied = axis == "clients"
        rows = [
            (
                point["value"],
                *([] if varied else [str(point["clients"])]),
                f"{point['requests_per_second']:.1f}",
                f"{point['p50_ms']:.2f} / {point['p95_ms']:.2f} / {point['p99_ms']:.2f}",
                str(point["errors"]),
            )
            for point in points
            if point["axis"] == axis
        ]
        head = (axis, *([] if varied else ["clients"]), "requests/s", "p50 / p95 / p99, ms")
        parts.append(markdown_table((*head, "errors"), rows))
    return "\n\n".join(parts)


def _warning(busy: float, seconds: float) -> str:
    reasons = []
    if seconds < LEAST_SECONDS:
        reasons.append(f"{seconds:g} seconds a point are too few")
    if busy >= QUIET:
        reasons.append(f"{busy:.1f} processes a core were running before")
    if not reasons:
        return "The machine was quiet before."
    return (
        f"**A trial run, not a measurement:** {', and '.join(reasons)}. Its figures are noise, and "
        "contradict what is said below them: plan with none. Run `make curves` on a quiet machine."
    )


BLOCKS = {
    "artifacts": artifacts,
    "detectors": detectors,
    "lesser cpus": lesser_cpus,
    "curves": curves,
}
