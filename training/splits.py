"""Subject-disjoint splits: no person is on both sides; and the study's, where they are.

CK+'s frames are the last three of each sequence, near-copies of one another, so a random
split over images puts each test image's twin into training.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from training.datasets import FaceDataset

SHIPPED_SEED = 7  # of the split that trains, validates and tests the published artifacts

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DataSplit:
    """Indices into a dataset; the three parts are disjoint."""

    train: Indices
    validation: Indices
    test: Indices


def subject_split(dataset: FaceDataset, seed: int, folds: int = 7, fold: int = 0) -> DataSplit:
    """Split by subject, classes balanced, into ``folds`` parts: one to test, one to validate.

    Scikit-learn's StratifiedGroupKFold. Fold ``fold`` is the test part and the following one
    validates; the rest trains.
    """
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    blank = np.zeros(len(dataset))
    parts = [test for _, test in splitter.split(blank, dataset.labels, dataset.subjects)]
    following = (fold + 1) % folds
    rest = [part for i, part in enumerate(parts) if i not in (fold, following)]
    return DataSplit(np.sort(np.concatenate(rest)), parts[following], parts[fold])


def random_split(dataset: FaceDataset, seed: int) -> DataSplit:
    """Split at random over images, 70/15/15, as the study did: it leaks, see above."""
    order = np.random.default_rng(seed).permutation(len(dataset))
    held_out = round(0.15 * len(dataset))
    parts = np.split(order, [len(dataset) - 2 * held_out, len(dataset) - held_out])
    train, validation, test = (np.sort(part) for part in parts)
    return DataSplit(train, validation, test)
