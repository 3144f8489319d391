"""Cross-validation on the command line: real folds of few images, every training option on."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from emotion.labels import EMOTIONS
from emotion.records import PRECISIONS, TrainingRun
from tests.clients import eventually
from tests.conftest import ROOT
from tests.steps import failure, step, training
from training.datasets import FaceDataset, load_ckplus
from training.merge import merge
from training.merged import read_recipes
from training.predictions import (
    PredictionRow,
    PredictionsError,
    read_predictions,
    write_predictions,
)
from training.protocols import PROTOCOLS
from training.sizes import InputSizes
from training.trials import keep_trial, read_trials
from training.workspace import TrainedModel, Workspace

pytestmark = pytest.mark.training

SUBJECT10 = PROTOCOLS["subject10"]


@pytest.fixture(scope="module")
def dataset(ckplus: Path) -> FaceDataset:
    """One frame of each sequence of fifteen subjects of the stand-in for CK+."""
    full = load_ckplus(ckplus)
    few = np.isin(full.subjects, [f"S{n:03}" for n in range(15)])
    return full.part(few & np.char.endswith(full.names, "10.png"))


@pytest.fixture
def workspace(dataset: FaceDataset, tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "run")
    dataset.save(workspace.dataset)
    return workspace


def test_a_killed_crossval_goes_on_in_its_fold(workspace: Workspace, dataset: FaceDataset) -> None:
    command = ("crossval", "--model", "mobilenet", "--run-dir", workspace.root)
    tiny = ("--init", "random", "--input-size", 32, "--head-epochs", 0, "--epochs", 3)
    extra = ("--compute", "bfloat16", "--brightness", 0.1, "--contrast", 0.1, "--cutout", 0.5)
    blends = ("--mixup", 0.2, "--weight-average", 0.9, "--refit", "all")
    options = (*command, *tiny, *extra, *blends, "--folds-only", "1")
    place = workspace.fold("subject10", 1)
    progress = place.folder("mobilenet") / "checkpoint" / "progress.json"

    killed = training(*options)
    eventually(lambda: progress.is_file() or killed.poll() is not None, 400)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    before = json.loads(progress.read_text())
    assert 1 <= before["epoch"] < 3

    printed = step(*options)
    assert "fold 1: float32" in printed
    log = TrainedModel.model_validate_json(place.log("mobilenet").read_text())
    assert log.history[: before["epoch"]] == before["history"]
    assert log.epochs == 2 * 3  # and again on those who validated
    assert [("val_loss" in epoch) for epoch in log.history] == 3 * [True] + 3 * [False]
    rows = read_predictions(place.predictions("mobilenet"))
    test = SUBJECT10.split(dataset, 1).test
    assert len(rows) == len(PRECISIONS) * len(test)
    assert {row.subject for row in rows} == set(dataset.subjects[test])
    assert {row.fold for row in rows} == {1}
    assert all(abs(sum(row.probabilities) - 1) < 0.02 for row in rows)
    left = {path.name for path in place.folder("mobilenet").iterdir()}
    assert left == {"predictions.csv", "train.json"}

    store = workspace.root / "store"
    kept = ("trial", "--model", "mobilenet", "--run-dir", workspace.root, "--store", store)
    for _ in range(2):  # the same fold: in the other's place
        assert "1 folds of mobilenet" in step(*kept, "--title", "everything at once")
    (trial,) = read_trials(store / "reports")
    assert (trial.recipe["epochs"], trial.folds[1].images) == (3, len(test))
    right = [row.label == row.predicted for row in rows if row.precision == "int8"]
    assert trial.folds[1].right["int8"] == sum(right)
    assert read_predictions(store / "reports" / trial.predictions) == rows
    assert "no finished fold of vgg16" in failure(*kept, "--model", "vgg16", "--title", "none")

    with pytest.raises(PredictionsError, match="subject10 --folds-only 0,2,3,4,5,6,7,8,9"):
        merge(SUBJECT10, workspace, workspace.root / "reports")
    assert "another recipe" in failure(*options, "--rate", 1e-4)


def test_two_folds_at_once_and_a_precision_later(workspace: Workspace) -> None:
    here = ("--model", "mobilenet", "--run-dir", workspace.root)
    options = ("crossval", *here, "--init", "random", "--input-size", 32)
    quick = (*options, "--head-epochs", 0, "--epochs", 1, "--folds-only")
    both = training(*quick, "2,3", "--precisions", "float32", "--jobs", 2, "--keep-weights")
    printed, errors = both.communicate()
    assert both.returncode == 0, errors
    assert {"fold 2: float32", "fold 3: float32"} <= set(re.findall(r"fold \d: float32", printed))
    assert not re.search(r"int8 \d", printed)
    assert "folds done" not in printed  # one knows nothing of the other
    assert "2 of 2 folds done" in step(*quick, "2,3", "--precisions", "float32")

    step(*quick, "2", "--precisions", "int8")
    answers = read_predictions(workspace.fold("subject10", 2).predictions("mobilenet"))
    assert {row.precision for row in answers} == {"float32", "int8"}

    store = workspace.root / "store"
    kept = step("trial", *here, "--store", store, "--title", "quickly")
    assert "2 folds of mobilenet" in kept
    (trial,) = read_trials(store / "reports")
    assert trial.has("float32")
    assert not trial.has("int8")  # fold 2 alone has it


@pytest.mark.parametrize(
    ("call", "processes"),
    [("side_by_side.side_by_side(nap, [Namespace()] * 2, 2)", 2), ("apart.apart(nap, None)", 1)],
)
def test_children_end_with_their_parent(call: str, processes: int) -> None:
    code = (
        "from argparse import Namespace; from tests.steps import nap; "
        f"from training import apart, side_by_side; {call}"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    more = 1  # which tracks their semaphores
    eventually(lambda: len(children.read_text().split()) == processes + more, 60)
    begun = [Path("/proc", pid, "stat") for pid in children.read_text().split()]
    names = [stat.with_name("cmdline") for stat in begun]
    eventually(lambda: sum("spawn_main" in name.read_text() for name in names) == processes)
    time.sleep(2)  # until they have begun
    parent.kill()
    parent.wait()
    eventually(lambda: not any(s.exists() and " Z " not in s.read_text() for s in begun), 20)


def finish(model: str, workspace: Workspace, dataset: FaceDataset, beside: str = "") -> None:
    """Leave what ten finished folds leave: always the truth, with certainty."""
    log = TrainedModel(
        run=TrainingRun(
            git_commit="abc",
            seed=7,
            data_fingerprint=dataset.fingerprint + beside,
            recipe={"model": model, "input_size": 48},
        ),
        temperature=1,
        epochs=1,
        best_epoch=1,
        seconds=1,
        machine="one",
        packages={},
        history=[],
    )
    for fold in range(SUBJECT10.folds):
        place = workspace.fold("subject10", fold)
        place.folder(model).mkdir(parents=True)
        place.log(model).write_text(log.model_dump_json())
        rows = [
            PredictionRow(
                image=str(dataset.names[image]),
                subject=str(dataset.subjects[image]),
                sequence=str(dataset.sequences[image]),
                fold=fold,
                model=model,
                precision=precision,
                label=EMOTIONS[dataset.labels[image]],
                probabilities=tuple(np.eye(7)[dataset.labels[image]].tolist()),
            )
            for image in SUBJECT10.split(dataset, fold).test
            for precision in PRECISIONS
        ]
        write_predictions(place.predictions(model), rows)


def test_merging_keeps_the_other_models(
    workspace: Workspace, dataset: FaceDataset, tmp_path: Path
) -> None:
    merged = tmp_path / "reports" / SUBJECT10.file
    for model in ("mobilenet", "vgg16"):
        finish(model, workspace, dataset, beside="" if model == "mobilenet" else "+fer2013")
        assert merge(SUBJECT10, workspace, merged.parent, [model]) == [model]
    rows = read_predictions(merged)
    assert len(rows) == 2 * len(PRECISIONS) * len(dataset)
    content = merged.read_bytes()
    recipes = read_recipes(merged.parent, SUBJECT10)
    assert [recipe.recipe["model"] for recipe in recipes.values()] == ["mobilenet", "vgg16"]
    assert merge(SUBJECT10, workspace, merged.parent) == ["mobilenet", "vgg16"]
    assert merged.read_bytes() == content
    assert read_recipes(merged.parent, SUBJECT10) == recipes
    log = TrainedModel.model_validate_json(
        workspace.fold("subject10", 0).log("mobilenet").read_text()
    )
    assert recipes["mobilenet"].is_of(log)
    assert not recipes["vgg16"].is_of(log)


def test_folds_run_on_several_days_are_kept_and_merged(
    workspace: Workspace, dataset: FaceDataset, tmp_path: Path
) -> None:
    finish("vgg16", workspace, dataset)
    reports = tmp_path / "reports"
    elsewhere = Workspace(tmp_path / "elsewhere")
    for fold in range(4, SUBJECT10.folds):
        place = workspace.fold("subject10", fold).root
        shutil.move(place, elsewhere.fold("subject10", fold).root)
    log = elsewhere.fold("subject10", 9).log("vgg16")
    log.write_text(log.read_text().replace('"machine":"one"', '"machine":"another"'))

    keep_trial("as shipped", "vgg16", SUBJECT10, workspace, reports)
    with pytest.raises(PredictionsError, match=f"vgg16 float32 lacks .* of the {len(dataset)}"):
        merge(SUBJECT10, workspace, reports, title="as shipped")
    trial = keep_trial("as shipped", "vgg16", SUBJECT10, elsewhere, reports)
    assert [trial] == read_trials(reports)
    assert list(trial.folds) == list(range(SUBJECT10.folds))
    assert trial.machine == "one; another"

    assert merge(SUBJECT10, workspace, reports, title="as shipped") == ["vgg16"]
    assert read_recipes(reports, SUBJECT10)["vgg16"].recipe["input_size"] == 48
    rows = read_predictions(reports / SUBJECT10.file)
    assert len(rows) == len(PRECISIONS) * len(dataset)
    with pytest.raises(PredictionsError, match="no trial 'as shipped' of mobilenet"):
        merge(SUBJECT10, workspace, reports, ["mobilenet", "vgg16"], "as shipped")

    kept = (reports / trial.predictions).read_bytes()
    log = workspace.fold("subject10", 0).log("vgg16")
    before = log.read_text()
    for change in ('"recipe":{', '"recipe":{"rate":1,'), (dataset.fingerprint, "others"):
        log.write_text(before.replace(*change))
        with pytest.raises(PredictionsError, match="another recipe or other data: give another"):
            keep_trial("as shipped", "vgg16", SUBJECT10, workspace, reports)
    log.write_text(before)
    with pytest.raises(PredictionsError, match="'As shipped' is too like"):
        keep_trial("As shipped", "vgg16", SUBJECT10, workspace, reports)
    assert (reports / trial.predictions).read_bytes() == kept


def test_sizes_are_compared_where_nothing_else_differs(
    workspace: Workspace, dataset: FaceDataset, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    command = ("sizes", "--model", "mobilenet", "--store", store)
    assert "no two trials of mobilenet" in failure(*command)
    finish("mobilenet", workspace, dataset)
    log = workspace.fold("subject10", 0).log("mobilenet")
    for fold in range(1, SUBJECT10.folds):
        shutil.rmtree(workspace.fold("subject10", fold).root)
    kept = json.loads(log.read_text())
    for size, rate in ((32, 1e-3), (64, 1e-3), (48, 1e-4)):
        kept["run"]["recipe"] = {"model": "mobilenet", "input_size": size, "rate": rate}
        log.write_text(json.dumps(kept))
        keep_trial(f"input of {size}", "mobilenet", SUBJECT10, workspace, store / "reports")

    step(*command)
    path = store / "reports" / "input_sizes_mobilenet.json"
    found = InputSizes.model_validate_json(path.read_text())
    assert found.folds == [0]
    assert [s.size for s in found.sizes] == [32, 64]
    small, large = found.sizes
    assert small.accuracy == dict.fromkeys(PRECISIONS, 1)
    assert all(large.p50_ms[p] > small.p50_ms[p] for p in PRECISIONS)
    assert path.with_suffix(".png").stat().st_size > 10_000


def test_merging_refuses_what_is_not_complete(
    workspace: Workspace, dataset: FaceDataset, tmp_path: Path
) -> None:
    finish("mobilenet", workspace, dataset)
    reports = tmp_path / "reports"

    def refused(reason: str) -> None:
        with pytest.raises(PredictionsError, match=reason):
            merge(SUBJECT10, workspace, reports)
        assert not reports.exists()

    place = workspace.fold("subject10", 3)
    path = place.predictions("mobilenet")
    rows = read_predictions(path)
    write_predictions(path, rows[1:])
    refused(rf"mobilenet float32 lacks 1 of the {len(dataset)} images, {rows[0].image} first")
    write_predictions(path, [*rows, rows[-1]])
    refused(f"mobilenet int8 repeats 1 of the .*{rows[-1].image}")
    write_predictions(path, [row for row in rows if row.precision != "float16"])
    refused("mobilenet float16 lacks")
    path.write_text(path.read_text().replace("fear", "joy"))
    refused("predictions.csv must have the columns")
    write_predictions(path, rows)

    log = place.log("mobilenet")
    log.write_text(log.read_text().replace('"recipe":{', '"recipe":{"rate":1,'))
    refused("fold03/mobilenet was trained with another recipe")
    shutil.rmtree(place.root)
    refused("mobilenet is not complete: .* --folds-only 3")
    shutil.rmtree(workspace.root / "crossval")
    refused("no finished fold of subject10")


def test_the_random_split_leaks_and_has_the_studys_shares(ckplus: Path) -> None:
    full = load_ckplus(ckplus)
    split = PROTOCOLS["random"].split(full, 0)
    sizes = [len(split.train), len(split.validation), len(split.test)]
    assert sizes == [687, 147, 147]
    assert len(set(np.concatenate([split.train, split.validation, split.test]))) == 981
    assert set(full.sequences[split.train]) & set(full.sequences[split.test])
