"""What is measured of each host, with one client for all."""

import asyncio
import time
from dataclasses import dataclass

import httpx

from benchmarks.offered import Offered, offer
from benchmarks.peers.hosts import Running
from benchmarks.wire import Reply

CLIENTS, CONNECTIONS = 8, 256


@dataclass(frozen=True)
class Round:
    """One host, once."""

    host: str
    seconds_to_ready: float  # from the process's start to its first answer
    requests_per_second: float  # of clients who always wait for an answer
    megabytes: float
    offered: dict[float, Offered]  # by share of this service's saturation


def _client(running: Running) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    return httpx.AsyncClient(base_url=running.url, timeout=60, limits=limits)


async def saturate(running: Running, seconds: float) -> float:
    """Return answers a second of clients who send their next image at once."""
    answered = 0
    async with _client(running) as http:
        until = time.perf_counter() + seconds

        async def client() -> None:
            nonlocal answered
            while time.perf_counter() < until:
                response = await http.post(running.host.path, **running.request())
                response.raise_for_status()
                answered += 1

        start = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        return round(answered / (time.perf_counter() - start), 1)


async def latencies(running: Running, share: float, per_second: float, seconds: float) -> Offered:
    """Offer a load and return what came of it."""
    async with _client(running) as http:

        async def ask(number: int) -> Reply:
            try:
                answer = await http.post(running.host.path, **running.request())
            except httpx.TransportError as error:
                return Reply(type(error).__name__)
            return Reply(str(answer.status_code))

        return await offer(ask, share, per_second, seconds)
