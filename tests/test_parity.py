"""Training and serving build byte-identical tensors from the same image."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from emotion import EMOTIONS, Classifier
from emotion.interpreter import Interpreter
from training.datasets import FaceDataset, load_ckplus
from training.recipe import Recipe


def training_tensors(
    dataset: FaceDataset, size: int, monkeypatch: pytest.MonkeyPatch
) -> np.ndarray:
    """What a backbone is trained on, augmentation and shuffling apart."""
    from training import batches

    rows = np.arange(64)
    monkeypatch.setattr(batches, "augmented", lambda grey, *_: grey.astype(np.float32))
    monkeypatch.setattr(batches.Batches, "_order", lambda *_: rows[np.newaxis])
    recipe = Recipe(model="mobilenet", input_size=size, batch_size=64)
    pixels, *_ = next(batches.Batches(dataset, rows, recipe, len(EMOTIONS)).epoch(0))
    return pixels


def check(source: Path, classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier.registry.get("mobilenet", "int8")  # loaded and warmed before we listen
    served = []
    run = Interpreter.run
    monkeypatch.setattr(
        Interpreter, "run", lambda self, t, check=None: (served.append(t), run(self, t))[1]
    )
    dataset = load_ckplus(source)
    size = classifier.store.record("mobilenet", "int8").input_size
    trained = training_tensors(dataset, size, monkeypatch)
    with zipfile.ZipFile(source) as archive:
        for name in dataset.names[:64]:
            classifier.predict(archive.read(f"CK+48/{name}"), faces="whole")
    assert trained.dtype == np.float32
    assert np.array_equal(trained.astype(np.uint8), trained)
    assert np.concatenate(served).tobytes() == trained.astype(np.uint8).tobytes()


def test_on_pictures_named_like_ckplus(
    classifier: Classifier, ckplus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(ckplus, classifier, monkeypatch)


def test_on_ckplus(classifier: Classifier, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(data_dir / "ckplus.zip", classifier, monkeypatch)
