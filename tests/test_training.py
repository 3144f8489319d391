"""The command line, from faces to a store that serves: real steps, few images."""

import csv
import json
import re
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from emotion import EMOTIONS, Classifier
from emotion.agreement import wilson_interval
from emotion.records import PRECISIONS, Metrics
from emotion.store import ModelStore
from tests.clients import eventually
from tests.steps import failure, step, training
from tests.synthetic import write_fer2013, write_ferplus
from training.datasets import FaceDataset, load_ckplus
from training.evaluate import expected_calibration_error, metrics_of, probabilities_of
from training.predictions import read_predictions
from training.publish import GateError, check_gate, publish_model
from training.web import ckplus_of_fer2013, load_fer2013
from training.workspace import Evaluation, PretrainedBase, TrainedModel, Workspace

pytestmark = pytest.mark.training


# Of the whole network: TensorFlow builds a graph for each phase, and the head alone learns nothing
# of the backbone.
TINY = ("--init", "random", "--input-size", 32, "--head-epochs", 0, "--epochs", 1)


@pytest.mark.parametrize("model", ["resnet50", "vgg16"])
def test_another_backbone_trains(model: str, run_dir: Path) -> None:
    """What comes after the training knows graphs alone; these have no layer of their own."""
    step("train", "--model", model, "--run-dir", run_dir, *TINY)
    log = TrainedModel.model_validate_json((run_dir / model / "train.json").read_text())
    assert (log.run.recipe["model"], log.epochs) == (model, 1)


def test_another_backend_of_keras_trains(run_dir: Path) -> None:
    """JAX, as on an accelerator; TensorFlow converts in a process of its own."""
    arguments = ("--model", "vgg16", "--protocol", "random", "--run-dir", run_dir, *TINY)
    done = training("crossval", *arguments, KERAS_BACKEND="jax")
    _, err = done.communicate(timeout=300)
    assert done.returncode == 0, err[-3000:]
    place = Workspace(run_dir).fold("random", 0)
    log = TrainedModel.model_validate_json(place.log("vgg16").read_text())
    assert log.packages.keys() == {"jax", "keras", "numpy"}
    assert log.peak_memory_bytes is not None
    assert 1e8 < log.peak_memory_bytes < 16e9
    rows = read_predictions(place.predictions("vgg16"))
    exact, half = ({r.image: r for r in rows if r.precision == p} for p in PRECISIONS[:2])
    assert exact.keys() == half.keys()
    for image, row in exact.items():
        assert row.probabilities == pytest.approx(half[image].probabilities, abs=0.02)


def test_a_tiny_step_of_a_backbone_reaches_the_store(
    run_dir: Path, tmp_path: Path, photo: bytes
) -> None:
    model, head_epochs = "mobilenet", 1
    here = ("--model", model, "--run-dir", run_dir)
    step("train", *here, *TINY, "--head-epochs", head_epochs)
    step("quantize", *here)
    printed = step("evaluate", *here)
    assert all(f"{model} {precision}:" in printed for precision in PRECISIONS)
    workspace = Workspace(run_dir)
    log = TrainedModel.model_validate_json(workspace.log(model).read_text())
    assert log.run.recipe["init"] == "random"
    assert len(log.history) == log.epochs == head_epochs + 1
    with workspace.predictions(model).open() as file:
        rows = list(csv.DictReader(file))
    evaluation = Evaluation.model_validate_json(workspace.evaluation(model).read_text())
    for precision in PRECISIONS:
        mine = [row for row in rows if row["precision"] == precision]
        right = sum(row["label"] == row["predicted"] for row in mine)
        assert right / len(mine) == pytest.approx(evaluation.metrics[precision].accuracy)
    # One epoch from random weights passes no gate; the store's side is tested here.
    workspace.evaluation(model).write_text(
        evaluation.model_copy(update={"metrics": GOOD}).model_dump_json()
    )
    store = tmp_path / "store"
    step("publish", *here, "--store", store, "--precisions", "int8")
    assert [r.name for r in ModelStore(store).records] == [f"{model}/int8"]
    assert "the store holds int8 alone" in ModelStore(store).card(model)
    step("publish", *here, "--store", store, "--precisions", "float32", "float16")
    assert not re.search("10-fold|the store holds", ModelStore(store).card(model))
    assert {r.precision for r in ModelStore(store).records} == set(PRECISIONS)
    kept = (store / "reports" / f"{model}_train.json").read_text()
    assert TrainedModel.model_validate_json(kept) == log
    compared = Classifier(store).compare(photo).artifacts
    exact, half = (c.prediction.probabilities for c in compared[:2])
    assert np.abs(exact - half).max() < 0.02
    assert ModelStore(store).card(model).startswith(f"# {model}")
    again = log.model_copy(update={"run": log.run.model_copy(update={"seed": 8})})
    workspace.log(model).write_text(again.model_dump_json())
    with pytest.raises(GateError, match="another training"):
        publish_model(model, workspace, store, ("int8",))
    before = [record.latency for record in ModelStore(store).records]
    slow = {p: x.model_copy(update={"p50_ms": 999}) for p, x in evaluation.latency.items()}
    workspace.evaluation(model).write_text(
        evaluation.model_copy(update={"metrics": GOOD, "latency": slow}).model_dump_json()
    )
    publish_model(model, workspace, store)  # the same graphs: their latency is known
    assert [record.latency for record in ModelStore(store).records] == before
    damaged = store / ModelStore(store).records[0].file
    damaged.write_bytes(damaged.read_bytes()[:-1])
    publish_model(model, workspace, store)  # replaced: what is measured now counts
    assert ModelStore(store).records[0].latency.p50_ms == 999
    assert ModelStore(store).read(ModelStore(store).records[0])
    publish_model(model, workspace, tmp_path / "new")
    assert {r.latency.p50_ms for r in ModelStore(tmp_path / "new").records} == {999}


def test_a_killed_training_resumes(run_dir: Path) -> None:
    arguments = ("train", "--model", "mobilenet", "--run-dir", run_dir, "--init", "random")
    options = ("--input-size", 32, "--head-epochs", 1, "--epochs", 4, "--patience", 9)
    options += ("--activations", "int8")  # a layer of our own must survive the checkpoint
    progress = run_dir / "mobilenet" / "checkpoint" / "progress.json"
    killed = training(*arguments, *options)
    eventually(progress.is_file, 400)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    before = json.loads(progress.read_text())
    assert 1 <= before["epoch"] < 5
    step(*arguments, *options)
    log = json.loads((run_dir / "mobilenet" / "train.json").read_text())
    assert log["epochs"] == json.loads(progress.read_text())["epoch"] == 5
    assert log["history"][: before["epoch"]] == before["history"]
    assert "another recipe" in failure(*arguments, *options, "--rate", 1e-4)


def test_fer2013_before_and_beside_ckplus(
    run_dir: Path, tmp_path: Path, few_faces: FaceDataset
) -> None:
    source = write_fer2013(tmp_path / "fer2013.zip")
    here = ("--model", "mobilenet", "--run-dir", run_dir)
    printed = step("pretrain", *here, "--fer2013", source, *TINY).splitlines()
    weights = Path(printed[-1])
    log = PretrainedBase.model_validate_json((weights.parent / "pretrain_fer2013.json").read_text())
    assert len(log.history) == log.epochs == 1
    assert printed[0] == f"FER2013's private test: {log.private_test_accuracy:.1%}"
    beside = ("--rehearsal", 0.5, "--fer2013", source)
    assert "leave them out" in failure("pretrain", *here, *beside)
    step("train", *here, *TINY[2:], "--init", weights, *beside)
    run = json.loads((run_dir / "mobilenet" / "train.json").read_text())["run"]
    recipe = run["recipe"]
    ckplus, _, fer2013 = run["data_fingerprint"].partition("+")
    assert ckplus == few_faces.fingerprint
    assert len(fer2013) == len(ckplus)
    assert re.fullmatch(r"mobilenet_fer2013\.npz \(sha256 [0-9a-f]{12}\)", recipe["init"])


def test_ferplus_before_and_beside_ckplus(run_dir: Path, tmp_path: Path) -> None:
    from training.network import build_classifier

    here = ("--model", "mobilenet", "--run-dir", run_dir)
    voted = ("--ferplus", write_ferplus(tmp_path / "ferplus"))
    printed = step("pretrain", *here, *voted, *TINY, "--balance", 0.5).splitlines()
    weights = Path(printed[-1])
    log = PretrainedBase.model_validate_json((weights.parent / "pretrain_ferplus.json").read_text())
    assert weights.name == "mobilenet_ferplus.npz"
    with np.load(weights) as trained:
        contempt = trained["classes"].tolist().index("contempt")
        started = build_classifier("mobilenet", 32, str(weights), 0)
        kernel, _ = started.get_layer("logits").get_weights()
        assert np.array_equal(
            kernel[:, EMOTIONS.index("contempt")], trained["logits/kernel"][:, contempt]
        )
    assert printed[0] == f"FER+'s private test: {log.private_test_accuracy:.1%}"
    step("train", *here, *TINY[2:], "--init", weights, "--rehearsal", 0.5, *voted)
    run = json.loads((run_dir / "mobilenet" / "train.json").read_text())["run"]
    assert run["recipe"]["init"].startswith("mobilenet_ferplus.npz (sha256 ")
    assert "+" in run["data_fingerprint"]


def test_prepare_reads_the_given_dataset(ckplus: Path, tmp_path: Path) -> None:
    step("prepare", "--ckplus", ckplus, "--run-dir", tmp_path / "run")
    prepared = FaceDataset.load(tmp_path / "run" / "ckplus.npz")
    assert prepared.fingerprint == load_ckplus(ckplus).fingerprint


def test_errors_say_what_to_do(tmp_path: Path, run_dir: Path) -> None:
    here = ("--model", "mobilenet", "--run-dir")
    assert "no folder named anger" in failure("prepare", "--ckplus", tmp_path / "run")
    assert "run `python -m training prepare`" in failure("train", *here, tmp_path / "empty")
    assert "run `python -m training train`" in failure("quantize", *here, run_dir)
    missing = failure("train", *here, run_dir, "--init", tmp_path / "weights.h5")
    assert "weights.h5 does not exist" in missing
    (tmp_path / "wrong.weights.h5").write_bytes(b"no weights")
    wrong = failure("train", *here, run_dir, "--init", tmp_path / "wrong.weights.h5")
    assert "wrong.weights.h5 does not hold weights for mobilenet" in wrong
    for content in ("{", "{}", '{"weightsManifest": [{"paths": ["gone.bin"], "weights": []}]}'):
        graph = tmp_path / "graph.json"
        graph.write_text(content)
        wrong = failure("train", *here, run_dir, "--init", graph)
        assert "graph.json does not hold weights for" in wrong
    untaught = failure("train", *here, run_dir, "--init", "random", "--teacher", "vgg16")
    assert "run `python -m training train --model vgg16`, or `crossval --model vgg16" in untaught
    assert "rate" in failure("train", *here, run_dir, "--rate", -1)


def metrics(accuracy: float, **recall: float) -> Metrics:
    return Metrics(
        protocol="test",
        images=100,
        accuracy=accuracy,
        accuracy_low=0,
        accuracy_high=1,
        macro_f1=accuracy,
        recall=dict.fromkeys(EMOTIONS, 0.9) | recall,
        calibration_error=0,
    )


GOOD = {"float32": metrics(0.9), "float16": metrics(0.9), "int8": metrics(0.893)}
SIZES = {"float32": 100, "float16": 51, "int8": 28}


@pytest.mark.parametrize(
    ("worse", "sizes", "reason"),
    [
        ({"int8": metrics(0.88)}, {}, "int8 reaches 88.0%, float32 90.0%"),
        ({"int8": metrics(0.9, fear=0)}, {}, "int8 never recognises fear"),
        ({"float32": metrics(0.9, fear=0, happy=0)}, {}, "float32 never recognises fear, happy"),
        ({}, {"float16": 52}, "float16 has 0.52 of float32's size"),
        ({}, {"int8": 29}, "int8 has 0.29"),
    ],
)
def test_the_gate(worse: dict[str, Metrics], sizes: dict[str, int], reason: str) -> None:
    def evaluation(metrics: dict[str, Metrics]) -> Evaluation:
        return Evaluation(metrics=metrics, latency={}, agreement_with_float32={})

    check_gate("m", evaluation(GOOD), SIZES)
    with pytest.raises(GateError, match=reason):
        check_gate("m", evaluation(GOOD | worse), SIZES | sizes)


def test_metrics_against_known_values() -> None:
    assert wilson_interval(90, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    assert wilson_interval(0, 10)[0] == 0
    assert wilson_interval(10, 10) == pytest.approx((0.7225, 1), abs=1e-4)
    sure = np.tile(np.eye(7, dtype=np.float32)[0], (4, 1))
    labels = np.array([0, 0, 0, 1])
    assert expected_calibration_error(sure, labels) == pytest.approx(0.25)
    scored = metrics_of(sure, labels, "test")
    assert (scored.accuracy, scored.recall["anger"], scored.recall["contempt"]) == (0.75, 1, 0)


def test_temperature_changes_confidence_but_no_ranking() -> None:
    from training.calibrate import fit_temperature, fold_temperature
    from training.network import build_classifier

    model = build_classifier("mobilenet", 32, "random", 0.3)
    layer = model.get_layer("logits")
    kernel, _ = layer.get_weights()
    layer.set_weights([kernel, np.array([9, 0, -9, 4, 1, 0, 2])])
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3)).astype(np.float32)
    before = model.predict(pixels, verbose=0)
    labels = np.random.default_rng(1).integers(0, 7, 40)
    temperature = fit_temperature(before, labels)
    fold_temperature(model, temperature)
    after = model.predict(pixels, verbose=0)
    assert temperature > 1  # sure of random labels: overconfident
    assert np.array_equal(before.argmax(axis=1), after.argmax(axis=1))
    assert after.max(axis=1).mean() < before.max(axis=1).mean()


@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs:UserWarning")
def test_an_image_far_out_sets_no_range() -> None:
    import keras

    from training.quantize import convert

    pixels = np.random.default_rng(0).integers(0, 40, (30, 8, 8, 3), np.uint8)
    odd = np.full((1, 8, 8, 3), 255, np.uint8)
    seen = keras.Input((8, 8, 3))
    base = keras.Sequential([keras.layers.GlobalAveragePooling2D()], name="base")
    features = base(keras.layers.Rescaling(1.0, name="normalise")(seen))
    model = keras.Model(seen, keras.layers.ReLU()(features))
    content = convert(model, "int8", np.concatenate([pixels, odd]))
    saturated = float(probabilities_of(content, odd).max())
    assert saturated < 2 * pixels.mean(axis=(1, 2)).max()


def test_a_model_that_erred_nowhere_on_few_images_is_not_declared_certain() -> None:
    from training.calibrate import fit_temperature

    labels = np.arange(70) % 7
    hesitant = np.full((70, 7), 0.05, np.float32)
    hesitant[np.arange(70), labels] = 0.7
    logits = np.log(hesitant) / fit_temperature(hesitant, labels)
    confidence = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).max(axis=1)
    assert confidence == pytest.approx(71 / 72, abs=0.002)  # as if it had erred once in 72


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_weights_of_another_shape_or_damaged_are_named(tmp_path: Path) -> None:
    from training.network import WeightsError, build_classifier, save_classifier

    model = build_classifier("mobilenet", 32, "random", 0.3)
    base = model.get_layer("base")
    more = ("a", "b", "c", "d", "e", "f", "g", *EMOTIONS)  # than its last layer has
    save_classifier(model, more, tmp_path / "classes.npz")
    base.save_weights(tmp_path / "mobilenet.weights.h5")
    wrong = {variable.path: np.zeros(2, np.float32) for variable in base.weights}
    np.savez(tmp_path / "shape.npz", **wrong)
    np.savez(tmp_path / "names.npz", something=np.zeros(3))
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04 and no zip")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "half.weights.h5").write_bytes(
        (tmp_path / "mobilenet.weights.h5").read_bytes()[:5000]
    )
    build_classifier("mobilenet", 32, str(tmp_path / "mobilenet.weights.h5"), 0.3)
    arrays = ("shape.npz", "names.npz", "classes.npz", "damaged.npz", "empty.npz")
    for name in (*arrays, "half.weights.h5"):
        with pytest.raises(WeightsError, match=f"{name} does not hold weights for mobilenet"):
            build_classifier("mobilenet", 32, str(tmp_path / name), 0.3)


def test_fer2013_gets_the_labels_of_ckplus(tmp_path: Path) -> None:
    fer2013 = load_fer2013(write_fer2013(tmp_path / "fer2013.zip"), "train")
    ours = ckplus_of_fer2013(fer2013)
    theirs = Counter(name.split("/")[-2] for name in fer2013.names.tolist())
    found = Counter(
        (name.split("/")[-2], EMOTIONS[label])
        for name, label in zip(ours.names.tolist(), ours.labels, strict=True)
    )
    same = ("disgust", "fear", "happy", "surprise")
    assert found == {
        **{(name, name): theirs[name] for name in same},
        ("angry", "anger"): theirs["angry"],
        ("sad", "sadness"): theirs["sad"],
    }
