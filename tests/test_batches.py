"""What a training step is given: mixed, rehearsed, taught; and what the average keeps of it."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emotion import EMOTIONS
from training.checkpoint import Progress
from training.datasets import FaceDataset
from training.recipe import Recipe
from training.workspace import TrainedModel, Workspace

if TYPE_CHECKING:
    import keras

    from training.average import WeightAverage

pytestmark = pytest.mark.training


def followed(steps: int) -> tuple["keras.Model", "WeightAverage"]:
    """Return a model of one weight, 0 at first, and an average that follows it."""
    import keras

    from training.average import WeightAverage

    pixels = keras.Input((1,))
    model = keras.Model(pixels, keras.layers.Dense(1, kernel_initializer="zeros")(pixels))
    model.compile(keras.optimizers.SGD(1.0), "mse")
    average = WeightAverage(model, decay=0.5)
    average.set_model(model)
    average.set_params({"steps": steps})
    return model, average


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_the_average_follows_and_lends_its_weights() -> None:
    model, average = followed(steps=1)
    kernel = model.weights[0]
    for value, expected in enumerate((0.9, 1.8), start=1):  # decay 1/10, then 2/11
        kernel.assign([[float(value)]])
        model.optimizer.iterations.assign(value - 1)
        average.on_train_batch_end(0)
        with average.applied():
            assert kernel.value.numpy().item() == pytest.approx(expected, abs=1e-3)
        assert kernel.value.numpy().item() == value


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_the_average_looks_at_every_fourth_step_and_the_last() -> None:
    model, average = followed(steps=6)
    model.weights[0].assign([[1.0]])
    model.optimizer.iterations.assign(1000)  # so that the decay is 0.5
    seen = []
    for batch in range(6):
        average.on_train_batch_end(batch)
        with average.applied():
            seen.append(model.weights[0].value.numpy().item())
    fourth = 1 - 0.5**4
    assert seen == pytest.approx([0, 0, 0, fourth, fourth, 1 - 0.5**6])


def test_mixing_blends_labels_and_pixels_alike(few_faces: FaceDataset) -> None:
    from training.batches import Batches

    recipe = Recipe(model="mobilenet", input_size=32, mixup=1.0, cutout=1.0, brightness=0.2)
    batches = Batches(few_faces, np.arange(64), recipe, len(EMOTIONS))
    first, again = (next(iter(batches.epoch(3))) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    pixels, labels, weights = first
    assert pixels.shape == (32, 32, 32, 3)
    assert 0 <= pixels.min() < pixels.max() <= 255
    assert labels.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert ((labels > 0.01) & (labels < 0.99)).any()
    assert weights.shape == (32,)


def test_rehearsal_fills_its_share_of_every_batch(few_faces: FaceDataset) -> None:
    from training.batches import Batches

    beside = replace(few_faces, faces=np.zeros_like(few_faces.faces))
    recipe = Recipe(model="mobilenet", input_size=32, rehearsal=0.25)
    batches = Batches(few_faces, np.arange(64), recipe, len(EMOTIONS), beside)
    assert len(batches) == 64 // 24
    for pixels, labels, _ in batches.epoch(0):
        assert (pixels.max(axis=(1, 2, 3)) == 0).sum() == 8
        assert labels.shape == (32, len(EMOTIONS))


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_teachers_are_blended_into_the_labels(run_dir: Path, few_faces: FaceDataset) -> None:
    import keras

    from training.batches import Batches
    from training.network import build_classifier
    from training.stages import course_of, run_of
    from training.teacher import TeacherError, load_teacher

    workspace, teachers = Workspace(run_dir), []
    for model, size in (("mobilenet", 32), ("vgg16", 48)):
        taught = Recipe(model=model, input_size=size, init="random")
        teachers.append(build_classifier(model, size, "random", 0.3))
        workspace.folder(model).mkdir()
        teachers[-1].save_weights(workspace.weights(model))
        log = TrainedModel(temperature=1, **course_of(run_of(taught, few_faces), Progress("run")))
        workspace.log(model).write_text(log.model_dump_json())

    recipe = Recipe(model="vgg16", input_size=32, teacher="mobilenet,vgg16", distillation=0.25)
    teacher = load_teacher(recipe, workspace, few_faces)
    batches = Batches(few_faces, np.arange(64), recipe, len(EMOTIONS), teacher=teacher)
    pixels, labels, _ = next(iter(batches.epoch(0)))
    small, large = teachers
    resized = keras.ops.image.resize(pixels, (48, 48))
    taught_by = (small(pixels).numpy() + large(resized).numpy()) / 2
    truth = (labels - 0.25 * taught_by) / 0.75
    assert np.sort(truth, axis=1) == pytest.approx(np.tile([0] * 6 + [1], (32, 1)), abs=1e-4)
    with pytest.raises(TeacherError, match="was trained on other faces"):
        load_teacher(recipe, workspace, replace(few_faces, fingerprint="others"))
