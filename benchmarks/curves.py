"""Throughput and latency over what a deployment can choose, on this machine.

Threads, workers, concurrent clients, faces per picture, the detector and the artifact: each is
varied alone. Closed loop: N clients, each sending its next picture at once. Writes JSON and a
plot beside it; `make docs` puts both into docs/deploy.md.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.bench import CLIENTS, FACES, PHOTO, crowd
from benchmarks.curves_plot import plot
from benchmarks.load import load
from benchmarks.report import load_per_core, write_report
from benchmarks.server import serving
from emotion.classifier import CHECKOUT_STORE
from emotion.machine import usable_cores
from emotion.store import ModelStore

LEAST_REQUESTS = 200


@dataclass(frozen=True)
class Point:
    """What one setting gave: ``value`` of ``axis``, everything else as by default."""

    axis: str
    value: str
    clients: int
    requests: int
    errors: int
    requests_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class _Run:
    """Measures points with the same number of requests and the same log file."""

    def __init__(self, log: Path, requests: int) -> None:
        self.log, self.requests = log, requests

    def point(self, url: str, axis: str, value: object, clients: int, **query: str) -> Point:
        name = {"model": "mobilenet", "precision": "int8"} | query
        image = crowd(int(str(value))) if axis == "faces" else PHOTO
        report = asyncio.run(load(url, image, clients=clients, requests=self.requests, **name))
        if report.p50_ms is None or report.p95_ms is None or report.p99_ms is None:
            raise RuntimeError(f"no request succeeded with {axis} {value}: {report.errors}")
        return Point(
            axis=axis,
            value=str(value),
            clients=clients,
            requests=self.requests,
            errors=sum(report.errors.values()),
            requests_per_second=report.requests_per_second,
            p50_ms=report.p50_ms,
            p95_ms=report.p95_ms,
            p99_ms=report.p99_ms,
        )


def measure(log: Path, requests: int) -> Iterator[Point]:
    """Measure one point after another."""
    run = _Run(log, requests)
    cores = usable_cores()
    several = 4 * cores
    for threads in sorted({1, cores, 2 * cores}):
        with serving(log, threads=threads) as server:
            yield run.point(server.url, "threads", threads, several)
    for workers in sorted({1, cores}):
        with serving(log, workers=workers, threads=max(1, cores // workers)) as server:
            yield run.point(server.url, "workers", workers, several)
    with serving(log) as server:
        for clients in CLIENTS:
            yield run.point(server.url, "clients", clients, clients)
        for faces in FACES:
            yield run.point(server.url, "faces", faces, 1, faces="all")
        for detector in ("compiled", "caffe"):
            yield run.point(server.url, "detector", detector, cores, detector=detector)
        for record in ModelStore(CHECKOUT_STORE).records:
            chosen = {"model": record.model, "precision": record.precision}
            yield run.point(server.url, "artifact", record.name, cores, **chosen)


def main() -> int:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description=__doc__)
    parser.add_argument("--requests", type=int, default=LEAST_REQUESTS, help="for each point")
    parser.add_argument("--out", type=Path, help="the JSON; the plot goes beside it, as .svg")
    options = parser.parse_args()
    busy = load_per_core()
    points = []
    with tempfile.TemporaryDirectory() as folder:
        for point in measure(Path(folder) / "log.jsonl", options.requests):
            points.append(point)
            print(
                f"{point.axis:8} {point.value:20} {point.requests_per_second:8.1f} requests/s"
                f"  p50 {point.p50_ms:7.2f}  p95 {point.p95_ms:7.2f} ms",
                flush=True,
            )
    if options.out:
        rows = [asdict(point) for point in points]
        write_report(options.out, load_per_core_before=round(busy, 2), points=rows)
        plot(options.out, options.out.with_suffix(".svg"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
