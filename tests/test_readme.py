"""The README is executed: its commands, its Python, its tables."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emotion.classifier import CHECKOUT_STORE
from emotion.records import ArtifactRecord
from emotion.store import ModelStore
from service.settings import Settings
from tests.conftest import ROOT, Server
from training.cli import main as training
from training.predictions import by_artifact, read_predictions
from training.protocols import PROTOCOLS
from training.workspace import REPORTS

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def commands(start: str) -> list[str]:
    lines = "".join(blocks("sh")).replace("\\\n", " ").splitlines()
    return [line.partition(" #")[0].strip() for line in lines if line.startswith(start)]


def shape(value: object) -> object:
    """Keys without values, the example's dots left out."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items() if key != "probabilities"}
    return [shape(item) for item in value] if isinstance(value, list) else None


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_answers_as_shown(server: Server) -> None:
    shown = json.loads(blocks("json")[0])
    answers = []
    for command in commands("curl"):
        there = command.replace("localhost:8000", server.url)
        done = subprocess.run(
            shlex.split(there), cwd=ROOT, capture_output=True, check=True, timeout=60
        )
        answers.append(json.loads(done.stdout))
    first = answers[0]
    assert shape(first) == shape(shown)
    for name in ("model", "precision", "version", "image", "detector"):
        assert first[name] == shown[name]
    assert first["faces"][0]["emotion"] == shown["faces"][0]["emotion"]
    assert all("detail" not in answer for answer in answers)


def test_python_runs() -> None:
    for block in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert done.stdout == "happy\n", done.stderr


@pytest.mark.parametrize("command", commands(".venv/bin/emotion"))
def test_commands_run(command: str) -> None:
    words = shlex.split(command)
    program = Path(sys.executable).with_name("emotion")
    subprocess.run([program, *words[1:]], cwd=ROOT, check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("command", commands(".venv/bin/python -m training"))
def test_training_commands_are_spelled_right(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(command)[3:]
    with pytest.raises(SystemExit) as done:
        training([*words, "--help"])
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in words if word.startswith("--"))


def test_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)
    assert named
    assert set(named) <= set(targets)


def artifact_row(record: ArtifactRecord) -> str:
    metrics = record.metrics
    return (
        f"| {record.model} | {record.precision} | {record.bytes / 1e6:.2f} MB "
        f"| {metrics.accuracy:.1%} ({metrics.accuracy_low:.1%} to {metrics.accuracy_high:.1%}) "
        f"| {record.latency.p50_ms:.2f} ms |"
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


def test_the_ten_folds_are_those_of_the_raw_answers() -> None:
    rows = read_predictions(CHECKOUT_STORE / REPORTS / PROTOCOLS["subject10"].file)
    for (model, precision), answers in by_artifact(rows):
        assert model == "mobilenet"
        share = sum(row.predicted == row.label for row in answers) / len(answers)
        assert len(answers) == 981
        assert f"{100 * share:.1f} % in {precision}" in README
