"""The training commands of README.md and docs/study.md, run in their order, with little to do.

``make test-long``: minutes, for TensorFlow builds a graph for each. Their steps and options are in
test_training.py, test_crossval.py and test_report.py as well, which always run.
"""

import io
import os
import shlex
import shutil
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

from emotion.classifier import CHECKOUT_STORE
from emotion.store import REPORTS
from tests.pages import commands
from tests.steps import failure, step
from tests.synthetic import write_ckplus, write_fer2013, write_ferplus
from training.cli import main
from training.datasets import FaceDataset
from training.workspace import Workspace

pytestmark = [
    pytest.mark.training,
    pytest.mark.skipif("LONG_TESTS" not in os.environ, reason="make test-long runs it"),
]

COMMANDS = [
    shlex.split(command.line)[3:]
    for command in commands()
    if command.line.startswith(".venv/bin/python -m training")
    and command.page.name in ("README.md", "study.md")
]
REFUSALS = {  # what so little training comes to
    "publish --model mobilenet": "mobilenet is not published",
    "merge --protocol subject10": "mobilenet is not complete",
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Places and numbers that replace a command's own."""
    root = tmp_path_factory.mktemp("documented")
    (root / "data").mkdir()
    shutil.copytree(CHECKOUT_STORE / REPORTS, root / "store" / REPORTS)
    write_ckplus(root / "data" / "ckplus.zip")
    write_fer2013(root / "data" / "fer2013.zip")
    write_ferplus(root / "data" / "ferplus")
    places = {"--data-dir": root / "data", "--run-dir": root / "run", "--store": root / "store"}
    recipe = {"--init": "random", "--input-size": 32, "--head-epochs": 0, "--epochs": 1}
    return places | recipe | {"--folds-only": 0}


def options_of(name: str) -> str:
    shown = io.StringIO()
    with redirect_stdout(shown), pytest.raises(SystemExit):
        main([name, "--help"])
    return shown.getvalue()


def test_there_are_all_steps_of_a_training() -> None:
    assert [words[0] for words in COMMANDS].count("train") >= 2
    assert {words[0] for words in COMMANDS} >= {
        *("prepare", "pretrain", "train", "quantize", "evaluate", "publish"),
        *("crossval", "merge", "report"),
    }


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_documented_command(words: list[str], small: dict[str, object]) -> None:
    known = options_of(words[0])
    changed = [part for name in small if name in known for part in (name, small[name])]
    if "--ferplus" in words:
        changed += ["--ferplus", Path(str(small["--data-dir"])) / "ferplus"]
    refusal = REFUSALS.get(" ".join(words))
    if refusal:
        assert refusal in failure(*words, *changed)
    else:
        step(*words, *changed)
    if words[0] == "prepare":  # a tenth of it is enough for what follows
        prepared = Workspace(Path(str(small["--run-dir"]))).dataset
        full = FaceDataset.load(prepared)
        assert len(full) == 981
        full.part(np.flatnonzero(full.subjects < "S014")[::4]).save(prepared)
