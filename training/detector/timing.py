"""How long a detection takes, against the Caffe original in the same run."""

import time
from datetime import UTC, datetime

import cv2
import numpy as np

from emotion.arrays import Pixels
from emotion.faces import Detector
from emotion.machine import machine
from emotion.records import Latency

_WARM_UP = 10


def latencies(
    detectors: dict[str, Detector], image: Pixels, calls: int = 100
) -> dict[str, Latency]:
    """Time whole detections (scaling, network, boxes), one thread, the detectors in turn.

    Args:
        detectors: by any name.
        image: uint8 [height, width, 3], BGR.
        calls: of each, after a warm-up.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    times: dict[str, list[float]] = {name: [] for name in detectors}
    for _ in range(_WARM_UP + calls):
        for name, detector in detectors.items():
            start = time.perf_counter()
            detector.detect(image)
            times[name].append(1000 * (time.perf_counter() - start))
    cv2.setNumThreads(threads)
    return {name: _latency(values[_WARM_UP:]) for name, values in times.items()}


def _latency(milliseconds: list[float]) -> Latency:
    p50, p95, p99 = np.percentile(milliseconds, (50, 95, 99)).round(3).tolist()
    return Latency(
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        machine=machine(),
        date=datetime.now(UTC).date().isoformat(),
    )
