"""How long a detection takes, against the Caffe original in the same run."""

import time

import cv2

from emotion.arrays import Pixels
from emotion.faces import Detector
from emotion.records import Latency
from training.latency import latency_from

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
    return {name: latency_from(values[_WARM_UP:]) for name, values in times.items()}
