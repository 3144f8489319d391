"""The three stages from a split to predictions: of the shipped model and of every fold alike."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emotion.arrays import Probabilities
from emotion.labels import EMOTIONS
from emotion.machine import machine
from emotion.preprocess import face_tensors
from emotion.records import PRECISIONS, Precision, TrainingRun
from training.calibrate import fit_temperature, fold_temperature
from training.checkpoint import Progress
from training.datasets import FaceDataset, fingerprint_of
from training.evaluate import probabilities_of
from training.files import replace_file
from training.fit import fit
from training.network import recorded
from training.predictions import PredictionRow
from training.provenance import accelerators, git_commit, peak_memory
from training.quantize import CALIBRATION_IMAGES, quantize
from training.recipe import Recipe
from training.splits import DataSplit, Indices
from training.teacher import load_teacher, teacher_runs
from training.workspace import TrainedModel, Workspace


def train_on(
    recipe: Recipe,
    dataset: FaceDataset,
    split: DataSplit,
    workspace: Workspace,
    beside: FaceDataset | None = None,
    teachers: Workspace | None = None,
) -> TrainedModel:
    """Fit and calibrate without the test part; leaves weights, then the log.

    ``beside`` is what a recipe with ``rehearsal`` fills its batches up with; ``teachers`` has the
    models that a recipe names as its teachers, trained on the same split (default: ``workspace``).
    """
    folder = workspace.folder(recipe.model)
    run = run_of(recipe, dataset, beside)
    taught_by = teachers or workspace
    teacher = load_teacher(recipe, taught_by, dataset)

    def learn(
        train: Indices, validation: Indices, checkpoint: Path
    ) -> tuple[keras.Model, Progress]:
        return fit(recipe, run, dataset, train, validation, checkpoint, EMOTIONS, beside, teacher)

    model, progress = learn(split.train, split.validation, folder / "checkpoint")
    held_out = face_tensors(dataset.faces[split.validation], recipe.input_size)
    answers = model.predict(held_out.astype(np.float32), verbose=0)
    temperature = fit_temperature(answers, dataset.labels[split.validation])
    if recipe.refit == "all":
        everyone = np.sort(np.concatenate([split.train, split.validation]))
        model, again = learn(everyone, everyone[:0], folder / "checkpoint" / "refit")
        progress = progress.and_then(again)
    fold_temperature(model, temperature)
    log = TrainedModel(
        temperature=temperature,
        teachers=teacher_runs(recipe, taught_by),
        **course_of(run, progress),
    )
    _leave(model, log, workspace)
    return log


def _leave(model: keras.Model, log: TrainedModel, workspace: Workspace) -> None:
    """Write weights and log, which no kill may leave beside those of another training."""
    name = log.run.recipe["model"]
    weights = workspace.weights(name)
    new = weights.with_name(f"new.{weights.name}")
    model.save_weights(new)
    workspace.discard_artifacts(name)
    workspace.log(name).unlink(missing_ok=True)
    new.replace(weights)
    replace_file(workspace.log(name), log.model_dump_json(indent=1).encode())


def run_of(recipe: Recipe, dataset: FaceDataset, beside: FaceDataset | None = None) -> TrainingRun:
    """Describe a run before it starts."""
    return TrainingRun(
        git_commit=git_commit(),
        seed=recipe.seed,
        data_fingerprint=fingerprint_of(dataset, beside),
        recipe=recorded(recipe).model_dump(),
    )


def course_of(run: TrainingRun, progress: Progress) -> dict[str, Any]:
    """Return the fields of a RunLog."""
    return {
        "run": run.model_copy(update={"git_commit": progress.git_commit}),
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "seconds": progress.seconds,
        "peak_memory_bytes": peak_memory(),
        "machine": ", ".join((machine(), *accelerators())),
        "packages": {name: version(name) for name in (keras.backend.backend(), "keras", "numpy")},
        "history": progress.history,
    }


def quantize_on(
    recipe: Recipe,
    dataset: FaceDataset,
    train: Indices,
    workspace: Workspace,
    precisions: Sequence[Precision] = PRECISIONS,
) -> None:
    """Convert the trained weights, calibrated on images of ``train``; leaves the artifacts."""
    chosen = np.random.default_rng(recipe.seed).permutation(train)[:CALIBRATION_IMAGES]
    calibration = face_tensors(dataset.faces[chosen], recipe.input_size)
    folder = workspace.folder(recipe.model)
    workspace.discard_artifacts(recipe.model)
    quantize(recipe, workspace.weights(recipe.model), calibration, folder, precisions)


def predict_on(
    recipe: Recipe,
    dataset: FaceDataset,
    test: Indices,
    workspace: Workspace,
    precisions: Sequence[Precision] = PRECISIONS,
) -> dict[Precision, Probabilities]:
    """Return each artifact's answers [n, 7] for the images of ``test``."""
    tensors = face_tensors(dataset.faces[test], recipe.input_size)
    artifacts = {p: workspace.artifact(recipe.model, p) for p in precisions}
    return {
        precision: probabilities_of(workspace.read(artifact, "quantize"), tensors)
        for precision, artifact in artifacts.items()
    }


def prediction_rows(
    dataset: FaceDataset,
    test: Indices,
    answers: dict[Precision, Probabilities],
    *,
    model: str,
    fold: int,
) -> list[PredictionRow]:
    """Put answers beside the truth about each image."""
    return [
        PredictionRow(
            image=str(dataset.names[image]),
            subject=str(dataset.subjects[image]),
            sequence=str(dataset.sequences[image]),
            fold=fold,
            model=model,
            precision=precision,
            label=EMOTIONS[dataset.labels[image]],
            probabilities=tuple(round(p, 5) for p in row.tolist()),
        )
        for precision, rows in answers.items()
        for image, row in zip(test, rows, strict=True)
    ]
