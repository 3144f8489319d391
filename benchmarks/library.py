"""What the library does on every core without a service around it."""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import cv2

from emotion import Classifier

START_SECONDS = 15  # until every process has loaded
_WARM_UP = 3


def library_rate(photo: bytes, processes: int, seconds: float) -> float:
    """Return pictures a second of processes that call it side by side, and nothing else."""
    start = time.time() + START_SECONDS
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        done = [pool.submit(_calls, photo, start, seconds) for _ in range(processes)]
        return sum(future.result() for future in done) / seconds


def _calls(photo: bytes, start: float, seconds: float) -> int:
    cv2.setNumThreads(1)
    classifier = Classifier()
    for _ in range(_WARM_UP):
        classifier.predict(photo)
    if time.time() > start:
        raise RuntimeError(f"Loading took more than {START_SECONDS} seconds: start later.")
    time.sleep(start - time.time())
    calls = 0
    while time.time() < start + seconds:
        classifier.predict(photo)
        calls += 1
    return calls
