"""A short soak, as ``make soak`` does at length."""

import asyncio

import pytest

from benchmarks.soak import soak
from tests.conftest import StartServer


def test_open_loop_load_is_answered(start_server: StartServer) -> None:
    with start_server(deadline_seconds=60) as server:
        report = asyncio.run(soak(server, 0.5, 4))
    assert report.statuses.keys() <= {"200", "400", "404", "415", "422"}, report
    assert report.statuses["200"] > 0
    assert report.offered_per_second == pytest.approx(0.5 * report.saturation_per_second)
    assert max(report.resident_bytes) < 1.3 * report.resident_bytes[0]
