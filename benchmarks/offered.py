"""Latency against offered load, up to twice saturation: open loop, Poisson arrivals.

As MLPerf's server scenario has it: requests are due at random times that no answer changes, and
latency counts from when a request was due. Each load is offered for a while before it counts. The
service computes in one thread on one core and the clients have another: a client that cannot keep
up would measure itself.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.arrivals import Ask, at_random, closed_loop, in_turn, open_loop, p99_ms
from benchmarks.bench import PHOTO
from benchmarks.offered_plot import plot
from benchmarks.report import write_report
from benchmarks.server import on_cores_of_their_own
from benchmarks.wire import Client, post

SHARES = (0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0)  # of saturation
WARM_UP = 0.2  # of each load's time


@dataclass(frozen=True)
class Offered:
    """What one load gave; latencies of answers with status 200, in milliseconds."""

    share: float  # of saturation
    per_second: float
    answered_per_second: float  # while the load was on
    statuses: dict[str, int]
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    late_ms: float | None  # requests left at most so late (99 %)


async def offer(ask: Ask, share: float, per_second: float, seconds: float) -> Offered:
    """Send requests at random times, ``per_second`` of them on average."""
    begin = WARM_UP * seconds
    answers, _ = await open_loop(ask, at_random(per_second, seconds))
    counted = [answer for answer in answers if answer.due >= begin]
    times = [1000 * answer.seconds for answer in counted if answer.status == "200"]
    quantiles = np.percentile(times, (50, 95, 99, 100)).round(2).tolist() if times else []
    p50, p95, p99, longest = quantiles or (None,) * 4
    done = sum(a.status == "200" and begin <= a.due + a.seconds <= seconds for a in answers)
    return Offered(
        share=share,
        per_second=round(per_second, 1),
        answered_per_second=round(done / (seconds - begin), 1),
        statuses=dict(Counter(answer.status for answer in counted)),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=longest,
        late_ms=p99_ms([answer.left - answer.due for answer in answers]),
    )


async def sweep(url: str, seconds: float) -> tuple[float, list[Offered]]:
    """Measure saturation, then every load in turn."""
    request = post("/predict?model=mobilenet&precision=int8", PHOTO)
    async with Client(url) as client:
        await closed_loop(client, [request], seconds / 4)  # all warm
        most = await closed_loop(client, [request], seconds / 2)
        points, ask = [], in_turn(client, [request])
        for share in SHARES:
            points.append(await offer(ask, share, share * most, seconds))
            print(asdict(points[-1]), flush=True)
    return most, points


def main() -> int:
    """Measure, print, and write JSON with the plot beside it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.offered", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="for each load")
    parser.add_argument("--out", type=Path, help="the JSON; the plot goes beside it, as .svg")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as logs,
        on_cores_of_their_own(Path(logs) / "log.jsonl", preload="mobilenet/int8") as server,
    ):
        most, points = asyncio.run(sweep(server.url, options.seconds))
    if options.out:
        write_report(
            options.out,
            saturation_per_second=round(most, 1),
            points=[asdict(point) for point in points],
        )
        plot(options.out, options.out.with_suffix(".svg"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
