"""The dashboard and the alerts speak of metrics that there are."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.faults import FAULTS
from tests.conftest import ROOT

ALERTS = ROOT / "deploy" / "alerts.yml"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
SUFFIXES = re.compile(r"_(total|bucket|sum|count)$")  # of samples, not of the metric
promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed"
)


def served(http: httpx.Client, photo: bytes) -> set[str]:
    http.post("/predict", content=photo)
    text = http.get("/metrics").text
    families = text_string_to_metric_families(text)
    return {family.name for family in families if not family.name.endswith("_created")}


@pytest.mark.parametrize("text", [ALERTS.read_text(), *EXPRESSIONS])
def test_only_metrics_that_are_served_are_named(
    http: httpx.Client, photo: bytes, text: str
) -> None:
    named = set(re.findall(r"\bemotion_[a-z_]+", text))
    assert named
    assert {SUFFIXES.sub("", name) for name in named} <= served(http, photo)


def test_every_metric_is_on_the_dashboard(http: httpx.Client, photo: bytes) -> None:
    shown = {
        SUFFIXES.sub("", name)
        for text in EXPRESSIONS
        for name in re.findall(r"emotion_[a-z_]+", text)
    }
    assert served(http, photo) <= shown


@promtool
def test_the_alerts_about_load_know_every_route_that_computes(tmp_path: Path) -> None:
    route = "/v2/models/{model}/infer"
    overloaded = 'emotion_problems_total{problem="overloaded",instance="i"}'
    answered = 'emotion_requests_total{method="POST",status="200",instance="i"'
    probed = 'emotion_requests_total{method="GET",route="/livez",status="200",instance="i"}'
    bucket = f'emotion_request_seconds_bucket{{route="{route}",instance="i"'
    series = [
        {"series": overloaded, "values": "0+120x30"},
        {"series": f'{answered},route="{route}"}}', "values": "0+900x30"},
        {"series": f'{answered},route="/explain"}}', "values": "0+900x30"},
        {"series": probed, "values": "0+99x30"},
        {"series": f'{bucket},le="1"}}', "values": "0+1x30"},
        {"series": f'{bucket},le="5"}}', "values": "0+60x30"},
        {"series": f'{bucket},le="+Inf"}}', "values": "0+60x30"},
    ]
    firing = "count by (alertname) (ALERTS{alertstate='firing'})"
    tests = {
        "rule_files": [str(ALERTS)],
        "tests": [
            {
                "interval": "1m",
                "input_series": series,
                "promql_expr_test": [
                    {
                        "expr": firing,
                        "eval_time": "25m",
                        "exp_samples": [
                            {"labels": f'{{alertname="{name}"}}', "value": 1}
                            for name in ("EmotionOverloaded", "EmotionSlow")
                        ],
                    }
                ],
            }
        ],
    }
    path = tmp_path / "tests.yml"
    path.write_text(json.dumps(tests))
    done = subprocess.run(
        ["promtool", "test", "rules", path], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_prometheus_accepts_rules_and_queries(tmp_path: Path) -> None:
    subprocess.run(["promtool", "check", "rules", ALERTS], check=True, timeout=60)
    queries = [text.replace("$__rate_interval", "5m") for text in EXPRESSIONS]
    rules = [{"record": f"panel:{n}", "expr": text} for n, text in enumerate(queries)]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    subprocess.run(["promtool", "check", "rules", path], check=True, timeout=60)


@promtool
def test_prometheus_finds_no_fault_with_the_metrics(http: httpx.Client, photo: bytes) -> None:
    http.post("/predict", content=photo)
    text = http.get("/metrics").text
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_fault_has_its_row_and_was_survived() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    for fault in FAULTS.values():
        assert f"`{fault.metric}" in page
        assert "499" in fault.line or fault.line in page
    report = json.loads((ROOT / "benchmarks" / "results" / "chaos.json").read_text())
    assert report["broken"] == []
    assert report["faults"].keys() | set(report["left_out"]) == FAULTS.keys()


THREATS = re.findall(r"`(tests/\w+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text())


def test_each_threat_has_its_test() -> None:
    assert len(THREATS) > 25
    for file, name in THREATS:
        assert f"def {name}(" in (ROOT / file).read_text(), f"{file}::{name}"
