"""Faces to the batches that Keras's ``fit`` takes, augmented on the fly, whatever its backend."""

from collections.abc import Iterator
from typing import TypeAlias

import keras
import numpy as np
import numpy.typing as npt
from sklearn.utils.class_weight import compute_sample_weight

from emotion.arrays import Floats
from emotion.preprocess import face_tensors
from training.augment import augmented
from training.datasets import FaceDataset
from training.recipe import Recipe
from training.splits import Indices

Batch: TypeAlias = tuple[Floats, ...]


class Batches:
    """Part of a dataset, to learn from batch by batch.

    Pixels are float32 [b, size, size, 3], 0..255; targets [b, classes]; weights [b] balance the
    classes as far as the recipe asks. ``beside`` fills the recipe's share ``rehearsal`` of each
    batch, drawn with its classes balanced; an epoch is over when ``indices`` are. Where there is a
    ``teacher`` (a classifier of these pixels), its answers are blended into the labels.
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
            self._beside = min(round(self._size * recipe.rehearsal), self._size - 1)
            self._chances = compute_sample_weight("balanced", beside.labels) / len(beside)
            faces = np.concatenate([faces, beside.faces])
            targets = np.concatenate([targets, beside.targets(classes)])
            weights = np.concatenate([weights, np.ones(len(beside))])
        self._grey = np.ascontiguousarray(face_tensors(faces, recipe.input_size)[..., 0])
        self._targets = targets
        self._weights = weights.astype(np.float32)
        self._recipe = recipe
        self._teacher = teacher

    def __len__(self) -> int:
        """Batches of one epoch; a last, smaller one is dropped (its statistics are poor)."""
        return self._count // (self._size - self._beside)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Shuffled, augmented and weighted; the same for the same seed and number."""
        random = np.random.default_rng((self._recipe.seed, number))
        for rows in self._order(random):
            pixels = _colour(augmented(self._grey[rows], self._recipe, random))
            targets = self._taught(pixels, self._targets[rows])
            batch: Batch = (pixels, targets, self._weights[rows])
            if self._recipe.mixup:
                share = np.float32(random.beta(self._recipe.mixup, self._recipe.mixup))
                batch = _mixed(batch, share)
            yield batch

    def _order(self, random: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draw the rows of each batch, [batches, b]."""
        order = random.permutation(self._count)
        own = order[: len(self) * (self._size - self._beside)].reshape(len(self), -1)
        if not self._beside:
            return own
        drawn = random.choice(len(self._chances), (len(self), self._beside), p=self._chances)
        return np.concatenate([own, self._count + drawn], axis=1)

    def _taught(self, pixels: Floats, labels: Floats) -> Floats:
        if self._teacher is None:
            return labels
        share = np.float32(self._recipe.distillation)
        answers: Floats = self._teacher.predict_on_batch(pixels)
        return (1 - share) * labels + share * answers


def _mixed(batch: Batch, share: np.float32) -> Batch:
    """Blend each example with the one opposite in its batch (Zhang et al. 2018, mixup)."""
    return tuple(share * part + (1 - share) * part[::-1] for part in batch)


def _colour(grey: Floats) -> Floats:
    return np.repeat(grey[..., np.newaxis], 3, axis=-1)
