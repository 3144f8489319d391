"""How long a network alone takes."""

import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from emotion.arrays import Pixels
from emotion.interpreter import Interpreter
from emotion.machine import machine
from emotion.records import ArtifactRecord, Latency
from emotion.store import ModelStore, publish
from training.card import renew_cards

TURNS = 10
CALLS = 25  # of which the first do not count
WARM_UP = 5


def latency_of(artifact: bytes, tensors: Pixels, calls: int = 200) -> Latency:
    """Time single images on one thread, warm."""
    chosen = np.arange(calls + WARM_UP) % len(tensors)
    return latency_from(_times(Interpreter(artifact, threads=1), tensors[chosen])[WARM_UP:])


def _times(network: Interpreter, tensors: Pixels) -> list[float]:
    """Milliseconds of each image, one by one."""
    times = []
    for tensor in tensors:
        start = time.perf_counter()
        network.run(tensor[np.newaxis])
        times.append(1000 * (time.perf_counter() - start))
    return times


def latency_from(milliseconds: list[float]) -> Latency:
    """Sum up the times of single calls, measured here and today."""
    p50, p95, p99 = np.percentile(milliseconds, (50, 95, 99)).round(3).tolist()
    return Latency(
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        machine=machine(),
        date=datetime.now(UTC).date().isoformat(),
    )


def time_again(store: Path) -> list[ArtifactRecord]:
    """Time every artifact of the store on this machine, and publish records and cards anew.

    Latencies of different machines, or of different days, cannot be compared. So they take turns,
    some calls in a row each: a slow moment is not one artifact's alone.

    Raises:
        StoreError, ArtifactUnavailableError: the store or an artifact cannot be read.
    """
    random = np.random.default_rng(0)
    opened = ModelStore(store)
    contents = [opened.read(record) for record in opened.records]
    networks = [Interpreter(content, threads=1) for content in contents]
    times: list[list[float]] = [[] for _ in networks]
    for _ in range(TURNS):
        for record, network, row in zip(opened.records, networks, times, strict=True):
            tensors = random.integers(0, 256, (CALLS, *record.input.shape[1:]), np.uint8)
            row += _times(network, tensors)[WARM_UP:]
    timed = [
        (record.model_copy(update={"latency": latency_from(row)}), content)
        for record, content, row in zip(opened.records, contents, times, strict=True)
    ]
    publish(store, timed, {})
    renew_cards(store)
    return [record for record, _ in timed]
