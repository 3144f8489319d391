"""Micro-batching: faces of several requests gathered into one call, against a call for each.

A closed loop on the engine's terms: as many threads compute as there are cores, each with an
interpreter of its own, and every client waits for one face at a time. A thread takes the next face
alone, or with it what waits already, or what comes within a while.

It cannot tell what a whole request gains: decoding a picture and finding its face come first, take
most of a small network's request, and are not gathered. What is gained here is the most there is.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, Queue, SimpleQueue

import numpy as np

from emotion.arrays import Floats, Pixels
from emotion.interpreter import MOST_AT_ONCE, Interpreter
from emotion.machine import usable_cores
from emotion.store import ModelStore
from service.engine import at_once

ARTIFACTS = ("mobilenet/int8", "resnet50/int8", "resnet50/float32")
TURNS = 3


@dataclass(frozen=True)
class Way:
    """How many faces a thread takes into one call at most, and how long it waits for more."""

    most: int
    wait_ms: float = 0


WAYS = (Way(1), Way(MOST_AT_ONCE), Way(MOST_AT_ONCE, wait_ms=2))


@dataclass(frozen=True)
class Gathered:
    """What one way gave to so many clients."""

    artifact: str
    clients: int
    most: int
    wait_ms: float
    faces_per_call: float
    faces_per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class _Face:
    pixels: Pixels  # [1, size, size, 3]
    answer: SimpleQueue[Floats]


_PATIENCE = 60  # seconds, for an answer
_Waiting = Queue[_Face | None]  # a SimpleQueue's get may outstay its timeout, in CPython 3.11


@dataclass(frozen=True)
class _Turn:
    seconds: float
    calls: int
    latencies: list[float]  # seconds


def measure(store: ModelStore, seconds: float) -> Iterator[Gathered]:
    """Give each way so many seconds, in turn with the others.

    Of as many clients as requests that the engine computes at once, whose faces are all that
    could meet in it; and of enough to fill every call.
    """
    cores = usable_cores()
    for record in (record for record in store.records if record.name in ARTIFACTS):
        interpreters = [Interpreter(store.read(record)) for _ in range(cores)]
        face = np.random.default_rng(0).integers(0, 256, record.input.shape, np.uint8)
        for clients in (at_once(cores), cores * MOST_AT_ONCE):
            turns: dict[Way, list[_Turn]] = {way: [] for way in WAYS}
            for way in TURNS * WAYS:
                turns[way].append(_turn(interpreters, face, clients, way, seconds / TURNS))
            for way, taken in turns.items():
                yield _gathered(record.name, clients, way, taken)


def _gathered(artifact: str, clients: int, way: Way, turns: Sequence[_Turn]) -> Gathered:
    latencies = np.concatenate([turn.latencies for turn in turns])
    return Gathered(
        artifact=artifact,
        clients=clients,
        most=way.most,
        wait_ms=way.wait_ms,
        faces_per_call=round(len(latencies) / sum(turn.calls for turn in turns), 2),
        faces_per_second=round(len(latencies) / sum(turn.seconds for turn in turns), 1),
        p50_ms=round(1000 * float(np.percentile(latencies, 50)), 2),
        p99_ms=round(1000 * float(np.percentile(latencies, 99)), 2),
    )


def _turn(
    interpreters: Sequence[Interpreter], face: Pixels, clients: int, way: Way, seconds: float
) -> _Turn:
    waiting: _Waiting = Queue()
    with ThreadPoolExecutor(len(interpreters) + clients) as pool:
        calls = [pool.submit(_compute, one, waiting, way) for one in interpreters]
        try:
            start = time.perf_counter()
            asked = [pool.submit(_ask, waiting, face, start + seconds) for _ in range(clients)]
            latencies = [latency for one in asked for latency in one.result()]
            spent = time.perf_counter() - start
        finally:
            for _ in interpreters:
                waiting.put(None)  # nobody asks any more
        return _Turn(spent, sum(one.result() for one in calls), latencies)


def _ask(waiting: _Waiting, face: Pixels, until: float) -> list[float]:
    """Be a client: ask again and again, and return how many seconds each answer took."""
    asked = _Face(face, SimpleQueue())
    latencies = []
    while (start := time.perf_counter()) < until:
        waiting.put(asked)
        asked.answer.get(timeout=_PATIENCE)
        latencies.append(time.perf_counter() - start)
    return latencies


def _compute(interpreter: Interpreter, waiting: _Waiting, way: Way) -> int:
    """Be a computing thread: answer until there is nobody; return how many calls that took."""
    calls = 0
    while first := waiting.get():
        faces, until = [first], time.perf_counter() + way.wait_ms / 1000
        while len(faces) < way.most and (another := _next(waiting, until)):
            faces.append(another)
        answers = interpreter.run(np.concatenate([face.pixels for face in faces]))
        for face, answer in zip(faces, answers, strict=True):
            face.answer.put(answer)
        calls += 1
    return calls


def _next(waiting: _Waiting, until: float) -> _Face | None:
    try:
        return waiting.get(timeout=max(0.0, until - time.perf_counter()))
    except Empty:
        return None
