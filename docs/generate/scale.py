"""The numbers of docs/scale.md: from what bench.py, ray_serve.py and ray_batch.py wrote."""

from typing import Any

from benchmarks.costs import QUIET, result
from training.tables import markdown_table


def one_machine() -> str:
    """The most that one machine answered, with whatever number of clients."""
    report = result("bench")
    rates = [
        figure["value"] for figure in report["figures"] if figure["what"].endswith("requests/s")
    ]
    return (
        f"One machine answered {max(rates):.0f} pictures a second at most "
        f"({report['machine']}, {report['date']})."
    )


def layouts() -> str:
    """The service alone, whole on Ray Serve, and in stages."""
    report = result("ray_serve")
    rows = [
        (
            point["layout"],
            point["artifact"],
            str(point["clients"]),
            f"{point['requests_per_second']:.1f}",
            f"{point['p50_ms']:.1f} / {point['p95_ms']:.1f}",
            f"{point['cpu_ms']:.1f}",
            str(point["errors"]),
        )
        for point in sorted(report["points"], key=lambda p: (p["artifact"], p["clients"]))
    ]
    head = ("layout", "artifact", "clients", "requests/s", "p50 / p95, ms", "CPU ms", "errors")
    return f"{_where(report)}\n\n{markdown_table(head, rows)}"


def job() -> str:
    """The offline job over its workers, and what a million pictures cost."""
    report = result("ray_batch")
    one = next(row for row in report["rows"] if row["workers"] == 1)["pictures_per_second"]
    rows = [
        (
            row["job"],
            str(row["workers"]),
            str(row["cores"]),
            f"{row['start_seconds']:.1f}",
            f"{row['pictures_per_second']:.1f}",
            f"{row['pictures_per_second'] / one:.2f}",
            f"{row['cpu_ms_per_picture']:.1f}",
            f"{row['dollars_per_million']:.2f}",
        )
        for row in report["rows"]
    ]
    head = (
        "job",
        "workers",
        "cores",
        "start, s",
        "pictures/s",
        "of one worker",
        "CPU ms",
        "$ per million",
    )
    price = f"${report['dollars_per_core_hour']:.2f} a core and hour"
    about = f"{report['pictures']} pictures of 512x512, {price}, {report['cores']} cores in all"
    return f"{_where(report)} {about}.\n\n{markdown_table(head, rows)}"


def _where(report: dict[str, Any]) -> str:
    busy = report["load_per_core_before"]
    quiet = "quiet before." if busy < QUIET else f"**busy: {busy:.1f} processes a core before.**"
    return f"On {report['machine']}, {report['date']}, {quiet}"


BLOCKS = {"one machine": one_machine, "layouts": layouts, "job": job}
