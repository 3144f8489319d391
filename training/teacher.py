"""Distillation (Hinton et al. 2015): a student learns a trained model's answers beside labels."""

import keras

from emotion.errors import EmotionError
from training.network import build_classifier
from training.recipe import Recipe
from training.workspace import TrainedModel, Workspace


class TeacherError(EmotionError):
    """The teacher cannot teach this student."""


def load_teacher(recipe: Recipe, workspace: Workspace) -> keras.Model | None:
    """Return the model of the same run, so of the same fold, that a recipe names as its teacher.

    It never saw the images that the student will be tested on: it had the same split.

    Raises:
        DatasetError: it was not trained, or its weights were deleted.
        TeacherError: it takes another input size.
    """
    name = recipe.teacher
    if not name:
        return None
    hint = f"train --model {name}`, or `crossval --model {name} --keep-weights"
    log = TrainedModel.model_validate_json(workspace.read(workspace.log(name), hint))
    own = Recipe.model_validate(log.run.recipe)
    if own.input_size != recipe.input_size:
        raise TeacherError(
            f"The teacher {name} takes {own.input_size} pixels a side, the student "
            f"{recipe.input_size}: give both the same --input-size."
        )
    weights = workspace.left(workspace.weights(name), hint)
    teacher = build_classifier(name, own.input_size, "random", own.dropout)
    teacher.load_weights(weights)
    return teacher
