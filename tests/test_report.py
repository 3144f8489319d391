"""Tables and figures, recomputed from handmade predictions."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotion.classifier import CHECKOUT_STORE
from emotion.labels import EMOTIONS
from emotion.records import PRECISIONS, Precision
from emotion.store import REPORTS, ModelStore
from tests.conftest import ROOT
from tests.steps import failure
from training.card import EVIDENCE, card, read_folds
from training.merged import MergedRecipe
from training.predictions import PredictionRow, PredictionsError, write_predictions
from training.protocols import PROTOCOLS
from training.report import report
from training.scores import read_scores
from training.workspace import Evaluation, TrainedModel

SUBJECT10 = PROTOCOLS["subject10"]


def row(
    number: int, label: str, predicted: str, confidence: float, precision: Precision = "float32"
) -> PredictionRow:
    probabilities = np.full(7, (1 - confidence) / 6)
    probabilities[EMOTIONS.index(predicted)] = confidence
    return PredictionRow(
        image=f"{label}/S{number:03}_001_00000001.png",
        subject=f"S{number:03}",
        sequence=f"S{number:03}_001",
        fold=number % 10,
        model="mobilenet",
        precision=precision,
        label=label,
        probabilities=tuple(probabilities.round(5).tolist()),
    )


def handmade() -> list[PredictionRow]:
    """A hundred images, float32 right about 97; int8 differs on two and is right about 96."""
    labels = [EMOTIONS[n % 7] for n in range(100)]
    rows = []
    for n, label in enumerate(labels):
        other = EMOTIONS[(n + 1) % 7]
        exact = row(n, label, other if n in (0, 7, 14) else label, 0.9)
        answers = dict.fromkeys(PRECISIONS, exact.predicted)
        if n in (20, 21):  # wrong in int8 alone
            answers["int8"] = other
        if n == 0:  # right in int8 alone
            answers["int8"] = label
        rows += [row(n, label, answers[p], 0.9, p) for p in PRECISIONS]
    return rows


@pytest.fixture
def store(store: Path) -> Path:
    """The small store with handmade predictions."""
    shutil.rmtree(store / "reports")
    (store / "reports").mkdir()
    write_predictions(store / "reports" / SUBJECT10.file, handmade())
    return store


def test_known_values(store: Path) -> None:
    report(store)
    numbers = json.loads((store / "reports" / "report.json").read_text())
    assert list(numbers) == ["subject10", "averaged"]
    assert numbers["averaged"] == {"subject10": []}  # one backbone is not several
    exact, half, int8 = numbers["subject10"]
    assert [s["precision"] for s in (exact, half, int8)] == list(PRECISIONS)
    assert exact["accuracy"] == 0.97
    assert exact["accuracy_low"] == pytest.approx(0.9155, abs=1e-4)
    assert exact["accuracy_high"] == pytest.approx(0.9897, abs=1e-4)
    assert exact["recall"]["anger"] == pytest.approx(12 / 15, abs=1e-6)
    assert exact["recall"]["contempt"] == 1
    assert exact["calibration_error"] == pytest.approx(0.07, abs=1e-5)
    assert exact["confusion"][0][:2] == [12, 3]
    precision, recall = 15 / 18, 1.0  # of contempt, taken for anger's three
    f1 = [2 * 0.8 / 1.8, 2 * precision * recall / (precision + recall), 1, 1, 1, 1, 1]
    assert exact["macro_f1"] == pytest.approx(np.mean(f1), abs=1e-6)
    assert half["agreement_with_float32"] == 1
    assert int8["difference_to_float32"] == -0.01
    assert int8["agreement_with_float32"] == 0.97
    assert sorted(d["image"][-20:-17] for d in int8["disagreements"]) == ["000", "020", "021"]
    assert int8["study_accuracy"] == 0.574
    text = (store / "reports" / "report.md").read_text()
    assert "| mobilenet | float32 | 63.5% | 97.0% (91.5% to 99.0%)" in text
    assert "| mobilenet | int8 | -1.00 | -6.1 | 97.00% | 3 |" in text
    assert "| mobilenet | surprise/S020_001_00000001.png | surprise | surprise 90%" in text
    assert "| vgg16 | float32 |" not in text  # no predictions of it


def test_backbones_that_err_on_different_images_are_better_together(store: Path) -> None:
    second = [replace(r, model="vgg16") for r in handmade()]
    for index, r in enumerate(second):
        label, n = r.label, int(r.subject[1:])
        if n == 50:  # the first backbone is right, and surer
            second[index] = replace(row(n, label, "fear", 0.6, r.precision), model="vgg16")
        elif n in (0, 7):  # the first backbone is wrong, and less sure
            second[index] = replace(row(n, label, label, 0.95, r.precision), model="vgg16")
    write_predictions(store / "reports" / SUBJECT10.file, [*handmade(), *second])
    report(store)
    averaged = json.loads((store / "reports" / "report.json").read_text())["averaged"]
    exact, *_, int8 = averaged["subject10"]
    assert (exact["models"], exact["precision"]) == (["mobilenet", "vgg16"], "float32")
    assert exact["accuracy"] == 0.99  # 14 alone misleads both
    assert int8["accuracy"] == 0.97  # and 20 and 21 in int8
    text = (store / "reports" / "report.md").read_text()
    assert "| mobilenet + vgg16 | float32 | 99.0% (" in text


def test_what_is_committed_is_what_it_makes(tmp_path: Path) -> None:
    copy = tmp_path / "store"
    shutil.copytree(CHECKOUT_STORE, copy, ignore=shutil.ignore_patterns("*.tflite"))
    report(copy)
    pages = [*copy.rglob("*.md"), copy / "reports" / "report.json"]
    assert len(pages) > 6
    for page in pages:
        committed = CHECKOUT_STORE / page.relative_to(copy)
        assert page.read_text() == committed.read_text(), "run `python -m training report`"


def test_running_it_again_changes_nothing(store: Path) -> None:
    def run() -> dict[str, bytes]:
        report(store)
        return {path.name: path.read_bytes() for path in (store / "reports").iterdir()}

    first = run()
    assert {"confusion_subject10.png", "reliability_subject10.png", "tradeoff_subject10.png"} <= (
        first.keys()
    )
    assert sum(map(len, first.values())) < 500_000
    assert run() == first


def test_it_needs_neither_tensorflow_nor_a_run(store: Path) -> None:
    code = f"""
import sys
for name in ("tensorflow", "keras"):
    sys.modules[name] = None  # importing it would raise ImportError
from training.cli import main
sys.exit(main(["report", "--store", {str(store)!r}]))
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)


def test_incomplete_or_damaged_predictions_are_refused(store: Path) -> None:
    path = store / "reports" / SUBJECT10.file

    def refused(rows: list[PredictionRow], reason: str) -> None:
        write_predictions(path, rows)
        with pytest.raises(PredictionsError, match=reason):
            report(store)

    rows = handmade()
    refused(rows[:-1], "mobilenet int8 lacks 1 of the 100 images")
    refused([*rows, rows[0]], "mobilenet float32 repeats 1")
    refused([r for r in rows if r.precision != "float16"], "mobilenet float16 lacks 100")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(PredictionsError, match=r"crossval_predictions\.csv\.gz cannot be read"):
        report(store)
    path.unlink()
    message = failure("report", "--store", store)
    assert "run `python -m training merge`" in message


def test_an_answer_that_contradicts_its_probabilities_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    write_predictions(path, handmade())
    path.write_text(path.read_text().replace("float32,fear,fear", "float32,fear,happy"))
    with pytest.raises(PredictionsError, match=r"csv, line \d+: happy is not the most probable"):
        read_scores(path, SUBJECT10)


def test_the_card_shows_the_folds_beside_the_shipped_split(store: Path) -> None:
    records = list(ModelStore(store).records)[:3]
    run = records[0].training
    trained = TrainedModel(
        run=run.model_copy(update={"recipe": {"init": "x", "head_epochs": 1, "epochs": 2}}),
        temperature=1,
        epochs=3,
        best_epoch=2,
        seconds=60,
        machine="",
        packages={},
        history=[],
    )
    evaluation = Evaluation(
        metrics={}, latency={}, agreement_with_float32=dict.fromkeys(PRECISIONS, 1.0)
    )
    folds = read_folds("mobilenet", store)
    text = card("mobilenet", records, trained, evaluation, folds)
    assert "A recipe that was not noted, subject-independent" in text
    noted = MergedRecipe(
        recipe={"model": "mobilenet", "input_size": 96, "init": "x", "head_epochs": 1, "epochs": 2},
        data_fingerprint=run.data_fingerprint,
        git_commit="abc",
        machine="",
    )
    same = trained.model_copy(update={"run": run.model_copy(update={"recipe": noted.recipe})})
    for recipe, said in ((noted.recipe, "The same"), (noted.recipe | {"rate": 1}, "Another")):
        of = replace(folds, recipe=noted.model_copy(update={"recipe": recipe}))
        assert f"\n{said} recipe, subject" in card("mobilenet", records, same, evaluation, of)
    assert "subject-independent 10-fold (100 images" in text
    assert "| int8 | 96.0% (90.2% to 98.4%)" in text
    assert f"{records[0].metrics.accuracy:.1%}" in text
    assert not read_folds("vgg16", store).scores
    assert "10-fold" not in card("mobilenet", records, trained, evaluation)


def test_the_stores_cards_are_current() -> None:
    opened = ModelStore(CHECKOUT_STORE)
    for model in sorted({record.model for record in opened.records}):
        records = [record for record in opened.records if record.model == model]
        trained, evaluation = (CHECKOUT_STORE / REPORTS / f"{model}_{e}.json" for e in EVIDENCE)
        expected = card(
            model,
            records,
            TrainedModel.model_validate_json(trained.read_text()),
            Evaluation.model_validate_json(evaluation.read_text()),
            read_folds(model, CHECKOUT_STORE),
        )
        assert opened.card(model) == expected, "python -m training report"
