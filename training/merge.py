"""Folds' predictions to one committed file per protocol, and their recipes beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from emotion.labels import EMOTIONS
from training.datasets import FaceDataset, is_of
from training.merged import MergedRecipe, note_recipes, of_folds, of_trial
from training.predictions import (
    PredictionRow,
    PredictionsError,
    check_complete,
    read_predictions,
    write_predictions,
)
from training.protocols import Protocol
from training.trials import kept_trials
from training.workspace import TrainedModel, Workspace

Found: TypeAlias = tuple[list[PredictionRow], dict[str, MergedRecipe]]


def merge(
    protocol: Protocol,
    workspace: Workspace,
    reports: Path,
    models: Sequence[str] = (),
    title: str = "",
) -> list[str]:
    """Put the models' predictions into the protocol's file in ``reports``; others' rows stay.

    Args:
        protocol: whose folds to collect.
        workspace: where ``crossval`` ran; has the prepared dataset in any case.
        reports: the store's reports folder.
        models: which; by default all that have a fold there.
        title: of a trial whose folds to take, kept in ``reports``, instead of the workspace's.

    Returns:
        The models that were merged.

    Raises:
        PredictionsError: a fold is missing, folds differ in recipe or data, an image is missing
            or there twice, or there is no such trial. The file is then as it was before.
    """
    dataset = FaceDataset.load(workspace.dataset)
    if title:
        source, found = reports, _from_trials(title, models, protocol, reports, dataset)
    else:
        source, found = workspace.root, _from_workspace(models, protocol, workspace, dataset)
    rows, recipes = found
    chosen = sorted({row.model for row in rows})
    parts = [protocol.split(dataset, fold).test for fold in range(protocol.folds)]
    images = {str(name) for part in parts for name in dataset.names[part]}
    check_complete(rows, images, str(source))
    _check_truth(rows, dataset, source)
    target = reports / protocol.file
    if target.is_file():
        others = [row for row in read_predictions(target) if row.model not in chosen]
        check_complete(others, images, str(target))
        rows += others
    reports.mkdir(parents=True, exist_ok=True)
    write_predictions(target, rows)
    note_recipes(reports, protocol, recipes)
    return chosen


def _from_trials(
    title: str, models: Sequence[str], protocol: Protocol, reports: Path, dataset: FaceDataset
) -> Found:
    trials = kept_trials(title, models, protocol, reports)
    for trial in trials:
        if trial.data_fingerprint and not is_of(trial.data_fingerprint, dataset):
            raise PredictionsError(f"'{title}' has folds of {trial.model} on other data.")
    rows = [row for trial in trials for row in read_predictions(reports / trial.predictions)]
    return rows, {trial.model: of_trial(trial) for trial in trials}


def _from_workspace(
    models: Sequence[str], protocol: Protocol, workspace: Workspace, dataset: FaceDataset
) -> Found:
    places = [workspace.fold(protocol.name, fold) for fold in range(protocol.folds)]
    found = {path.parent.name for place in places for path in place.root.glob("*/train.json")}
    chosen = sorted(models or found)
    if not chosen:
        raise PredictionsError(
            f"{workspace.root} has no finished fold of {protocol.name}: run `python -m training "
            "crossval` first."
        )
    rows, recipes = list[PredictionRow](), dict[str, MergedRecipe]()
    for model in chosen:
        recipes[model] = of_folds(_checked(model, protocol, places, dataset))
        rows += [row for place in places for row in read_predictions(place.predictions(model))]
    return rows, recipes


def _checked(
    model: str, protocol: Protocol, places: list[Workspace], dataset: FaceDataset
) -> list[TrainedModel]:
    """Return the logs of folds that are all there, and of one recipe."""
    missing = [
        str(fold) for fold, place in enumerate(places) if not place.predictions(model).is_file()
    ]
    if missing:
        raise PredictionsError(
            f"{model} is not complete: run `python -m training crossval --model {model} "
            f"--protocol {protocol.name} --folds-only {','.join(missing)}` first."
        )
    logs = [TrainedModel.model_validate_json(place.log(model).read_text()) for place in places]
    for fold, log in enumerate(logs):
        if _learnt(log) != _learnt(logs[0]) or not is_of(log.run.data_fingerprint, dataset):
            raise PredictionsError(
                f"{places[fold].folder(model)} was trained with another recipe than fold 0, or on "
                "other data: delete it and run that fold again."
            )
    return logs


def _learnt(log: TrainedModel) -> list[object]:
    """What folds of one recipe have in common, teachers included."""
    runs = [log.run, *log.teachers.values()]
    return [(run.recipe, run.data_fingerprint) for run in runs]


def _check_truth(rows: list[PredictionRow], dataset: FaceDataset, source: Path) -> None:
    labels = dict(zip(dataset.names.tolist(), dataset.labels.tolist(), strict=True))
    for row in rows:
        if EMOTIONS[labels[row.image]] != row.label:
            raise PredictionsError(
                f"{source}: {row.model}, fold {row.fold}, takes {row.image} for {row.label}."
            )
