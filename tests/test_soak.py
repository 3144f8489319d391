"""A short soak and a short storm, as ``make soak`` and ``make overload`` do at length."""

import asyncio
from pathlib import Path

import numpy as np

from benchmarks.arrivals import Sampled
from benchmarks.overload import DEADLINE_SECONDS, overload
from benchmarks.server import on_cores_of_their_own
from benchmarks.soak import soak, trend
from benchmarks.trust_plot import plot_overload, plot_soak
from tests.conftest import StartServer


def test_open_loop_load_is_answered(start_server: StartServer, tmp_path: Path) -> None:
    with start_server(deadline_seconds=60) as server:
        report = asyncio.run(soak(server, 0.5, 4, closed=2))
    assert report.statuses.keys() == {"200", "400", "404", "415", "422"}, report
    assert report.statuses["200"] > 0
    assert max(report.resident_bytes) < 1.3 * report.resident_bytes[0]
    plot_soak(report, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").stat().st_size > 10_000


def test_a_storm_is_weathered(tmp_path: Path) -> None:
    """Bounds are loose where a busy machine moves them; ``make overload`` has the promised ones."""
    settings = {"preload": "resnet50/float32", "max_waiting": 8}
    settings |= {"deadline_seconds": DEADLINE_SECONDS}
    with on_cores_of_their_own(tmp_path / "log.jsonl", **settings) as server:
        report = asyncio.run(overload(server, 4, 6, "resnet50", "float32", closed=3))
    assert report.statuses.keys() == {"200", "503"}, report
    # four times the peak came, so that at least every second one was refused
    assert report.statuses["503"] > report.statuses["200"] > 0, report
    assert report.refused_without_retry_after == 0
    assert (report.accepted_p99 or 0) < report.deadline
    assert report.refused_p50 is not None
    assert report.refused_p50 < 300, report
    assert report.goodput_share > 0.4, report
    assert report.after < 5 * max(report.before), report
    assert sum(report.refused) > 0
    plot_overload(report, tmp_path / "overload.png")
    assert (tmp_path / "overload.png").stat().st_size > 10_000


def test_a_leak_is_told_from_noise() -> None:
    def found(seed: int, leak: float) -> bool:
        random = np.random.default_rng(seed)
        at, noise, resident = list(np.arange(0, 1800, 18.0)), 0.0, []
        for seconds in at:
            noise = 0.7 * noise + random.normal(0, 1e6)  # memory is like it was a moment ago
            resident.append(int(3e8 + noise + leak * seconds))
        slope, error = trend(Sampled(at, resident), since=300)
        return slope > error

    assert sum(found(seed, leak=0) for seed in range(40)) <= 4
    assert sum(found(seed, leak=5000) for seed in range(40)) >= 38  # 18 MB an hour
