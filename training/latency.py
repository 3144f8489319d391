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


def latency_of(artifact: bytes, tensors: Pixels, calls: int = 200) -> Latency:
    """Time single images on one thread, warm."""
    interpreter = Interpreter(artifact, threads=1)
    times = []
    for call in range(calls + 20):
        tensor = tensors[call % len(tensors)][np.newaxis]
        start = time.perf_counter()
        interpreter.run(tensor)
        times.append(1000 * (time.perf_counter() - start))
    return latency_from(times[20:])


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

    Latencies of different machines, or of different days, cannot be compared.

    Raises:
        StoreError, ArtifactUnavailableError: the store or an artifact cannot be read.
    """
    random = np.random.default_rng(0)
    timed = []
    opened = ModelStore(store)
    for record in opened.records:
        content = opened.read(record)
        tensors = random.integers(0, 256, (8, *record.input.shape[1:]), np.uint8)
        latency = latency_of(content, tensors)
        timed.append((record.model_copy(update={"latency": latency}), content))
    publish(store, timed, {})
    renew_cards(store)
    return [record for record, _ in timed]
