"""What is measured of each host, with one client for all.

Every request comes over a connection of its own. Of few that stay open the kernel may give all to
one of a host's processes, and that would decide the result.
"""

from dataclasses import dataclass

import httpx

from benchmarks.arrivals import closed_answers, in_turn, rate
from benchmarks.offered import Offered, offer
from benchmarks.peers.hosts import Running
from benchmarks.wire import CLOSED, Client, post

CLIENTS = 16


@dataclass(frozen=True)
class Round:
    """One host, once."""

    host: str
    seconds_to_ready: float  # from the process's start to its first answer
    requests_per_second: float  # of clients who always wait for an answer
    megabytes: float
    offered: dict[float, Offered]  # by share of this service's saturation


def _request(running: Running) -> bytes:
    made = httpx.Request("POST", running.url, **running.request())
    return post(running.host.path, made.read(), {**made.headers, **CLOSED})


async def saturate(running: Running, seconds: float) -> float:
    """Return answers a second of clients who send their next image at once.

    Raises RuntimeError where one is an error: those cost a host little.
    """
    async with Client(running.url) as client:
        answers = await closed_answers(client, [_request(running)], seconds, CLIENTS)
    if (statuses := {answer.status for answer in answers}) != {"200"}:
        raise RuntimeError(f"{running.host.name} answered {', '.join(sorted(statuses))}.")
    return round(rate(answers), 1)


async def latencies(running: Running, share: float, per_second: float, seconds: float) -> Offered:
    """Offer a load and return what came of it."""
    async with Client(running.url) as client:
        return await offer(in_turn(client, [_request(running)]), share, per_second, seconds)
