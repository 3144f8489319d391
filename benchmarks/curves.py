"""Throughput and latency over what a deployment can choose, on this machine.

Threads, workers, concurrent clients, faces per picture, the detector and the artifact: each is
varied alone. Closed loop: N clients, each sending its next picture at once. Workers twice: over
connections that stay open, which the kernel may give all to one of them, and over a new one for
each request. Writes JSON and a plot beside it; `make docs` puts both into docs/deploy.md.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlencode

import numpy as np

from benchmarks.arrivals import Answer, closed_answers, rate
from benchmarks.bench import CLIENTS, FACES, PHOTO, crowd
from benchmarks.curves_plot import plot
from benchmarks.report import load_per_core, write_report
from benchmarks.server import Server, serving
from benchmarks.wire import CLOSED, KEPT, Client, post
from emotion.classifier import CHECKOUT_STORE
from emotion.machine import usable_cores
from emotion.store import ModelStore

LEAST_SECONDS = 9  # a thousand requests of the default artifact and two clients or more
_WARM_UP = 0.1  # of a point's time


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


def predict(image: bytes = PHOTO, headers: Mapping[str, str] = KEPT, **query: str) -> bytes:
    """Return a request of MobileNet in int8, unless the query names another artifact."""
    parameters = urlencode({"model": "mobilenet", "precision": "int8"} | query)
    return post(f"/predict?{parameters}", image, headers)


_DEFAULT = predict()


def point(
    server: Server,
    seconds: float,
    axis: str,
    value: object,
    clients: int,
    request: bytes = _DEFAULT,
) -> Point:
    """Let ``clients`` send a request again and again, for so many seconds after a warm-up."""
    answers = asyncio.run(_answers(server.url, request, seconds, clients))
    good = [answer for answer in answers if answer.status == "200"]
    if not good:
        raise RuntimeError(f"no request succeeded with {axis} {value}: {answers[0].status}")
    quantiles = np.percentile([1000 * answer.seconds for answer in good], (50, 95, 99))
    p50, p95, p99 = quantiles.round(2).tolist()
    return Point(
        axis=axis,
        value=str(value),
        clients=clients,
        requests=len(answers),
        errors=len(answers) - len(good),
        requests_per_second=round(rate(good), 1),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
    )


async def _answers(url: str, request: bytes, seconds: float, clients: int) -> list[Answer]:
    async with Client(url) as client:
        await closed_answers(client, [request], _WARM_UP * seconds, clients)
        return await closed_answers(client, [request], seconds, clients)


def measure(log: Path, seconds: float) -> Iterator[Point]:
    """Measure one point after another."""
    cores = usable_cores()
    several = 4 * cores
    for threads in sorted({1, cores, 2 * cores}):
        with serving(log, threads=threads) as server:
            yield point(server, seconds, "threads", threads, several)
    for axis, headers in (("workers", KEPT), ("workers, connections not kept", CLOSED)):
        for workers in sorted({1, cores}):
            with serving(log, workers=workers, threads=max(1, cores // workers)) as server:
                yield point(server, seconds, axis, workers, several, predict(headers=headers))
    with serving(log) as server:
        for clients in CLIENTS:
            yield point(server, seconds, "clients", clients, clients)
        for faces in FACES:
            request = predict(crowd(faces), faces="all")
            yield point(server, seconds, "faces", faces, 1, request)
        for detector in ("compiled", "caffe"):
            yield point(server, seconds, "detector", detector, cores, predict(detector=detector))
        for record in ModelStore(CHECKOUT_STORE).records:
            request = predict(model=record.model, precision=record.precision)
            yield point(server, seconds, "artifact", record.name, cores, request)


def main() -> int:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description=__doc__)
    parser.add_argument("--seconds", type=float, default=LEAST_SECONDS, help="for each point")
    parser.add_argument("--out", type=Path, help="the JSON; the plot goes beside it, as .svg")
    options = parser.parse_args()
    busy = load_per_core()
    points = []
    with tempfile.TemporaryDirectory() as folder:
        for one in measure(Path(folder) / "log.jsonl", options.seconds):
            points.append(one)
            print(
                f"{one.axis:30} {one.value:20} {one.requests_per_second:8.1f} requests/s"
                f"  p50 {one.p50_ms:7.2f}  p95 {one.p95_ms:7.2f} ms",
                flush=True,
            )
    if options.out:
        write_report(
            options.out,
            load_per_core_before=round(busy, 2),
            seconds=options.seconds,
            points=[asdict(one) for one in points],
        )
        plot(options.out, options.out.with_suffix(".svg"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
