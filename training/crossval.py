"""Every image predicted by artifacts that never saw its subject, fold by fold.

Each fold keeps its files in a workspace of its own, so that a killed run goes on from its
last checkpoint and leaves finished folds alone.
"""

import gc
import shutil
from collections.abc import Sequence
from datetime import timedelta

import keras
from tqdm import tqdm

from emotion.records import PRECISIONS, Precision
from training.checkpoint import OtherRunError
from training.datasets import FaceDataset, fingerprint_of
from training.network import recorded
from training.predictions import by_artifact, read_predictions, write_predictions
from training.protocols import Protocol
from training.recipe import Recipe
from training.stages import predict_on, prediction_rows, quantize_on, train_on
from training.workspace import TrainedModel, Workspace


def crossval(
    recipe: Recipe,
    protocol: Protocol,
    workspace: Workspace,
    folds: Sequence[int],
    keep_weights: bool = False,
    beside: FaceDataset | None = None,
    teachers: Workspace | None = None,
    precisions: Sequence[Precision] = PRECISIONS,
) -> None:
    """Train, quantize and predict each of ``folds`` that has no predictions yet.

    Args:
        recipe: the same for all folds.
        protocol: which images train, validate and test.
        workspace: holds the prepared dataset; receives a folder per fold.
        folds: which of the protocol's folds to run, from 0.
        keep_weights: keep a finished fold's weights, so that deleting its ``predictions.csv``
            and running again repeats the quantization without the training.
        beside: see train_on.
        teachers: the run whose models teach (default: ``workspace``).
        precisions: only these, to try something quickly: ``merge`` takes all or nothing.

    Raises:
        OtherRunError: a fold was already run with another recipe or other data.
    """
    dataset = FaceDataset.load(workspace.dataset)
    places = {fold: workspace.fold(protocol.name, fold) for fold in folds}
    for place in places.values():
        _check_recipe(recipe, fingerprint_of(dataset, beside), place)
    for fold, place in places.items():
        done = _done(recipe.model, place)
        finished = done.issuperset(precisions)
        if not finished:
            # Those done before as well: all answers of a fold are of one training.
            wanted = [p for p in PRECISIONS if p in done.union(precisions)]
            _run_fold(recipe, protocol, dataset, fold, place, beside, teachers, wanted)
        _delete_intermediate(recipe.model, place, keep_weights or finished)
        _report(recipe.model, fold, places)


def _done(model: str, place: Workspace) -> set[Precision]:
    """Return the precisions that were predicted."""
    path = place.predictions(model)
    return {row.precision for row in read_predictions(path)} if path.is_file() else set()


def _run_fold(
    recipe: Recipe,
    protocol: Protocol,
    dataset: FaceDataset,
    fold: int,
    place: Workspace,
    beside: FaceDataset | None,
    teachers: Workspace | None,
    precisions: Sequence[Precision],
) -> None:
    split = protocol.split(dataset, fold)
    model = recipe.model
    if not (place.weights(model).is_file() and place.log(model).is_file()):
        taught_by = teachers.fold(protocol.name, fold) if teachers else None
        train_on(recipe, dataset, split, place, beside, taught_by)
    quantize_on(recipe, dataset, split.train, place, precisions)
    answers = predict_on(recipe, dataset, split.test, place, precisions)
    rows = prediction_rows(dataset, split.test, answers, model=model, fold=fold)
    write_predictions(place.predictions(model), rows)
    keras.backend.clear_session()
    gc.collect()


def _check_recipe(recipe: Recipe, fingerprint: str, place: Workspace) -> None:
    log = place.log(recipe.model)
    if not log.is_file():
        return
    run = TrainedModel.model_validate_json(log.read_text()).run
    same = Recipe.model_validate(run.recipe) == recorded(recipe)
    if not same or run.data_fingerprint != fingerprint:
        raise OtherRunError(
            f"{place.folder(recipe.model)} holds a fold of another recipe or other data: delete it "
            "to start anew, or give another --run-dir."
        )


def _delete_intermediate(model: str, place: Workspace, keep_weights: bool) -> None:
    shutil.rmtree(place.folder(model) / "checkpoint", ignore_errors=True)
    big = [place.artifact(model, precision) for precision in PRECISIONS]
    for path in big if keep_weights else [*big, place.weights(model)]:
        path.unlink(missing_ok=True)


def _report(model: str, fold: int, places: dict[int, Workspace]) -> None:
    rows = read_predictions(places[fold].predictions(model))
    shares = []
    for (_, precision), group in by_artifact(rows):
        right = [row.predicted == row.label for row in group]
        shares.append(f"{precision} {sum(right) / len(right):.1%}")
    tqdm.write(f"{model} fold {fold}: {', '.join(shares)}{_course(model, places)}")


def _course(model: str, places: dict[int, Workspace]) -> str:
    """Say how far the folds are, unless this one is all that was asked: others may run beside."""
    if len(places) == 1:
        return ""
    done = [place for place in places.values() if place.predictions(model).is_file()]
    logs = [TrainedModel.model_validate_json(place.log(model).read_text()) for place in done]
    seconds = sum(log.seconds for log in logs) / len(logs)
    left = timedelta(seconds=round(seconds * (len(places) - len(done))))
    return (
        f"; {len(done)} of {len(places)} folds done, "
        f"{timedelta(seconds=round(seconds))} of training each, about {left} left"
    )
