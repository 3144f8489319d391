"""Faces to the batches that Keras's ``fit`` takes, augmented on the fly beside the training."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.utils.class_weight import compute_sample_weight

from emotion.preprocess import face_tensors
from training.augment import augmentation
from training.datasets import FaceDataset
from training.recipe import Recipe
from training.splits import Indices


class Batches:
    """Part of a dataset, as tf.data batches.

    Pixels are float32 [b, size, size, 3], 0..255; targets [b, classes]; weights [b] balance the
    classes as far as the recipe asks. ``beside`` fills the recipe's share ``rehearsal`` of each
    batch, drawn with its classes balanced; an epoch is over when ``indices`` are. Where there is a
    ``teacher`` (a classifier of these pixels), its answers are blended into the labels of
    ``epoch``.
    """

    def __init__(
        self,
        dataset: FaceDataset,
        indices: Indices,
        recipe: Recipe,
        classes: int,
        beside: FaceDataset | None = None,
        teacher: keras.Model | None = None,
    ) -> None:
        faces, labels = dataset.faces[indices], dataset.labels[indices]
        targets = dataset.targets(classes)[indices]
        weights = compute_sample_weight("balanced", labels) ** recipe.balance
        self._count = len(indices)
        self._size = min(recipe.batch_size, len(indices))
        self._beside = 0  # of each batch
        if beside is not None:
            self._beside = round(self._size * recipe.rehearsal)
            self._chances = compute_sample_weight("balanced", beside.labels) / len(beside)
            faces = np.concatenate([faces, beside.faces])
            targets = np.concatenate([targets, beside.targets(classes)])
            weights = np.concatenate([weights, np.ones(len(beside))])
        self._grey = tf.constant(face_tensors(faces, recipe.input_size)[..., :1])
        self._targets = tf.constant(targets)
        self._weights = tf.constant(weights, tf.float32)
        self._recipe = recipe
        self._teacher = teacher

    def __len__(self) -> int:
        """Batches of one epoch; a last, smaller one is dropped (its statistics are poor)."""
        return self._count // (self._size - self._beside)

    def epoch(self, number: int) -> Any:
        """Shuffled, augmented and weighted; the same for the same seed and number."""
        random = np.random.default_rng((self._recipe.seed, number))
        order = self._order(random)
        change = augmentation(int(random.integers(2**31)), self._recipe)
        rows = tf.data.Dataset.from_tensor_slices(order).batch(self._size, drop_remainder=True)
        batches = rows.map(
            lambda row: self._taught(
                _colour(change(self._pixels(row), training=True)),
                tf.gather(self._targets, row),
                tf.gather(self._weights, row),
            )
        )
        if self._recipe.mixup:
            shares = random.beta(self._recipe.mixup, self._recipe.mixup, len(self))
            shares = tf.data.Dataset.from_tensor_slices(shares.astype(np.float32))
            batches = tf.data.Dataset.zip(batches, shares).map(_mix)
        return batches.prefetch(2)

    def plain(self) -> Any:
        """In order, unchanged and unweighted."""
        rows = tf.data.Dataset.range(self._count).batch(self._size)
        return rows.map(lambda row: (_colour(self._pixels(row)), tf.gather(self._targets, row)))

    def _order(self, random: np.random.Generator) -> npt.NDArray[np.int64]:
        order = random.permutation(self._count)
        if not self._beside:
            return order
        own = order[: len(self) * (self._size - self._beside)].reshape(len(self), -1)
        drawn = random.choice(len(self._chances), (len(self), self._beside), p=self._chances)
        return np.concatenate([own, self._count + drawn], axis=1).ravel()

    def _taught(self, pixels: Any, labels: Any, weights: Any) -> tuple[Any, Any, Any]:
        if self._teacher is not None:
            share = self._recipe.distillation
            labels = (1 - share) * labels + share * self._teacher(pixels, training=False)
        return pixels, labels, weights

    def _pixels(self, row: Any) -> Any:
        return tf.cast(tf.gather(self._grey, row), tf.float32)


def _mix(batch: Any, share: Any) -> Any:
    """Blend each example with the one opposite in its batch (Zhang et al. 2018, mixup)."""
    return tuple(share * part + (1 - share) * part[::-1] for part in batch)


def _colour(grey: Any) -> Any:
    return tf.repeat(grey, 3, axis=-1)
