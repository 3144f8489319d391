"""Predicts latency under load, then measures it: how far the capacity plan can be trusted.

Round by round, so that a machine that slows down slows what is compared alike: saturation and
service times in closed loops, then half and four fifths of it in open ones, with Poisson arrivals.
Also notes what else the plan needs of a live service. ``make capacity``.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import numpy as np

from benchmarks.queueing import Seconds, response_times
from benchmarks.report import load_per_core, write_report
from benchmarks.server import ROOT, Server, serving
from emotion.machine import usable_cores

PHOTO = (ROOT / "examples" / "astronaut.jpg").read_bytes()
SHARES = (0.5, 0.8)
_QUANTILES = 100


@dataclass(frozen=True)
class Point:
    """A load, what it was predicted to give, and what it gave."""

    share: float  # of saturation
    requests: int
    requests_per_second: float
    errors: int
    measured_p50_ms: float
    measured_p99_ms: float
    predicted_p50_ms: float
    predicted_p99_ms: float


async def _send(http: httpx.AsyncClient) -> tuple[float, float]:
    """Seconds of a request as its client sees them, and as they were without the queue."""
    start = time.perf_counter()
    answer = await http.post("/predict", content=PHOTO)
    seconds = time.perf_counter() - start
    spent = answer.raise_for_status().json()["latency_ms"]
    return seconds, seconds - spent["queue"] / 1000


async def _closed(http: httpx.AsyncClient, clients: int, requests: int) -> tuple[float, Seconds]:
    """Requests a second, and each one's seconds without the queue."""
    left, services = iter(range(requests)), []

    async def client() -> None:
        for _ in left:
            services.append((await _send(http))[1])

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return requests / (time.perf_counter() - start), np.array(services)


async def _open(http: httpx.AsyncClient, rate: float, seconds: float) -> list[float | None]:
    """Each request's seconds, or None for one that failed."""
    random = np.random.default_rng(1)
    due = np.cumsum(random.exponential(1 / rate, int(rate * seconds)))
    start = time.perf_counter()

    async def one(at: float) -> float | None:
        await asyncio.sleep(max(0.0, at - (time.perf_counter() - start)))
        try:
            await _send(http)
        except httpx.HTTPError:
            return None
        return time.perf_counter() - start - at  # from when it was due

    return await asyncio.gather(*(one(at) for at in due.tolist()))


@dataclass(frozen=True)
class _Round:
    """One round's saturation, services, and each share's measured and predicted seconds."""

    saturation: float
    services: Seconds
    measured: dict[float, list[float | None]]
    predicted: dict[float, Seconds]


async def _round(http: httpx.AsyncClient, requests: int, seconds: float) -> _Round:
    cores = usable_cores()
    saturation, _ = await _closed(http, 2 * cores, requests)
    _, services = await _closed(http, cores, requests)
    shape = services / services.mean()
    rates = {share: share * saturation for share in SHARES}
    return _Round(
        saturation,
        shape,
        {share: await _open(http, rate, seconds) for share, rate in rates.items()},
        {s: response_times(rate, shape * cores / saturation, cores) for s, rate in rates.items()},
    )


def _point(share: float, rounds: list[_Round], seconds: float) -> Point:
    answers = [answer for one in rounds for answer in one.measured[share]]
    taken = [answer for answer in answers if answer is not None]
    predicted = np.concatenate([one.predicted[share] for one in rounds])
    return Point(
        share,
        len(answers),
        round(len(answers) / seconds / len(rounds), 1),
        len(answers) - len(taken),
        *(1000 * np.percentile(taken, (50, 99))).round(1).tolist(),
        *(1000 * np.percentile(predicted, (50, 99))).round(1).tolist(),
    )


async def count_series(http: httpx.AsyncClient) -> int:
    """Return how many series Prometheus holds of a pod that has answered, is probed and scraped."""
    for path in ("/livez", "/readyz", "/metrics"):
        (await http.get(path)).raise_for_status()
    lines = (await http.get("/metrics")).text.splitlines()
    return sum(not line.startswith("#") for line in lines)


async def measure(server: Server, rounds: int, requests: int, seconds: float) -> dict[str, object]:
    """Measure service times and both loads, so many times."""
    limits = httpx.Limits(max_connections=500, max_keepalive_connections=500)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as http:
        await _closed(http, usable_cores(), 20)
        done = [await _round(http, requests, seconds) for _ in range(rounds)]
        answer = await http.post("/predict", content=PHOTO)
        series = await count_series(http)
    asked = [line for line in server.log.read_text().splitlines() if "/predict" in line]
    headers = sum(len(name) + len(value) + 4 for name, value in answer.headers.raw)
    middles = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    shape = np.quantile(np.concatenate([one.services for one in done]), middles)
    return {
        "saturation_per_second": round(float(np.median([one.saturation for one in done])), 1),
        "service_over_mean": (shape / shape.mean()).round(4).tolist(),
        "points": [asdict(_point(share, done, seconds)) for share in SHARES],
        "answer_bytes": len(answer.content) + headers,
        "log_bytes_per_request": round(sum(map(len, asked)) / len(asked)),
        "series": series,
    }


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predict", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=200, help="of each closed loop")
    parser.add_argument("--seconds", type=float, default=4, help="of each open loop")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    numbers = options.rounds, options.requests, options.seconds
    busy = load_per_core()
    limits = {"max_waiting": 1000, "max_uploads": 1000, "client_requests": 0}
    settings = {"preload": "mobilenet/int8", **limits}
    with tempfile.TemporaryDirectory() as logs, serving(Path(logs) / "log", **settings) as server:
        measured = asyncio.run(measure(server, *numbers))
    print(json.dumps(measured, indent=1))
    if options.out:
        write_report(options.out, load_per_core_before=round(busy, 2), **measured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
