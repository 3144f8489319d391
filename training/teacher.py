"""Distillation (Hinton et al. 2015): a student learns trained models' answers beside labels."""

import keras

from emotion.errors import EmotionError
from emotion.records import TrainingRun
from training.datasets import FaceDataset, is_of
from training.network import build_classifier
from training.recipe import Recipe
from training.workspace import TrainedModel, Workspace


class TeacherError(EmotionError):
    """The teacher cannot teach this student."""


def load_teacher(recipe: Recipe, workspace: Workspace, dataset: FaceDataset) -> keras.Model | None:
    """Return the models that a recipe names as its teachers, as one: the mean of their answers.

    They never saw the images that the student will be tested on: ``workspace`` is of the same
    split. Faces are resized for those that take another size than the student.

    Raises:
        DatasetError: one was not trained, or its weights were deleted.
        TeacherError: one learnt from other faces than ``dataset``'s, which are divided otherwise.
    """
    if not recipe.teacher:
        return None
    pixels = keras.Input((recipe.input_size, recipe.input_size, 3))
    answers = [_load(name, workspace, dataset)(pixels) for name in _names(recipe)]
    mean = keras.layers.Average()(answers) if len(answers) > 1 else answers[0]
    return keras.Model(pixels, mean)


def teacher_runs(recipe: Recipe, workspace: Workspace) -> dict[str, TrainingRun]:
    """Return how the teachers that a recipe names were trained; raises DatasetError."""
    return {name: _run(name, workspace) for name in _names(recipe)}


def _names(recipe: Recipe) -> list[str]:
    return recipe.teacher.split(",") if recipe.teacher else []


def _hint(name: str) -> str:
    return f"train --model {name}`, or `crossval --model {name} --keep-weights"


def _run(name: str, workspace: Workspace) -> TrainingRun:
    content = workspace.read(workspace.log(name), _hint(name))
    return TrainedModel.model_validate_json(content).run


def _load(name: str, workspace: Workspace, dataset: FaceDataset) -> keras.Model:
    run = _run(name, workspace)
    if not is_of(run.data_fingerprint, dataset):
        raise TeacherError(f"The {name} of {workspace.root} was trained on other faces.")
    own = Recipe.model_validate(run.recipe)
    weights = workspace.left(workspace.weights(name), _hint(name))
    teacher = build_classifier(name, own.input_size, "random", own.dropout)
    teacher.load_weights(weights)
    return keras.Sequential([keras.layers.Resizing(own.input_size, own.input_size), teacher])
