import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping

from benchmarks.arrivals import Answer, closed_answers, rate
from benchmarks.bench import PHOTO
from benchmarks.wire import CLOSED, KEPT, Client, post
from tests.conftest import ROOT, Server


def load(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.load", "--url", url, "--requests", "40", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
    )


def test_load_reports_throughput_and_quantiles(server: Server) -> None:
    done = load(server.url, "--clients", "4", "--precision", "float16")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["errors"] == {}
    assert report["requests_per_second"] > 1
    assert 0 < report["p50_ms"] <= report["p95_ms"] <= report["p99_ms"] <= report["max_ms"]
    # a closed loop's clients are always waiting: clients = throughput x latency (Little's law)
    assert report["requests_per_second"] * report["p50_ms"] / 1000 < 2 * 4


def test_load_counts_errors(server: Server) -> None:
    done = load(server.url, "--model", "alexnet")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert report["errors"] == {"404": 40}
    assert report["p50_ms"] is None
    nobody = load("http://127.0.0.1:9", "--clients", "2")
    assert json.loads(nobody.stdout)["errors"] == {"ConnectError": 40}


def test_clients_who_always_wait_are_all_answered(server: Server) -> None:
    async def answers(headers: Mapping[str, str]) -> list[Answer]:
        async with Client(server.url) as client:
            request = post("/predict?faces=whole", PHOTO, headers)
            answered = await closed_answers(client, [request], seconds=0.5, clients=3)
            assert len(client._idle) == (0 if headers is CLOSED else 3)
            return answered

    for headers in (KEPT, CLOSED):
        answered = asyncio.run(answers(headers))
        assert len(answered) >= 3
        assert {answer.status for answer in answered} == {"200"}
        assert 1 < rate(answered) <= len(answered) / 0.5
