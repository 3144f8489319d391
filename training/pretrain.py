"""A stage between ImageNet and CK+: 28,709 faces from the web, as FER2013 or FER+ names them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotion.preprocess import face_tensors
from training.datasets import FaceDataset
from training.files import replace_file
from training.fit import fit
from training.network import save_classifier
from training.recipe import Recipe
from training.stages import course_of, run_of
from training.web import (
    FER2013,
    FER2013_NAMES,
    FERPLUS,
    FERPLUS_CLASSES,
    load_fer2013,
    load_ferplus,
)
from training.workspace import PretrainedBase, Workspace


@dataclass(frozen=True)
class WebFaces:
    """Faces to learn from, to choose the epoch by, and to measure at the end."""

    name: str
    classes: tuple[str, ...]
    learn: FaceDataset
    choose: FaceDataset
    measure: FaceDataset


def fer2013(source: Path) -> WebFaces:
    """Read Kaggle's zip or folder; its public test chooses. Raises DatasetError."""
    test = load_fer2013(source, "test")
    private = np.char.find(test.names, "PrivateTest") >= 0
    learn = load_fer2013(source, "train")
    return WebFaces(FER2013, FER2013_NAMES, learn, test.part(~private), test.part(private))


def ferplus(source: Path) -> WebFaces:
    """Read FER+'s three parts; raises DatasetError."""
    learn, choose, measure = (load_ferplus(source, part) for part in ("Train", "Valid", "Test"))
    return WebFaces(FERPLUS, FERPLUS_CLASSES, learn, choose, measure)


def pretrain(recipe: Recipe, faces: WebFaces, workspace: Workspace) -> PretrainedBase:
    """Fit a backbone; leaves its weights, for ``train --init``, and a log.

    Args:
        recipe: its ``init`` is where this stage itself starts from.
        faces: of the web.
        workspace: receives weights and log.

    Raises:
        WeightsError, OtherRunError, DivergedError: see fit.
    """
    both = faces.learn.and_then(faces.choose)
    learn, choose = np.split(np.arange(len(both)), [len(faces.learn)])
    run = run_of(recipe, both)
    folder = workspace.folder(recipe.model) / faces.name
    model, progress = fit(recipe, run, both, learn, choose, folder, faces.classes)
    tensors = face_tensors(faces.measure.faces, recipe.input_size)
    answers = model.predict(tensors, verbose=0).argmax(axis=1)
    accuracy = float((answers == faces.measure.labels).mean())
    save_classifier(model, faces.classes, workspace.pretrained(recipe.model, faces.name))
    log = PretrainedBase(private_test_accuracy=accuracy, **course_of(run, progress))
    content = log.model_dump_json(indent=1).encode()
    replace_file(workspace.pretrained_log(recipe.model, faces.name), content)
    return log
