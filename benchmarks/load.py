"""Closed-loop load on a running service: N clients, each sending its next request at once.

This measures capacity. Latency under a given arrival rate is another question (open loop):
in a closed loop a slow server slows its own clients, and queueing stays hidden.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np

from emotion.machine import machine


@dataclass(frozen=True)
class LoadReport:
    """What one run measured; latencies in milliseconds, of successful requests."""

    url: str
    model: str
    precision: str
    clients: int
    requests: int
    errors: dict[str, int]
    seconds: float
    requests_per_second: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    machine: str
    date: str


async def load(
    url: str,
    image: bytes,
    model: str,
    precision: str,
    clients: int,
    requests: int,
    **query: str,
) -> LoadReport:
    """Send ``requests`` images from ``clients`` concurrent clients, after a short warm-up.

    ``query`` are other parameters of /predict.
    """
    parameters = {"model": model, "precision": precision, **query}
    latencies: list[float] = []
    errors: Counter[str] = Counter()
    left = iter(range(requests))

    async with httpx.AsyncClient(
        base_url=url, timeout=60, limits=httpx.Limits(max_connections=clients)
    ) as http:

        async def send() -> httpx.Response:
            return await http.post(
                "/predict",
                params=parameters,
                content=image,
                headers={"content-type": "application/octet-stream"},
            )

        async def client() -> None:
            for _ in left:
                start = time.perf_counter()
                try:
                    response = await send()
                except httpx.TransportError as error:
                    errors[type(error).__name__] += 1
                    continue
                if response.status_code == httpx.codes.OK:
                    latencies.append(1000 * (time.perf_counter() - start))
                else:
                    errors[str(response.status_code)] += 1

        await asyncio.gather(*(send() for _ in range(min(clients, 8))), return_exceptions=True)
        began = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(clients)))
        seconds = time.perf_counter() - began
    quantiles = np.percentile(latencies, (50, 95, 99, 100)).round(2).tolist() if latencies else []
    p50, p95, p99, longest = quantiles or (None,) * 4
    return LoadReport(
        url=url,
        model=model,
        precision=precision,
        clients=clients,
        requests=requests,
        errors=dict(errors),
        seconds=round(seconds, 2),
        requests_per_second=round(len(latencies) / seconds, 1),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=longest,
        machine=machine(),
        date=datetime.now(UTC).date().isoformat(),
    )


def main() -> int:
    """Print a report as JSON; the status is 1 if any request failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--image", type=Path, default=Path("examples/astronaut.jpg"))
    parser.add_argument("--model", default="mobilenet")
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=500)
    options = vars(parser.parse_args())
    options["image"] = options["image"].read_bytes()
    report = asyncio.run(load(**options))
    print(json.dumps(asdict(report), indent=1))
    return 1 if report.errors else 0


if __name__ == "__main__":
    sys.exit(main())
