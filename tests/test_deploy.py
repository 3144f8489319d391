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
from tests.pages import PAGES, blocks

ALERTS = ROOT / "deploy" / "alerts.yml"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
UP = 'up{job="emotion",instance="i"}'
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


def test_every_metric_that_a_page_names_is_served(http: httpx.Client, photo: bytes) -> None:
    named = {
        name for page in PAGES for name in re.findall(r"\bemotion_[a-z_]+\b", page.read_text())
    }
    assert {"emotion_shadow_faces_total", "emotion_problems_total"} <= named
    assert {SUFFIXES.sub("", name) for name in named} <= served(http, photo)


@promtool
def test_the_agreement_of_all_pods_is_that_of_their_faces(tmp_path: Path) -> None:
    """The query of docs/store.md."""
    (query,) = (block.text for block in blocks("promql"))
    pair = 'primary="m/float32@1",shadow="m/int8@2"'

    def series(pod: str, emotion: str, shadow: str, values: str) -> dict[str, str]:
        labels = f'{pair},emotion="{emotion}",shadow_emotion="{shadow}",instance="{pod}"'
        return {"series": f"emotion_shadow_faces_total{{{labels}}}", "values": values}

    ended = "70 _x50"
    counted = [
        series("a", "happy", "happy", "10+1x50"),  # 60
        series("a", "happy", "fear", "_ _ 9x48"),  # which begins with its first faces
        series("b", "fear", "fear", "30x50"),
        series("b", "fear", "happy", "1x50"),
        series("c", "happy", "happy", ended),
    ]
    labels = '{primary="m/float32@1", shadow="m/int8@2"}'
    expected = [{"labels": labels, "value": (60 + 30 + 70) / (60 + 30 + 70 + 9 + 1)}]
    test = {
        "interval": "1m",
        "input_series": counted,
        "promql_expr_test": [{"expr": query, "eval_time": "50m", "exp_samples": expected}],
    }
    path = tmp_path / "tests.yml"
    path.write_text(json.dumps({"rule_files": [], "tests": [test]}))
    done = subprocess.run(
        ["promtool", "test", "rules", path], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


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
    check_firing({"EmotionOverloaded", "EmotionSlow"}, "25m", series, tmp_path)


@promtool
@pytest.mark.parametrize(
    ("counter", "alert"),
    [
        ('emotion_problems_total{problem="internal-error",instance="i"}', "EmotionInternalErrors"),
        ('emotion_store_reloads_total{outcome="refused",instance="i"}', "EmotionStoreRefused"),
    ],
)
def test_the_first_event_after_a_start_fires(counter: str, alert: str, tmp_path: Path) -> None:
    answered = 'emotion_requests_total{method="POST",status="500",instance="i",route="/predict"}'
    series = [
        {"series": counter, "values": "0 0 0 1x7"},
        {"series": answered, "values": "_ _ _ 1x7"},  # not there before the first
    ]
    check_firing(set(), "2m", series, tmp_path)
    check_firing({alert}, "4m", series, tmp_path)


@promtool
@pytest.mark.parametrize("up", ["0x10", "1 stale", "_x10"])
def test_a_target_that_is_down_or_gone_fires(up: str, tmp_path: Path) -> None:
    check_firing({"EmotionServiceDown"}, "5m", [{"series": UP, "values": up}], tmp_path)


def check_firing(alerts: set[str], at: str, series: list[dict[str, str]], tmp_path: Path) -> None:
    """Check which alerts fire then; the service is up unless the series say otherwise."""
    if UP not in [given["series"] for given in series]:
        series = [{"series": UP, "values": "1x30"}, *series]
    test = {
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [
            {
                "expr": "count by (alertname) (ALERTS{alertstate='firing'})",
                "eval_time": at,
                "exp_samples": [
                    {"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(alerts)
                ],
            }
        ],
    }
    path = tmp_path / "tests.yml"
    path.write_text(json.dumps({"rule_files": [str(ALERTS)], "tests": [test]}))
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


THREATS = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text())


def test_each_threat_has_its_test() -> None:
    assert len(THREATS) > 25
    for file, name in THREATS:
        assert f"def {name}(" in (ROOT / file).read_text(), f"{file}::{name}"
