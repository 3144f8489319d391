"""Runs steps of ``python -m training`` as a user would."""

import contextlib
import io
import os
import subprocess
import sys
import time
import warnings
from argparse import Namespace

from tests.conftest import ROOT
from training.cli import main


def nap(options: Namespace) -> None:
    """Take a minute, as a step that does something would."""
    time.sleep(60)


def training(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Start a step in a process of its own, which may be killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "training", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def step(*arguments: object) -> str:
    """Run a step to its successful end and return what it printed."""
    status, out, err = _here(*arguments)
    assert status == 0, err[-3000:]
    return out


def failure(*arguments: object) -> str:
    """Run a step that fails as documented and return its message."""
    status, _, err = _here(*arguments)
    assert status == 1, err[-3000:]
    return err


def _here(*arguments: object) -> tuple[int, str, str]:
    """Run a step in this process: TensorFlow, loaded once, takes longer than most steps do."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")  # of the libraries, which a user sees as well
        status = main([str(argument) for argument in arguments])
    return status, out.getvalue(), err.getvalue()
