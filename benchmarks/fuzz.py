"""Mutated images through a live service: no crash, no 5xx, nothing late, no memory kept.

``make fuzz``; whatever breaks the rule is kept in ``tests/corpus`` as a regression test.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np

from benchmarks.mutants import mutant, seeds
from benchmarks.server import ROOT, Server, serving
from emotion.machine import machine

PHOTO = ROOT / "examples" / "astronaut.jpg"
CORPUS = ROOT / "tests" / "corpus"
DEADLINE_SECONDS = 10.0
WARM_UP = 10  # times every sound image, before memory is looked at
PATHS = ("/predict?faces=all&no_face=whole", "/compare?no_face=whole")


@dataclass(frozen=True)
class FuzzReport:
    """What came back for so many mutated images."""

    images: int
    seed: int
    statuses: dict[str, int]
    slowest_seconds: float
    resident_bytes: list[int]  # from when sound images have been served, all clients at once
    found: list[str]  # SHA-256 of images that broke a rule
    machine: str
    date: str

    @property
    def memory_growth(self) -> float:
        """Resident memory at the end by that after the warm-up, less one."""
        return self.resident_bytes[-1] / self.resident_bytes[0] - 1


def fuzz(
    server: Server, images: int, seed: int = 0, clients: int = 4, warm_up: int = WARM_UP
) -> FuzzReport:
    """Send mutated images to /predict and, one in ten, to /compare."""
    originals = seeds(PHOTO.read_bytes())
    statuses: Counter[str] = Counter()
    found: list[str] = []
    slowest, resident = 0.0, list[int]()
    every = max(1, images // 100)

    def send(number: int) -> tuple[bytes, str, float]:
        random = np.random.default_rng((seed, number))
        image = mutant(originals[number % len(originals)], random)
        path = PATHS[number % 10 == 0]
        start = time.perf_counter()
        try:
            status = str(http.post(path, content=image).status_code)
        except httpx.TransportError as error:
            status = type(error).__name__
        return image, status, time.perf_counter() - start

    with (
        httpx.Client(base_url=server.url, timeout=60) as http,
        ThreadPoolExecutor(clients) as pool,
    ):
        sound = [(path, image) for image in originals for path in PATHS] * warm_up
        for answer in pool.map(lambda each: http.post(each[0], content=each[1]), sound):
            answer.raise_for_status()
        resident.append(server.resident_bytes)
        for count, (image, status, seconds) in enumerate(pool.map(send, range(images)), 1):
            statuses[status] += 1
            slowest = max(slowest, seconds)
            if not status.startswith(("2", "4")) or seconds > DEADLINE_SECONDS:
                found.append(_kept(image))
            if count % every == 0:
                resident.append(server.resident_bytes)
    return FuzzReport(
        images,
        seed,
        dict(sorted(statuses.items())),
        slowest,
        [*resident, server.resident_bytes],
        found,
        machine(),
        datetime.now(UTC).date().isoformat(),
    )


def _kept(image: bytes) -> str:
    name = hashlib.sha256(image).hexdigest()
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / name).write_bytes(image)
    return name


def main() -> int:
    """Fuzz, print and write the report; 1 where an image broke a rule or memory grew by a tenth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as logs,
        serving(Path(logs) / "log.jsonl", deadline_seconds=DEADLINE_SECONDS) as server,
    ):
        report = fuzz(server, options.images, options.seed)
    text = json.dumps(asdict(report), indent=1)
    print(text)
    if options.out:
        from benchmarks.trust_plot import plot_fuzz

        plot_fuzz(report, options.out.with_suffix(".png"))
        options.out.write_text(text + "\n")
    return 1 if report.found or report.memory_growth > 0.1 else 0


if __name__ == "__main__":
    sys.exit(main())
