"""The numbers of docs/measured.md: what the long measurements left in benchmarks/results."""

from typing import Any

from benchmarks.bench import Figure
from benchmarks.costs import RESULTS, result
from docs.generate.blocks import Block, kept_cell
from training.tables import markdown_table

LATENCIES = "p50 / p95 / p99 / most, ms"
_TOLD = (  # beside the promises
    "in-process",
    "on two cores",
    "one core",
    "one library",
    "with httpx",
    "HTTP",
    "FastAPI",
)


def promises() -> str:
    """Every figure of `make bench` that has a bound, and what tells where it comes from."""
    report = result("bench")
    rows = [
        (figure.what, f"{figure.value:.3f}", _bound(figure), _kept(figure))
        for figure in (Figure(**figure) for figure in report["figures"])
        if _bound(figure) or figure.what.startswith(_TOLD)
    ]
    return f"{where(report)}\n\n{markdown_table(('figure', 'measured', 'aim', 'kept'), rows)}"


def offered() -> str:
    """Latency against offered load."""
    report = result("offered")
    rows = [
        (
            f"{point['share']:.0%}",
            f"{point['per_second']:.0f}",
            f"{point['answered_per_second']:.0f}",
            " / ".join(_number(point[f"{name}_ms"]) for name in ("p50", "p95", "p99", "max")),
            _statuses(point["statuses"]),
            _number(point["late_ms"]),
        )
        for point in report["points"]
    ]
    head = ("of saturation", "offered/s", "answered/s", LATENCIES, "answers", "sent late, ms")
    return (
        f"{where(report)} Saturation was {report['saturation_per_second']:.0f} requests a second."
        f"\n\n![Latency against offered load](../benchmarks/results/offered.svg)\n\n"
        f"{markdown_table(head, rows)}"
    )


def peers() -> str:
    """The service beside other ways to host the same pipeline."""
    report = result("peers")
    rows = [[str(value) for value in host.values()] for host in report["hosts"]]
    head = tuple(name.replace("_", " ") for name in report["hosts"][0])
    return f"{where(report)}\n\n{markdown_table(head, rows)}"


def networks() -> str:
    """The network alone in other runtimes."""
    report = result("networks")
    rows = [
        (
            row["artifact"],
            row["runtime"],
            f"{row['p50_ms']:.2f}",
            f"{row['cpu_ms']:.2f}",
            f"{row['of_litert']:.2f}",
            f"{row['largest_difference']:.3f}",
        )
        for row in report["rows"]
    ]
    head = ("artifact", "runtime", "p50, ms", "CPU, ms", "CPU of LiteRT's", "largest difference")
    return f"{where(report)}\n\n{markdown_table(head, rows)}"


def overload() -> str:
    """The storm."""
    report = result("overload")
    before = sorted(report["before"])
    rows = [
        ("peak, offered", f"{report['peak_per_second']}/s, {report['offered_per_second']}/s"),
        ("answers", _statuses(report["statuses"])),
        ("answered within the storm, of the peak", f"{report['goodput_share']:.3f}"),
        ("accepted, p99", f"{report['accepted_p99']} ms (deadline {report['deadline']:.0f} ms)"),
        ("refused, p50 and p99", f"{report['refused_p50']} and {report['refused_p99']} ms"),
        ("refused without `Retry-After`", str(report["refused_without_retry_after"])),
        ("one request before and after", f"{before[len(before) // 2]} and {report['after']} ms"),
        ("memory, first and last", _megabytes(report["resident_bytes"])),
    ]
    return (
        f"{where(report)} {report['artifact']}, {report['seconds'] / 60:.0f} minutes.\n\n"
        f"![The storm](../benchmarks/results/overload.png)\n\n{markdown_table(('', ''), rows)}"
    )


def soak() -> str:
    """Half an hour of every kind of request."""
    report = result("soak")
    most, given = report["saturation_per_second"], report["offered_per_second"]
    slope, error = report["slope_bytes_per_hour"], report["slope_error"]
    rows = [
        ("saturation, offered", f"{most}/s, {given}/s"),
        ("kinds of requests", str(report["kinds"])),
        ("answers", _statuses(report["statuses"])),
        ("p99, first and last sixth", f"{report['p99_first']} and {report['p99_last']} ms"),
        ("memory, first and last", _megabytes(report["resident_bytes"])),
        ("its slope", f"{slope / 1e6:.1f} MB an hour, give or take {error / 1e6:.1f}"),
    ]
    return (
        f"{where(report)} {report['seconds'] / 60:.0f} minutes.\n\n"
        f"![The soak](../benchmarks/results/soak.png)\n\n{markdown_table(('', ''), rows)}"
    )


def fuzz() -> str:
    """Mutated images, and every call of the OpenAPI document."""
    images, calls = result("fuzz"), result("contract")
    rows = [
        ("images", f"{images['images']:,}"),
        ("answers", _statuses(images["statuses"])),
        ("slowest", f"{1000 * images['slowest_seconds']:.0f} ms"),
        ("memory, first and last", _megabytes(images["resident_bytes"])),
        ("broke a rule", str(len(images["found"]))),
        ("operations of the OpenAPI document", str(calls["operations"])),
        ("calls by schemathesis", f"{calls['cases']:,}"),
        ("undocumented answers or 5xx", "yes" if calls["failed"] else "none"),
    ]
    return f"{where(images)}\n\n{markdown_table(('', ''), rows)}"


def chaos() -> str:
    """Faults at random."""
    report = result("chaos")
    rows = [
        ("faults", _statuses(report["faults"])),
        ("answers", _statuses(report["answers"])),
        ("lost to killed workers", str(report["lost_to_killed_workers"])),
        ("promises broken", ", ".join(report["broken"]) or "none"),
    ]
    minutes = f"{report['seconds'] / 60:.0f} minutes"
    return f"{where(report)} {minutes}.\n\n{markdown_table(('', ''), rows)}"


def if_measured(block: Block, *results: str) -> Block:
    """Say so where a result is not there."""

    def made() -> str:
        missing = [name for name in results if not (RESULTS / f"{name}.json").is_file()]
        return f"Not measured in this checkout: {', '.join(missing)}." if missing else block()

    return made


def where(report: dict[str, Any]) -> str:
    """Say on which machine and day something was measured."""
    return f"On {report['machine']}, {report['date']}."


def _bound(figure: Figure) -> str:
    if figure.at_most is not None:
        return f"at most {figure.at_most:g}"
    return "" if figure.at_least is None else f"at least {figure.at_least:g}"


def _kept(figure: Figure) -> str:
    if not _bound(figure):
        return ""
    return kept_cell(figure.kept)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _statuses(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items()))


def _megabytes(resident: list[int]) -> str:
    return f"{resident[0] / 1e6:.0f} and {resident[-1] / 1e6:.0f} MB"


BLOCKS = {
    "promises": if_measured(promises, "bench"),
    "offered": if_measured(offered, "offered"),
    "peers": if_measured(peers, "peers"),
    "networks": if_measured(networks, "networks"),
    "overload": if_measured(overload, "overload"),
    "soak": if_measured(soak, "soak"),
    "fuzz": if_measured(fuzz, "fuzz", "contract"),
    "chaos": if_measured(chaos, "chaos"),
}
