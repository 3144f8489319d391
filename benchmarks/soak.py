"""Open-loop load of every kind at a share of what a service can do: ``make soak``, 30 minutes."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np

from benchmarks.arrivals import ACCEPTED, Answer, Sampled, closed_loop, p99_ms, steady_load
from benchmarks.server import ROOT, Server, serving
from benchmarks.wire import Client, post
from emotion.machine import machine

PHOTO = (ROOT / "examples" / "astronaut.jpg").read_bytes()
PARTS = 6  # of the run; the first and the last are compared
SLOWER, GROWTH = 1.2, 0.01
WINDOWS = 60  # of the run, for the plot


@dataclass(frozen=True)
class SoakReport:
    """What an open-loop run showed; latencies in milliseconds, from when a request was due."""

    seconds: float
    kinds: int  # of requests, in turn
    saturation_per_second: float
    offered_per_second: float
    departed_late_p99: float | None  # much means that the clients are the limit
    statuses: dict[str, int]
    p99_first: float | None  # in the first of six parts of the run
    p99_last: float | None
    p99: list[float | None]  # in each of sixty
    resident_at: list[float]  # seconds
    resident_bytes: list[int]
    slope_bytes_per_hour: float  # of memory, after the first part
    slope_error: float  # twice its standard error, neighbouring samples being alike
    machine: str
    date: str

    def missed(self) -> list[str]:
        """Say which promises were broken."""
        growth = self.slope_bytes_per_hour * self.seconds / 3600
        promises = {
            f"statuses {self.statuses}": self.statuses.keys() <= ACCEPTED,
            f"p99 went from {self.p99_first} to {self.p99_last} ms": (self.p99_last or 0)
            <= SLOWER * (self.p99_first or 0),
            f"memory grew by {growth:,.0f} bytes": self.slope_bytes_per_hour <= self.slope_error
            or growth < GROWTH * self.resident_bytes[0],
        }
        return [said for said, kept in promises.items() if not kept]


def mix(records: Sequence[dict[str, str]]) -> list[bytes]:
    """Every artifact by both detectors, some of them at once, and bad input; in a random order."""
    paths = [f"/predict?model={r['model']}&precision={r['precision']}" for r in records]
    requests = [(path, PHOTO) for path in paths]
    requests += [(f"{path}&detector=caffe", PHOTO) for path in paths]
    requests += [
        ("/compare?models=mobilenet", PHOTO),
        ("/predict?faces=all", PHOTO),
        ("/predict", PHOTO[:5000]),
        ("/predict", b"no image"),
        ("/predict", b""),
        ("/predict?model=x", PHOTO),
        ("/predict?faces=x", PHOTO),
    ]
    order = np.random.default_rng(0).permutation(len(requests))
    return [post(*requests[number]) for number in order]


async def soak(server: Server, share: float, seconds: float, closed: float = 10) -> SoakReport:
    """Offer ``share`` of the saturation, which takes ``closed`` seconds to find."""
    artifacts = httpx.get(f"{server.url}/models").json()["artifacts"]
    requests = mix([artifact["record"] for artifact in artifacts])
    async with Client(server.url) as client:
        await closed_loop(client, requests, closed / 4)  # all warm
        most = await closed_loop(client, requests, closed)
        answers, sampled = await steady_load(
            client, requests, share * most, seconds, lambda: server.resident_bytes
        )
    first, *_, last = _parts(answers, seconds, PARTS)
    slope, error = trend(sampled, since=seconds / PARTS)
    return SoakReport(
        seconds=seconds,
        kinds=len(requests),
        saturation_per_second=round(most, 1),
        offered_per_second=round(share * most, 1),
        departed_late_p99=p99_ms([a.left - a.due for a in answers]),
        statuses=dict(sorted(Counter(a.status for a in answers).items())),
        p99_first=first,
        p99_last=last,
        p99=_parts(answers, seconds, WINDOWS),
        resident_at=[round(at, 1) for at in sampled.at],
        resident_bytes=sampled.resident,
        slope_bytes_per_hour=round(3600 * slope),
        slope_error=round(3600 * error),
        machine=machine(),
        date=datetime.now(UTC).date().isoformat(),
    )


def _parts(answers: list[Answer], seconds: float, parts: int) -> list[float | None]:
    each: list[list[float]] = [[] for _ in range(parts)]
    for answer in answers:
        if answer.accepted:
            each[min(int(answer.due / seconds * parts), parts - 1)].append(answer.seconds)
    return [p99_ms(part) for part in each]


def trend(sampled: Sampled, since: float) -> tuple[float, float]:
    """Fit a line to memory after ``since``; bytes a second, and twice the standard error.

    Memory of now is much like memory of a moment ago: so many samples say as little as fewer
    independent ones would, and the error is that much larger.
    """
    at, resident = (np.array(values, float) for values in (sampled.at, sampled.resident))
    at, resident = at[at >= since], resident[at >= since]
    (slope, _), covariance = np.polyfit(at, resident, 1, cov=True)
    rest = resident - np.polyval(np.polyfit(at, resident, 1), at)
    spread = float(rest @ rest)
    alike = min(max(float(rest[1:] @ rest[:-1]) / spread, 0.0), 0.99) if spread else 0.0
    return float(slope), float(2 * np.sqrt(covariance[0, 0] * (1 + alike) / (1 - alike)))


def main() -> int:
    """Run, print, write and draw the report; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.8)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--out", type=Path, help="JSON; a plot comes beside it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as logs, serving(Path(logs) / "log.jsonl") as server:
        report = asyncio.run(soak(server, options.share, options.seconds))
    print(json.dumps(asdict(report)))
    for promise in report.missed():
        print(f"missed: {promise}", file=sys.stderr)
    if options.out:
        from benchmarks.trust_plot import plot_soak

        options.out.write_text(json.dumps(asdict(report), indent=1) + "\n")
        plot_soak(report, options.out.with_suffix(".png"))
    return 1 if report.missed() else 0


if __name__ == "__main__":
    sys.exit(main())
