"""Load in two forms: closed, to find what a service can do, and open, to see it under more or less.

Open-loop requests leave when they are due whatever the answers do, and each is timed from when it
was due: a client that fell behind would otherwise hide what its users wait for.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.wire import Client, Reply

Ask = Callable[[int], Awaitable[Reply]]  # sends request number so and so
ACCEPTED = frozenset({"200", "400", "404", "415", "422"})


@dataclass(frozen=True)
class Answer:
    """When a request was due and left, in seconds from the start, and what came of it."""

    due: float
    left: float
    seconds: float  # from when it was due
    status: str
    retry_after: bool = False

    @property
    def accepted(self) -> bool:
        """Whether it was answered, the refusal of a bad picture included."""
        return self.status in ACCEPTED


@dataclass
class Sampled:
    """Memory at even times."""

    at: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)


async def closed_answers(
    client: Client, requests: Sequence[bytes], seconds: float, clients: int
) -> list[Answer]:
    """Return the answers to ``clients`` who always wait for one: a request is due at once."""
    start, answers = time.perf_counter(), list[Answer]()

    async def work(number: int) -> None:
        while (left := time.perf_counter() - start) < seconds:
            reply = await client.ask(requests[number % len(requests)])
            waited = time.perf_counter() - start - left
            answers.append(Answer(left, left, waited, reply.status, reply.retry_after))
            number += clients

    await asyncio.gather(*(work(number) for number in range(clients)))
    return answers


def rate(answers: Sequence[Answer]) -> float:
    """Return how many answers a second came, up to the last one."""
    return len(answers) / max(answer.due + answer.seconds for answer in answers)


async def closed_loop(
    client: Client, requests: Sequence[bytes], seconds: float, clients: int = 8
) -> float:
    """Return how many requests a second ``clients`` get answered who always wait for one."""
    answers = await closed_answers(client, requests, seconds, clients)
    statuses = Counter(answer.status for answer in answers)
    assert statuses.keys() <= ACCEPTED, statuses
    return rate(answers)


def at_random(rate: float, seconds: float) -> list[float]:
    """Return when requests are due that know nothing of each other (Poisson arrivals).

    In seconds from the start, ``rate`` of them a second on average.
    """
    due = np.random.default_rng(0).uniform(0, seconds, int(seconds * rate))
    return [float(at) for at in np.sort(due)]


def in_turn(client: Client, requests: Sequence[bytes]) -> Ask:
    """Return what sends one of ``requests`` after the other, and the first again."""
    return lambda number: client.ask(requests[number % len(requests)])


async def open_loop(
    ask: Ask, due: Sequence[float], resident: Callable[[], int] | None = None
) -> tuple[list[Answer], Sampled]:
    """Send each request when it is due; read ``resident`` a hundred times meanwhile."""
    every = max(max(due, default=0) / 100, 0.05)
    start, sampled = time.perf_counter(), Sampled()

    async def send(number: int, at: float) -> Answer:
        left = time.perf_counter() - start
        reply = await ask(number)
        waited = time.perf_counter() - start - at
        return Answer(at, left, waited, reply.status, reply.retry_after)

    tasks: list[asyncio.Task[Answer]] = []
    for number, at in enumerate(due):
        await asyncio.sleep(max(0.0, start + at - time.perf_counter()))
        tasks.append(asyncio.create_task(send(number, at)))
        if resident and at >= len(sampled.at) * every:
            sampled.at.append(at)
            sampled.resident.append(resident())
    return list(await asyncio.gather(*tasks)), sampled


async def steady_load(
    client: Client,
    requests: Sequence[bytes],
    rate: float,
    seconds: float,
    resident: Callable[[], int],
) -> tuple[list[Answer], Sampled]:
    """Send ``rate`` requests a second in turn; see ``open_loop``."""
    due = [number / rate for number in range(int(seconds * rate))]
    return await open_loop(in_turn(client, requests), due, resident)


async def seconds_of(client: Client, request: bytes, times: int) -> list[float]:
    """Time some requests, one after another."""
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        await client.ask(request)
        spent.append(time.perf_counter() - start)
    return spent


def p99_ms(seconds: Sequence[float]) -> float | None:
    """Return the 99th percentile in milliseconds, or None of nothing."""
    return round(1000 * float(np.percentile(seconds, 99)), 2) if seconds else None
