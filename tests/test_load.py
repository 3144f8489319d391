import json
import subprocess
import sys

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
