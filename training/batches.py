"""Faces to the batches that Keras's ``fit`` takes, augmented on the fly beside the training."""

from typing import Any

import numpy as np
import tensorflow as tf
from sklearn.utils.class_weight import compute_sample_weight

from emotion.arrays import Pixels
from emotion.preprocess import face_tensor
from training.augment import augmentation
from training.datasets import FaceDataset
from training.recipe import Recipe
from training.splits import Indices


def face_tensors(faces: Pixels, input_size: int) -> Pixels:
    """Scale equalised faces [n, 128, 128] to uint8 [n, input_size, input_size, 3]."""
    return np.stack([face_tensor(face, input_size) for face in faces])


class Batches:
    """Part of a dataset, as tf.data batches.

    Pixels are float32 [b, size, size, 3], 0..255; labels one-hot [b, classes]; weights [b]
    balance the classes.
    """

    def __init__(
        self, dataset: FaceDataset, indices: Indices, recipe: Recipe, classes: int
    ) -> None:
        tensors = face_tensors(dataset.faces[indices], recipe.input_size)
        labels = dataset.labels[indices]
        self._grey = tf.constant(tensors[..., :1])
        self._one_hot = tf.one_hot(labels, classes)
        self._weights = tf.constant(compute_sample_weight("balanced", labels), tf.float32)
        self._size = min(recipe.batch_size, len(indices))
        self._recipe = recipe

    def __len__(self) -> int:
        """Batches of one epoch; a last, smaller one is dropped (its statistics are poor)."""
        return len(self._weights) // self._size

    def epoch(self, number: int) -> Any:
        """Shuffled, augmented and weighted; the same for the same seed and number."""
        random = np.random.default_rng((self._recipe.seed, number))
        order = random.permutation(len(self._weights))
        change = augmentation(int(random.integers(2**31)), self._recipe)
        rows = tf.data.Dataset.from_tensor_slices(order).batch(self._size, drop_remainder=True)
        batches = rows.map(
            lambda row: (
                _colour(change(self._pixels(row), training=True)),
                tf.gather(self._one_hot, row),
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
        rows = tf.data.Dataset.range(len(self._weights)).batch(self._size)
        return rows.map(lambda row: (_colour(self._pixels(row)), tf.gather(self._one_hot, row)))

    def _pixels(self, row: Any) -> Any:
        return tf.cast(tf.gather(self._grey, row), tf.float32)


def _mix(batch: Any, share: Any) -> Any:
    """Blend each example with the one opposite in its batch (Zhang et al. 2018, mixup)."""
    return tuple(share * part + (1 - share) * part[::-1] for part in batch)


def _colour(grey: Any) -> Any:
    return tf.repeat(grey, 3, axis=-1)
