"""A storm: several times more requests than a service can answer, and what becomes of them.

The service computes in one thread on one core and the clients have another, so that neither takes
the other's time; the artifact is slow enough that the clients can send many times what it can do.
"""

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

import numpy as np

from benchmarks.arrivals import Answer, Sampled, closed_loop, p99_ms, seconds_of, steady_load
from benchmarks.server import ROOT, Server, on_cores_of_their_own
from benchmarks.wire import Client, post
from emotion.machine import machine

PHOTO = (ROOT / "examples" / "astronaut.jpg").read_bytes()
DEADLINE_SECONDS = 10.0
REFUSED_MS, GOODPUT, GROWTH, SLOWER = 50.0, 0.9, 0.05, 1.2


@dataclass(frozen=True)
class OverloadReport:
    """What a storm did; latencies in milliseconds, from when a request was due."""

    artifact: str
    seconds: float
    peak_per_second: float  # of eight clients who always wait for an answer
    offered_per_second: float
    departed_late_p99: float | None  # much means that the clients are the limit, not the service
    statuses: dict[str, int]
    goodput_share: float  # answered within the storm, of the peak
    accepted_p99: float | None
    deadline: float
    refused_p50: float | None
    refused_p99: float | None
    refused_without_retry_after: int
    before: list[float]  # single requests before the storm
    after: float  # the first one after it
    answered: list[int]  # in each second
    refused: list[int]
    resident_at: list[float]  # seconds
    resident_bytes: list[int]
    machine: str
    date: str

    @property
    def memory_growth(self) -> float:
        """Memory in the last tenth by that in the second, when the queue has long been full."""
        tenth = max(1, len(self.resident_bytes) // 10)
        start, end = self.resident_bytes[tenth : 2 * tenth + 1], self.resident_bytes[-tenth:]
        return float(np.median(end) / np.median(start) - 1)

    def missed(self) -> list[str]:
        """Say which promises were broken."""
        slowest = SLOWER * max(self.before)
        promises = {
            f"other statuses than 200 and 503: {self.statuses}": self.statuses.keys()
            == {"200", "503"},
            f"accepted p99 {self.accepted_p99} ms": (self.accepted_p99 or 0) < self.deadline,
            f"refused p99 {self.refused_p99} ms": (self.refused_p99 or 0) <= REFUSED_MS,
            "503 without Retry-After": not self.refused_without_retry_after,
            f"goodput {self.goodput_share:.2f} of the peak": self.goodput_share >= GOODPUT,
            f"memory grew by {self.memory_growth:.1%}": self.memory_growth <= GROWTH,
            f"the first request after it took {self.after} ms": self.after <= slowest,
        }
        return [said for said, kept in promises.items() if not kept]


async def overload(
    server: Server, share: float, seconds: float, model: str, precision: str, closed: float = 10
) -> OverloadReport:
    """Offer ``share`` times the peak, which takes ``closed`` seconds to find."""
    request = post(f"/predict?model={model}&precision={precision}", PHOTO)
    async with Client(server.url) as client:
        peak = await closed_loop(client, [request], closed)
        before = await seconds_of(client, request, 10)
        rate = share * peak
        answers, sampled = await steady_load(
            client, [request], rate, seconds, lambda: server.resident_bytes
        )
        after = (await seconds_of(client, request, 1))[0]
    return _report(f"{model}/{precision}", seconds, peak, rate, answers, sampled, before, after)


def _report(
    artifact: str,
    seconds: float,
    peak: float,
    rate: float,
    answers: Sequence[Answer],
    sampled: Sampled,
    before: Sequence[float],
    after: float,
) -> OverloadReport:
    accepted = [a for a in answers if a.accepted]
    refused = [a.seconds for a in answers if a.status == "503"]
    return OverloadReport(
        artifact=artifact,
        seconds=seconds,
        peak_per_second=round(peak, 1),
        offered_per_second=round(rate, 1),
        departed_late_p99=p99_ms([a.left - a.due for a in answers]),
        statuses=dict(sorted(Counter(a.status for a in answers).items())),
        goodput_share=sum(a.due + a.seconds <= seconds for a in accepted) / seconds / peak,
        accepted_p99=p99_ms([a.seconds for a in accepted]),
        deadline=1000 * DEADLINE_SECONDS,
        refused_p50=round(1000 * float(np.median(refused)), 2) if refused else None,
        refused_p99=p99_ms(refused),
        refused_without_retry_after=sum(a.status == "503" and not a.retry_after for a in answers),
        before=[round(1000 * s, 1) for s in before],
        after=round(1000 * after, 1),
        answered=_each_second(accepted, seconds),
        refused=_each_second([a for a in answers if a.status == "503"], seconds),
        resident_at=[round(at, 1) for at in sampled.at],
        resident_bytes=sampled.resident,
        machine=machine(),
        date=datetime.now(UTC).date().isoformat(),
    )


def _each_second(answers: Sequence[Answer], seconds: float) -> list[int]:
    ends = [a.due + a.seconds for a in answers]
    return [int(n) for n in np.histogram(ends, np.arange(int(seconds) + 1))[0]]


def main() -> int:
    """Run, print and write the report; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=4, help="of the peak")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as logs,
        on_cores_of_their_own(
            Path(logs) / "log.jsonl",
            preload=f"{options.model}/{options.precision}",
            deadline_seconds=DEADLINE_SECONDS,
        ) as server,
    ):
        report = asyncio.run(
            overload(server, options.share, options.seconds, options.model, options.precision)
        )
    print(json.dumps(asdict(report)))
    for promise in report.missed():
        print(f"missed: {promise}", file=sys.stderr)
    if options.out:
        from benchmarks.trust_plot import plot_overload

        options.out.write_text(json.dumps(asdict(report), indent=1) + "\n")
        plot_overload(report, options.out.with_suffix(".png"))
    return 1 if report.missed() else 0


if __name__ == "__main__":
    sys.exit(main())
