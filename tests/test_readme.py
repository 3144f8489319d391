"""The README's tables are true; its commands run in test_docs.py, with those of all pages."""

import json
import re
import shlex
import shutil
import subprocess

import pytest

from emotion.classifier import CHECKOUT_STORE
from emotion.records import ArtifactRecord
from emotion.store import REPORTS, ModelStore
from service.queries import ArtifactQuery
from service.settings import Settings
from tests.conftest import ROOT, Server
from tests.pages import blocks, commands
from tests.tradeoff import best

README = (ROOT / "README.md").read_text()


def shape(value: object) -> object:
    """Keys without values, the example's dots left out."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items() if key != "probabilities"}
    return [shape(item) for item in value] if isinstance(value, list) else None


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_first_curl_answers_as_shown(server: Server) -> None:
    shown = json.loads(next(b.text for b in blocks("json") if b.page.name == "README.md"))
    command = next(
        c.line for c in commands() if c.page.name == "README.md" and c.line.startswith("curl")
    )
    words = shlex.split(command.replace("localhost:8000", server.url))
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=True, timeout=60)
    first = json.loads(done.stdout)
    assert shape(first) == shape(shown)
    for name in ("model", "precision", "version", "image", "detector"):
        assert first[name] == shown[name]
    assert first["faces"][0]["emotion"] == shown["faces"][0]["emotion"]


def test_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)
    assert named
    assert set(named) <= set(targets)


def artifact_row(record: ArtifactRecord) -> str:
    metrics = record.metrics
    weakest = min(metrics.recall, key=lambda name: metrics.recall[name])
    return (
        f"| {record.model} | {record.precision} | {record.bytes / 1e6:.2f} MB "
        f"| {metrics.accuracy:.1%} ({metrics.accuracy_low:.1%} to {metrics.accuracy_high:.1%}) "
        f"| {weakest}, {metrics.recall[weakest]:.0%} | {record.latency.p50_ms:.2f} ms |"
    )


def test_the_artifacts_are_those_of_the_store() -> None:
    for record in ModelStore(CHECKOUT_STORE).records:
        assert artifact_row(record) in README
        assert record.latency.machine in README


def setting_row(name: str) -> str:
    field = Settings.model_fields[name]
    shown = "none" if field.default is None else f"`{field.default}`"
    if field.default_factory is not None:
        shown = "the cores it may use"
    elif name == "store":
        shown = "`model_store/`"
    elif isinstance(field.default, tuple):
        shown = f"`{','.join(field.default)}`"
    return f"| `EMOTION_{name.upper()}` | {shown} | {field.description} |"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_explained(name: str) -> None:
    assert setting_row(name) in README


def bench_row(figure: dict[str, float | str | None]) -> str:
    most, least = figure["at_most"], figure["at_least"]
    bound = f"at most {most:g}" if most is not None else f"at least {least:g}"
    return f"| {figure['what']} | {figure['value']:.3f} | {bound} |"


def test_the_speed_is_what_the_benchmark_wrote() -> None:
    report = json.loads((ROOT / "benchmarks" / "results" / "bench.json").read_text())
    bounded = [f for f in report["figures"] if (f["at_most"], f["at_least"]) != (None, None)]
    assert len(bounded) >= 8
    for figure in bounded:
        assert bench_row(figure) in README
    assert f"{report['machine']}, {report['date']}" in README


def test_the_ten_folds_are_those_of_the_report() -> None:
    """`make docs` makes the sentence from the raw answers, for whatever models there are."""
    report = json.loads((CHECKOUT_STORE / REPORTS / "report.json").read_text())
    told = " ".join(README.split())
    models = {score["model"] for score in report["subject10"]}
    for model in models:
        scores = [score for score in report["subject10"] if score["model"] == model]
        shares = [f"{100 * s['accuracy']:.1f} % in {s['precision']}" for s in scores]
        assert f"{model} {', '.join(shares)}" in told
        assert {score["images"] for score in scores} == {981}


def test_the_recommended_artifact_is_the_best_trade_off() -> None:
    (recommended,) = re.findall(r"\*\*Take (\S+)\*\*, the default", README)
    query = ArtifactQuery()
    assert recommended == f"{query.model}/{query.precision}"
    assert f"**{recommended}**" in (ROOT / "docs" / "deploy.md").read_text()
    records = ModelStore(CHECKOUT_STORE).records
    assert recommended == best(records)
    assert recommended == min(records, key=lambda r: r.bytes).name
    assert recommended == min(records, key=lambda r: r.latency.p50_ms).name
    # "bigger and slower, and none can be told to be more accurate", each beside its twin
    for other in (r for r in records if r.model != query.model):
        twin = next(r for r in records if (r.model, r.precision) == (query.model, other.precision))
        assert other.bytes > twin.bytes
        assert other.latency.p50_ms > twin.latency.p50_ms
        assert other.metrics.accuracy <= twin.metrics.accuracy_high


def test_the_detector_is_as_fast_and_true_as_it_says() -> None:
    fastest = ModelStore(CHECKOUT_STORE).detectors[0]
    share = fastest.latency.p50_ms / fastest.caffe_p50_ms
    agreement = fastest.agreement
    said = (
        f"in {fastest.precision} it takes {share:.0%} of the time of OpenCV's own dnn module and "
        f"loses {agreement.lost} of {agreement.faces} faces"
    )
    assert said in " ".join(README.split())
