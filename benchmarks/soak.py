"""Open-loop load at a share of what a service can do: soak below one, overload above.

Requests leave at a constant rate whatever the answers do, so that queueing shows. ``make soak`` is
0.8 of saturation for 30 minutes, ``make overload`` 4 times saturation for five.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np

from benchmarks.server import ROOT, Server, serving
from emotion.machine import machine

PHOTO = (ROOT / "examples" / "astronaut.jpg").read_bytes()
PERCENT = 99
PARTS = 6  # of the run; the first and the last are compared


@dataclass(frozen=True)
class Answer:
    """When a request left, in seconds from the start, what came back and after how long."""

    at: float
    status: str
    seconds: float


@dataclass(frozen=True)
class SoakReport:
    """What an open-loop run showed; latencies in milliseconds."""

    seconds: float
    saturation_per_second: float
    offered_per_second: float
    latest_departure: float  # seconds after it was due: much means that the clients are the limit
    statuses: dict[str, int]
    goodput_share: float  # accepted a second, of the saturation
    accepted_p99_first: float | None
    accepted_p99_last: float | None
    refused_p99: float | None
    after_ms: float  # the first request when all is over
    resident_bytes: list[int]  # at even times
    machine: str
    date: str


def mix(http_get_models: dict[str, object]) -> list[tuple[str, bytes]]:
    """Every artifact, both detectors, good and bad input."""
    artifacts = http_get_models["artifacts"]
    assert isinstance(artifacts, list)
    paths = [
        f"/predict?model={a['record']['model']}&precision={a['record']['precision']}"
        for a in artifacts
    ]
    good = [(path, PHOTO) for path in (*paths, f"{paths[-1]}&detector=caffe")]
    return [
        *good,
        ("/predict", PHOTO[:5000]),
        ("/predict", b"no image"),
        ("/predict?model=x", PHOTO),
    ]


async def _send(http: httpx.AsyncClient, request: tuple[str, bytes], start: float) -> Answer:
    left = time.perf_counter()
    try:
        status = str((await http.post(request[0], content=request[1])).status_code)
    except httpx.TransportError as error:
        status = type(error).__name__
    return Answer(left - start, status, time.perf_counter() - left)


async def saturation(http: httpx.AsyncClient, requests: list[tuple[str, bytes]]) -> float:
    """Measure requests a second of eight clients who always wait for an answer."""
    count, start, seconds = 0, time.perf_counter(), 5.0

    async def client(first: int) -> None:
        nonlocal count
        number = first
        while time.perf_counter() - start < seconds:
            await _send(http, requests[number % len(requests)], start)
            number, count = number + 1, count + 1

    await asyncio.gather(*(client(number) for number in range(8)))
    return count / (time.perf_counter() - start)


async def soak(server: Server, share: float, seconds: float) -> SoakReport:
    """Offer ``share`` of the saturation for so many seconds."""
    limits = httpx.Limits(max_connections=500, max_keepalive_connections=500)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as http:
        requests = mix((await http.get("/models")).json())
        most = await saturation(http, requests)
        rate = share * most
        start = time.perf_counter()
        tasks: list[asyncio.Task[Answer]] = []
        resident = [server.resident_bytes]
        for number in range(int(seconds * rate)):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            request = requests[number % len(requests)]
            tasks.append(asyncio.create_task(_send(http, request, start)))
            if number / rate >= len(resident) * seconds / 60:
                resident.append(server.resident_bytes)
        answers = await asyncio.gather(*tasks)
        resident.append(server.resident_bytes)
        await asyncio.sleep(1)
        after = await _send(http, requests[0], start)
    accepted = [a for a in answers if a.status in ("200", "400", "404", "415", "422")]
    refused = [a.seconds for a in answers if a.status == "503"]
    part = seconds / PARTS
    return SoakReport(
        seconds=seconds,
        saturation_per_second=most,
        offered_per_second=rate,
        latest_departure=max(a.at - number / rate for number, a in enumerate(answers)),
        statuses=dict(sorted(Counter(a.status for a in answers).items())),
        goodput_share=len(accepted) / seconds / most,
        accepted_p99_first=_p99([a.seconds for a in accepted if a.at < part]),
        accepted_p99_last=_p99([a.seconds for a in accepted if a.at >= seconds - part]),
        refused_p99=_p99(refused),
        after_ms=1000 * after.seconds,
        resident_bytes=resident,
        machine=machine(),
        date=datetime.now(UTC).date().isoformat(),
    )


def _p99(seconds: list[float]) -> float | None:
    return round(1000 * float(np.percentile(seconds, PERCENT)), 2) if seconds else None


def main() -> int:
    """Run, print and write the report; 1 where anything but 503 went wrong on the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.8)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as logs, serving(Path(logs) / "log.jsonl") as server:
        report = asyncio.run(soak(server, options.share, options.seconds))
    text = json.dumps(asdict(report), indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    allowed = {"200", "400", "404", "415", "422"} | ({"503"} if options.share > 1 else set())
    return 0 if report.statuses.keys() <= allowed else 1


if __name__ == "__main__":
    sys.exit(main())
