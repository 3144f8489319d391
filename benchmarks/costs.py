"""What one request needs, from what was measured: benchmarks/results and the store's manifest."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from benchmarks.queueing import Seconds
from benchmarks.server import ROOT
from emotion.classifier import CHECKOUT_STORE
from emotion.store import ModelStore

QUIET = 0.3  # processes a core before a measurement
RESULTS = ROOT / "benchmarks" / "results"
_MEASURED = ("mobilenet", "int8")  # what `make bench` sends; others differ by their network's time


@dataclass(frozen=True)
class Request:
    """What is asked: one artifact, so many faces in a picture, found by this detector."""

    model: str = "mobilenet"
    precision: str = "int8"
    faces: int = 1
    detector: str = "compiled"


@cache
def result(name: str) -> dict[str, Any]:
    """Read benchmarks/results/NAME.json."""
    read: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return read


def figure(start: str) -> float:
    """Return the one figure of `make bench` whose name starts so."""
    (value,) = (f["value"] for f in result("bench")["figures"] if f["what"].startswith(start))
    return float(value)


def core_seconds(request: Request) -> float:
    """Return the seconds of one core that a request costs at saturation, HTTP included.

    The measured call, changed by what this network, these faces and this detector take more or
    less, over the share of the cores' time that became answers at saturation.

    Raises:
        UnknownArtifactError: the store has no such artifact; lists those it has.
    """
    store = ModelStore(CHECKOUT_STORE)
    own, measured = (
        store.record(*name).latency.p50_ms
        for name in ((request.model, request.precision), _MEASURED)
    )
    call = figure("in-process p50")
    if request.detector == "caffe":
        call *= figure("one core, Caffe / compiled")
    more_faces = _with_faces(request.faces) - _with_faces(1)
    call += request.faces * (own - measured) + more_faces
    return call / 1000 / figure("throughput / (cores")


def _with_faces(count: int) -> float:
    measured = {
        int(f["what"].split()[0]): f["value"]
        for f in result("bench")["figures"]
        if "faces in one picture" in f["what"]
    }
    slope, base = np.polyfit(list(measured), list(measured.values()), 1)
    return float(base + slope * count)


def services(request: Request) -> Seconds:
    """Return service times to draw from, in seconds; their mean is what the request costs."""
    if quiet():
        shape = np.array(result("capacity")["service_over_mean"])
    else:  # a noisy machine's stragglers are not the service's
        middles = (np.arange(1000) + 0.5) / 1000
        shape = -np.log1p(-middles)
    drawn: Seconds = core_seconds(request) * shape / shape.mean()
    return drawn


def quiet() -> bool:
    """Whether `make capacity` had the machine for itself."""
    return bool(result("capacity")["load_per_core_before"] < QUIET)


def spread() -> str:
    """Say what is assumed of the service times."""
    if quiet():
        return "spread as measured by `make capacity`"
    return "exponentially spread, since `make capacity` last ran on a busy machine"
