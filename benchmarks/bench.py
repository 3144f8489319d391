"""The promises about speed, each a ratio of things measured in the same run.

What is compared alternates, call by call, so that a machine that slows down slows both sides.
Prints a table; with ``--out`` also writes JSON.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import cv2
import httpx
import numpy as np
import numpy.typing as npt

from benchmarks.arrivals import closed_loop
from benchmarks.floor import floor
from benchmarks.library import library_rate
from benchmarks.report import write_report
from benchmarks.server import ROOT, Server, serving
from benchmarks.wire import Client, post, poster
from emotion import Classifier
from emotion.decode import decode
from emotion.preprocess import face_pixels, face_tensor

PHOTO = (ROOT / "examples" / "astronaut.jpg").read_bytes()
CLIENTS = (1, 2, 4, 8, 16, 32, 64)
FACES = (1, 2, 4, 8, 16)
WARM_UP = 3
_COMPARED = ("float32", "int8")


@dataclass(frozen=True)
class Figure:
    """One measured number and, where there is one, the bound it should keep."""

    what: str
    value: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the value is within its bound."""
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )


def alternate(rounds: int, *calls: Callable[[], object]) -> list[float]:
    """Time calls in turn, ``rounds`` times after a warm-up; returns each one's median in ms."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(WARM_UP + rounds):
        for call, row in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            row.append(1000 * (time.perf_counter() - start))
    return [median(row[WARM_UP:]) for row in times]


def request_against_library(
    server: Server, classifier: Classifier, lone: Classifier, rounds: int
) -> list[Figure]:
    """One client's /predict against the same pipeline called in this process, on as many cores."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder) / "log", threads=1, preload="mobilenet/int8") as one_core,
        floor() as least,
        poster(one_core.url, PHOTO) as post,
        poster(server.url, PHOTO) as post_helped,
        poster(least, PHOTO) as post_floor,
        httpx.Client(base_url=server.url, timeout=60) as http,
        httpx.Client(base_url=one_core.url, timeout=60) as one_core_http,
    ):
        bodies: list[bytes] = []
        # The call after each request finds the caches as another's work left them.
        request, call, request_helped, call_helped, by_httpx, bare = alternate(
            rounds,
            lambda: bodies.append(post()),
            lambda: classifier.predict(PHOTO),
            post_helped,
            lambda: lone.predict(PHOTO),
            lambda: one_core_http.post("/predict", content=PHOTO).raise_for_status(),
            post_floor,
        )
        work = median(json.loads(body)["latency_ms"]["total"] for body in bodies[WARM_UP:])
        models = len(classifier.store.records)
        compare, separately = alternate(
            max(rounds // 10, 3),
            lambda: http.post("/compare", content=PHOTO).raise_for_status(),
            lambda: [
                http.post(
                    "/predict",
                    params={"model": r.model, "precision": r.precision},
                    content=PHOTO,
                ).raise_for_status()
                for r in classifier.store.records
            ],
        )
    return [
        Figure("in-process p50, ms", call),
        Figure("on two cores, in-process p50, ms", call_helped),
        Figure("on two cores, /predict p50 more than in-process, ms", request_helped - call_helped),
        Figure("on two cores, /predict p50 / on one", request_helped / request),
        Figure("/predict p50 more than in-process, ms", request - call, at_most=1.5),
        Figure("/predict p50 / in-process", request / call, at_most=1.25),
        Figure("with httpx as the client, /predict p50 more than in-process, ms", by_httpx - call),
        Figure("HTTP around a request's work, p50, ms", request - work),
        Figure("FastAPI that computes nothing, p50, ms", bare),
        Figure(f"/compare of {models} / {models} /predict", compare / separately, at_most=0.6),
    ]


def precisions(classifier: Classifier, lone: Classifier, model: str, rounds: int) -> list[Figure]:
    """int8 against float32, the network alone and the whole call."""
    image = decode(PHOTO)
    box = classifier.detector.detect(image)[0].box
    exact, small = (classifier.registry.get(model, p) for p in _COMPARED)
    tensor = face_tensor(face_pixels(image, box), exact.record.input_size)[np.newaxis]
    network = alternate(rounds, partial(exact.run, tensor), partial(small.run, tensor))
    whole_exact, whole_small, alone_exact, alone_small = alternate(
        rounds // 2,
        *(partial(c.predict, PHOTO, model, p) for c in (lone, classifier) for p in _COMPARED),
    )
    promised = model != "mobilenet"
    return [
        Figure(f"{model} network, float32 ms", network[0]),
        Figure(f"{model} network, int8 ms", network[1]),
        Figure(
            f"{model} network, float32 / int8",
            network[0] / network[1],
            at_least=3 if promised else None,
        ),
        Figure(
            f"{model} whole call, float32 / int8",
            whole_exact / whole_small,
            at_least=2 if promised else None,
        ),
        Figure(f"one core, {model}, float32 / int8", alone_exact / alone_small),
    ]


def saturation(server: Server, in_process_ms: float, seconds: float) -> list[Figure]:
    """Closed-loop throughput over the number of clients, and of the library without any."""
    cores = os.cpu_count() or 1
    capacity = 1000 * cores / in_process_ms
    ceiling = library_rate(PHOTO, cores, seconds)
    rates = [asyncio.run(throughput(server, "/predict", clients, seconds)) for clients in CLIENTS]
    curve = [
        Figure(f"{clients} clients, requests/s", rate)
        for clients, rate in zip(CLIENTS, rates, strict=True)
    ]
    after_peak = rates[int(np.argmax(rates)) :]
    return [
        *curve,
        Figure("throughput / (cores / in-process time)", max(rates) / capacity, at_least=0.85),
        # What cores that share caches, memory and power leave of it, with no service at all.
        Figure("one library process a core / (cores / in-process time)", ceiling / capacity),
        Figure(
            "least throughput after the peak / peak", min(after_peak) / max(rates), at_least=0.9
        ),
    ]


async def throughput(server: Server, path: str, clients: int, seconds: float) -> float:
    """Pictures a second, of clients that cost little: they share the cores with the service."""
    async with Client(server.url) as client:
        return await closed_loop(client, [post(path, PHOTO)], seconds, clients)


def detectors(classifier: Classifier, lone: Classifier, rounds: int) -> list[Figure]:
    """The whole call with the original detector against the compiled one."""
    caffe, alone, _, helped = alternate(  # both compiled ones after Caffe's
        rounds,
        lambda: classifier.predict(PHOTO, detector="caffe"),
        lambda: classifier.predict(PHOTO, detector="compiled"),
        lambda: classifier.predict(PHOTO, detector="caffe"),
        lambda: lone.predict(PHOTO, detector="compiled"),
    )
    return [
        Figure("whole call, Caffe on one core / compiled detector", caffe / helped, at_least=4),
        Figure("one core, Caffe / compiled detector", caffe / alone),
    ]


def faces(classifier: Classifier, rounds: int) -> list[Figure]:
    """One call on pictures of the same size with more and more faces."""
    pictures = [crowd(count) for count in FACES]
    found = [len(classifier.predict(p, faces="all").faces) for p in pictures]
    times = alternate(rounds, *(lambda p=p: classifier.predict(p, faces="all") for p in pictures))
    return [Figure(f"{n} faces in one picture, ms", t) for n, t in zip(found, times, strict=True)]


def crowd(count: int) -> bytes:
    """A PNG of 800x800 with ``count`` faces in a grid of 4x4."""
    face = cv2.resize(decode(PHOTO)[40:220, 135:315], (180, 180))
    canvas: npt.NDArray[np.uint8] = np.full((800, 800, 3), 128, np.uint8)
    for place in range(count):
        top, left = 200 * (place // 4) + 10, 200 * (place % 4) + 10
        canvas[top : top + 180, left : left + 180] = face
    return bytes(cv2.imencode(".png", canvas)[1])


def start_and_memory(log: Path, classifier: Classifier, runs: int) -> list[Figure]:
    """Time from the process's start to ready, and memory once everything has served."""
    one, every = [], []
    for _ in range(runs):
        with serving(log, preload="mobilenet/int8") as server:
            one.append(server.seconds_to_ready)
        with serving(log) as server:
            every.append(server.seconds_to_ready)
            # every artifact, by several clients at once
            for record in classifier.store.records:
                path = f"/predict?model={record.model}&precision={record.precision}"
                asyncio.run(throughput(server, path, clients=8, seconds=1))
            httpx.post(f"{server.url}/compare", content=PHOTO, timeout=60).raise_for_status()
            resident = server.resident_bytes
    files = sum(r.bytes for r in classifier.store.records)
    return [
        Figure("cold start, mobilenet/int8 preloaded, s", median(one), at_most=1),
        Figure("cold start, everything preloaded, s", median(every), at_most=3),
        Figure("resident memory / artifact files", resident / files, at_most=2.5),
    ]


def measure(rounds: int) -> list[Figure]:
    """Measure everything."""
    cv2.setNumThreads(1)  # as the service does
    classifier = Classifier()
    lone = Classifier(has_free_core=lambda: True)  # as the service's is for a lone request
    names = {r.name for r in classifier.store.records}
    models = sorted({r.model for r in classifier.store.records})
    both = [m for m in models if {f"{m}/float32", f"{m}/int8"} <= names]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        with serving(log) as server:
            first = request_against_library(server, classifier, lone, rounds)
            curve = saturation(server, first[0].value, seconds=rounds / 100)
        start = start_and_memory(log, classifier, runs=3)
    return [
        *first,
        *curve,
        *(figure for model in both for figure in precisions(classifier, lone, model, rounds)),
        *detectors(classifier, lone, rounds // 2),
        *faces(classifier, max(rounds // 5, 3)),
        *start,
    ]


def main() -> int:
    """Print the figures; the status is 0 even where a bound is missed, which the table says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    figures = measure(options.rounds)
    width = max(len(figure.what) for figure in figures)
    for figure in figures:
        bound = figure.at_most if figure.at_most is not None else figure.at_least
        sign = "<=" if figure.at_most is not None else ">="
        verdict = "" if bound is None else f"  {sign} {bound:g} {'' if figure.kept else 'MISSED'}"
        print(f"{figure.what:{width}} {figure.value:9.3f}{verdict}")
    if options.out:
        write_report(options.out, figures=[asdict(figure) for figure in figures])
    return 0


if __name__ == "__main__":
    sys.exit(main())
