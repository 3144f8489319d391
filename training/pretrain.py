"""A stage between ImageNet and CK+: FER2013's 28,709 faces, seven classes, no laboratory."""

from pathlib import Path
from typing import Any

import numpy as np

from emotion.preprocess import face_tensors
from training.datasets import FaceDataset, load_fer2013
from training.fit import fit
from training.recipe import Recipe
from training.stages import course_of, run_of
from training.workspace import PretrainedBase, Workspace


def pretrain(recipe: Recipe, fer2013: Path, workspace: Workspace) -> PretrainedBase:
    """Fit a backbone on FER2013; leaves the weights of its base, for ``train --init``, and a log.

    The public test set chooses the epoch, the private one is measured at the end.

    Args:
        recipe: its ``init`` is where this stage itself starts from.
        fer2013: Kaggle's zip or folder.
        workspace: receives weights and log.

    Raises:
        DatasetError: FER2013 is not there, or damaged.
        WeightsError, OtherRunError, DivergedError: see fit.
    """
    dataset, learn = _both(fer2013)
    run = run_of(recipe, dataset)
    public, private = (
        np.flatnonzero(np.char.find(dataset.names, part) >= 0)
        for part in ("PublicTest", "PrivateTest")
    )
    folder = workspace.folder(recipe.model) / "fer2013"
    model, progress = fit(recipe, dataset, np.arange(learn), public, folder, classes=7)
    tensors = face_tensors(dataset.faces[private], recipe.input_size)
    answers = model.predict(tensors, verbose=0).argmax(axis=1)
    accuracy = float((answers == dataset.labels[private]).mean())
    base = workspace.pretrained(recipe.model)
    model.get_layer("base").save_weights(base)
    log = PretrainedBase(private_test_accuracy=accuracy, **course_of(run, progress))
    workspace.pretrained_log(recipe.model).write_text(log.model_dump_json(indent=1))
    return log


def _both(fer2013: Path) -> tuple[FaceDataset, int]:
    """Read training and test images into one dataset; also how many are for training."""
    learn, held_out = load_fer2013(fer2013, "train"), load_fer2013(fer2013, "test")
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(learn, name), getattr(held_out, name)])
        for name in ("faces", "labels", "names", "subjects", "sequences")
    }
    both = learn.fingerprint + held_out.fingerprint
    return FaceDataset(**arrays, fingerprint=both, title=learn.title), len(learn)
