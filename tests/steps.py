"""Runs steps of ``python -m training`` as a user would."""

import os
import subprocess
import sys

from tests.conftest import ROOT


def training(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "training", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def step(*arguments: object) -> str:
    """Run a step to its successful end and return what it printed."""
    process = training(*arguments)
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err[-3000:]
    return out


def failure(*arguments: object) -> str:
    """Run a step that fails as documented and return its message."""
    process = training(*arguments)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err[-3000:]
    assert "Traceback" not in err
    return err
