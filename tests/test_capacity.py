"""The capacity plan: its queue against theory, its numbers against what they come from."""

import asyncio
import json
import math
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks.breaking import limits
from benchmarks.capacity import parse
from benchmarks.costs import Request, core_seconds, figure, result
from benchmarks.plan import BOUNDS, SECONDS
from benchmarks.predict import count_series
from benchmarks.queueing import most_load, percentile, response_times
from emotion.classifier import CHECKOUT_STORE
from tests.conftest import ROOT, StartServer
from tests.manifests import read

EXPONENTIAL = -np.log1p(-(np.arange(1000) + 0.5) / 1000) / 100  # mean 10 ms


def mean_response(load: float, servers: int, service: float) -> float:
    """Of an M/M/c queue: Erlang's C formula."""
    offered = load * servers
    waits = offered**servers / math.factorial(servers) / (1 - load)
    goes = sum(offered**n / math.factorial(n) for n in range(servers))
    return waits / (waits + goes) * service / (servers * (1 - load)) + service


@pytest.mark.parametrize(("load", "servers"), [(0.5, 1), (0.7, 2), (0.8, 8)])
def test_the_simulated_queue_is_that_of_the_textbook(load: float, servers: int) -> None:
    mean = float(EXPONENTIAL.mean())
    simulated = response_times(load * servers / mean, EXPONENTIAL, servers).mean()
    assert simulated == pytest.approx(mean_response(load, servers, mean), rel=0.05)


def test_p99_is_kept_up_to_the_load_that_is_found_and_no_further() -> None:
    load = most_load(EXPONENTIAL, 2, 0.1)
    capacity = 2 / float(EXPONENTIAL.mean())
    assert percentile(load * capacity, EXPONENTIAL, 2) <= 0.1
    assert percentile((load + 0.02) * capacity, EXPONENTIAL, 2) > 0.1


def test_the_measured_call_costs_what_saturation_says() -> None:
    """Cores over requests a second at the peak of `make bench`."""
    cores = int(result("bench")["machine"].split(" cores")[0].split()[-1])
    peak = max(
        f["value"] for f in result("bench")["figures"] if f["what"].endswith("clients, requests/s")
    )
    assert core_seconds(Request()) == pytest.approx(cores / peak, rel=0.01)
    assert core_seconds(Request(model="resnet50")) > core_seconds(Request())
    caffe = core_seconds(Request(detector="caffe")) / core_seconds(Request())
    assert caffe == pytest.approx(figure("one core, Caffe / compiled"))
    # faces share decoding and detection
    assert core_seconds(Request()) < core_seconds(Request(faces=8)) < 8 * core_seconds(Request())


def test_a_plan_adds_up() -> None:
    machine = ["--machine-cores", "8", "--machine-gb", "32"]
    plan = parse(["--rps", "1000", "--price-core-hour", "1", "--price-gb-hour", "0.1", *machine])
    given = plan.pod.given
    assert plan.pods * (given.zones - 1) / given.zones * plan.pod.rate >= 1000
    assert plan.cores == plan.pods * given.threads
    answers = 1000 * SECONDS * result("capacity")["answer_bytes"] / 1e9 * given.price_egress_gb
    # the machines that are printed beside it, whole
    assert plan.month == pytest.approx(730 * plan.machines * (8 + 32 * 0.1) + answers)
    assert plan.machines * plan.pod.each_machine >= plan.pods
    assert plan.million * 1000 * SECONDS / 1e6 == pytest.approx(plan.month)
    compose = read(ROOT / "docker-compose.yml")["services"]["emotion"]["environment"]
    for name, value in BOUNDS.items():
        assert compose[f"EMOTION_{name.upper()}"] == str(value)


def test_a_pod_has_as_many_series_as_were_counted(start_server: StartServer, photo: bytes) -> None:
    async def counted(url: str) -> int:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            for _ in range(3):
                (await http.post("/predict", content=photo)).raise_for_status()
            return await count_series(http)

    with start_server(store=CHECKOUT_STORE, preload="mobilenet/int8") as server:
        live = asyncio.run(counted(server.url))
    assert result("capacity")["series"] == pytest.approx(live, rel=0.05)


def test_limits_follow_their_numbers() -> None:
    def at(what: str, *options: str) -> float:
        (limit,) = (one for one in limits(parse(options).pod) if one.what == what)
        return limit.rps

    assert at("one proxy's link", "--picture-kb", "614") == pytest.approx(
        at("one proxy's link", "--picture-kb", "61.4") / 10
    )
    # S3 answers so many polls, however many requests a pod takes
    slow, quick = (at("one bucket's prefix, polled", "--threads", n) for n in ("2", "4"))
    pods = [parse(["--threads", n]).pod.rate for n in ("2", "4")]
    assert slow / pods[0] == pytest.approx(quick / pods[1]) == pytest.approx(5500 * 2 * 2 / 3)
    order = [limit.rps for limit in limits(parse(["--p99", "0.2"]).pod)]
    assert order == sorted(order)
    assert len(order) > 10
    # slow clients, not its cores, limit a pod
    slow = parse(["--uplink-mbit", "0.1"]).pod
    assert slow.rate == pytest.approx(BOUNDS["max_uploads"] / slow.upload_seconds)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "vgg61"], "There is no artifact vgg61/int8"),
        (["--p99", "0.01"], "cannot be promised"),
        (["--machine-cores", "1"], "does not fit on a machine"),
        (["--machine-gb", "1"], "does not fit on a machine"),
        *(
            ([f"--{name}={value}"], f"--{name}: {value} is not above zero")
            for name in ("rps", "p99", "threads", "price-core-hour")
            for value in ("-1", "nan", "inf")
        ),
        (["--rps", "0"], "--rps: 0 is not above zero"),
        (["--threads", "1.5"], "argument --threads: invalid"),
    ],
)
def test_what_cannot_be_planned_is_explained(options: list[str], said: str) -> None:
    command = [sys.executable, "-m", "benchmarks.capacity", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_model_was_held_against_a_load_test() -> None:
    report = json.loads((ROOT / "benchmarks" / "results" / "capacity.json").read_text())
    assert [point["share"] for point in report["points"]] == [0.5, 0.8]
    for point in report["points"]:
        assert point["requests"] > 100
        assert point["measured_p99_ms"] > point["measured_p50_ms"] > 0
    assert np.mean(report["service_over_mean"]) == pytest.approx(1, abs=0.05)


def test_the_load_test_writes_what_the_plan_reads(tmp_path: Path) -> None:
    out = tmp_path / "capacity.json"
    numbers = ["--rounds", "1", "--requests", "10", "--seconds", "0.5", "--out", out]
    command = [sys.executable, "-m", "benchmarks.predict", *numbers]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=240)
    written = json.loads(out.read_text())
    assert written.keys() == result("capacity").keys()
    for point in written["points"]:
        assert point.keys() == result("capacity")["points"][0].keys()
        assert point["errors"] == 0
