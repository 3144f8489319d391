"""What the pages' `make` commands measure is measured, with little to do: `make test-long`."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.pages import commands

pytestmark = pytest.mark.skipif("LONG_TESTS" not in os.environ, reason="make test-long runs it")

SHORT = {
    "batching": ["--rounds=2", "--seconds=0.3"],
    "bench": ["--rounds=2"],
    "chaos": ["--minutes=0.5"],
    "contract": ["--examples=3"],
    "curves": ["--seconds=0.3"],
    "fuzz": ["--images=50"],
    "lesser_cpus": ["--rounds=1"],
    "memory": ["--rounds=2"],
    "offered": ["--seconds=1"],
    "overload": ["--seconds=5"],
    # the others' environments take minutes to set up
    "peers": ["--rounds=1", "--seconds=2", "--only", "emotion service", "FastAPI with a lock"],
    "predict": ["--rounds=2", "--requests=5", "--seconds=1"],
    "soak": ["--seconds=20"],
}


def recipe(target: str) -> str:
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_none_is_left_out() -> None:
    targets = {c.line.split()[1] for c in commands() if c.line.startswith("make ")}
    named = {
        module
        for target in targets
        for module in re.findall(r"-m benchmarks\.(\w+)", recipe(target))
    }
    assert len(named) > 5
    assert named <= SHORT.keys()


@pytest.mark.parametrize("module", SHORT)
def test_it_measures(module: str, tmp_path: Path) -> None:
    is_intel = "GenuineIntel" in Path("/proc/cpuinfo").read_text()
    if module == "lesser_cpus" and not (is_intel and shutil.which("gcc")):
        pytest.skip("it needs an Intel CPU and gcc")
    out = tmp_path / "result.json"
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *SHORT[module], "--out", out],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1), done.stderr  # 1: a promise that so little cannot keep
    assert json.loads(out.read_text())
