"""Transfer learning in two phases, resumable.

First the head alone on a frozen base, so that its random start does not wreck the base;
then everything, at a cosine-decayed rate, until the validation loss stops falling.
"""

import hashlib
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from emotion.arrays import Floats, Pixels
from emotion.errors import EmotionError
from emotion.preprocess import face_tensors
from emotion.records import TrainingRun
from training.average import WeightAverage
from training.batches import Batches
from training.checkpoint import Checkpoint, Progress
from training.datasets import FaceDataset
from training.fake_quantize import fake_quantized
from training.folded import unfold
from training.network import build_classifier, is_folded
from training.recipe import Recipe
from training.splits import Indices

# Keras's 0.99 averages over 100 batches, more than three epochs of CK+: the moving statistics
# lag behind the weights, and test accuracy after 12 epochs was 74 %.
BATCH_NORM_MOMENTUM = 0.9

_STATISTICS = 1000  # faces, about


class DivergedError(EmotionError):
    """The loss is no longer a number."""


def fit(
    recipe: Recipe,
    run: TrainingRun,
    dataset: FaceDataset,
    train: Indices,
    validation: Indices,
    folder: Path,
    classes: Sequence[str],
    beside: FaceDataset | None = None,
    teacher: keras.Model | None = None,
) -> tuple[keras.Model, Progress]:
    """Train, or go on training where ``folder`` has a checkpoint, and return the best epoch.

    Args:
        recipe: what to do.
        run: its description, by which a checkpoint is known again.
        dataset: faces and labels.
        train: indices to learn from; classes are weighted as the recipe says.
        validation: indices that choose the epoch; no subject of ``train`` among them. Where there
            are none, it is the last.
        folder: receives checkpoints, see Checkpoint.
        classes: what the labels index.
        beside: faces that fill the recipe's share ``rehearsal`` of each batch; labels as
            ``dataset``'s.
        teacher: a classifier whose answers are learnt beside the labels.

    Raises:
        OtherRunError: the checkpoint in ``folder`` is of another recipe or other data.
        DivergedError: the loss became infinite or not a number.
        WeightsError: see build_classifier.
    """
    keras.utils.set_random_seed(recipe.seed)
    checkpoint = Checkpoint(folder, _fingerprint(run, train, teacher), run.git_commit)
    progress = checkpoint.progress
    if progress.epoch:
        model, average = checkpoint.resume(recipe.weight_average)
    else:
        model = _build(recipe, classes, dataset.faces[train])
        average = WeightAverage(model, recipe.weight_average)
    batches = Batches(dataset, train, recipe, len(classes), beside, teacher)
    held_out = None
    if len(validation):
        unseen = face_tensors(dataset.faces[validation], recipe.input_size).astype(np.float32)
        held_out = unseen, dataset.targets(len(classes))[validation]
    epochs = recipe.head_epochs + recipe.epochs
    with tqdm(total=epochs * len(batches), initial=progress.epoch * len(batches)) as bar:
        while not progress.finished(recipe):
            if progress.epoch in (0, recipe.head_epochs):
                _begin_phase(model, recipe, progress.epoch, len(batches))
            started = time.perf_counter()
            logs = model.fit(
                batches.epoch(progress.epoch),
                steps_per_epoch=len(batches),
                shuffle=False,  # they are shuffled
                callbacks=[_Advance(bar), average],
                verbose=0,
            ).history
            progress.epoch += 1
            progress.history.append({name: values[0] for name, values in logs.items()})
            with average.applied():
                _validate(model, held_out, checkpoint, folder)
            progress.seconds += time.perf_counter() - started
            checkpoint.save(model, average, last=progress.finished(recipe))
            said = f"epoch {progress.epoch}/{epochs}"
            if held_out:
                right = progress.history[-1]["val_accuracy"]
                said += f", validation {right:.1%}, best epoch {progress.best_epoch}"
            bar.set_description(said)
    best = build_classifier(recipe.model, recipe.input_size, "random", recipe.dropout, classes)
    best.set_weights(checkpoint.best)
    return best, progress


def _build(recipe: Recipe, classes: Sequence[str], faces: Pixels) -> keras.Model:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if recipe.compute == "bfloat16" else policy)
    try:
        model = build_classifier(
            recipe.model, recipe.input_size, recipe.init, recipe.dropout, classes
        )
    finally:
        keras.config.set_dtype_policy(policy)
    if is_folded(recipe.init):
        some = face_tensors(faces[:: max(1, len(faces) // _STATISTICS)], recipe.input_size)
        unfold(model.get_layer("base"), model.get_layer("normalise")(some))
    if recipe.activations == "int8":
        model = fake_quantized(model)
    for layer in model.get_layer("base").layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    return model


def _begin_phase(model: keras.Model, recipe: Recipe, epoch: int, steps_per_epoch: int) -> None:
    fine_tuning = epoch >= recipe.head_epochs
    model.get_layer("base").trainable = fine_tuning
    steps = recipe.epochs * steps_per_epoch
    warm_up = min(steps // 10, 10 * steps_per_epoch)
    cosine = keras.optimizers.schedules.CosineDecay(
        recipe.rate / 10, steps - warm_up, warmup_target=recipe.rate, warmup_steps=warm_up
    )
    model.compile(
        keras.optimizers.AdamW(
            cosine if fine_tuning else recipe.head_rate, weight_decay=recipe.weight_decay
        ),
        keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        weighted_metrics=[],
        metrics=["accuracy"],
    )


def _validate(
    model: keras.Model,
    held_out: tuple[Floats, Floats] | None,
    checkpoint: Checkpoint,
    folder: Path,
) -> None:
    progress = checkpoint.progress
    loss = progress.history[-1]["loss"]
    if held_out:
        logs = model.evaluate(*held_out, return_dict=True, verbose=0)
        progress.history[-1] |= {f"val_{name}": value for name, value in logs.items()}
        loss = logs["loss"]
    if not math.isfinite(loss):
        of = "validation " if held_out else ""
        raise DivergedError(
            f"The {of}loss is {loss} in epoch {progress.epoch}: delete {folder} and lower --rate."
        )
    if loss < progress.best_loss or not held_out:
        progress.best_loss = loss
        checkpoint.note_best(model)


def _fingerprint(run: TrainingRun, train: Indices, teacher: keras.Model | None) -> str:
    done = (run.model_dump_json(exclude={"git_commit"}), train.tolist())
    digest = hashlib.sha256(str(done).encode())
    for weight in teacher.get_weights() if teacher else ():
        digest.update(weight.tobytes())
    return digest.hexdigest()[:16]


class _Advance(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, bar: "tqdm[Any]") -> None:
        super().__init__()
        self._bar = bar

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._bar.update()
