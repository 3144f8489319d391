"""How CK+ is divided for an honest figure, and for the one that the study reports."""

from collections.abc import Callable
from dataclasses import dataclass

from training.datasets import FaceDataset
from training.splits import DataSplit, random_split, subject_split

SEED = 7


@dataclass(frozen=True)
class Protocol:
    """Splits of one dataset, whose test parts are predicted and pooled."""

    name: str
    title: str
    folds: int
    leaks: bool  # frames of one sequence are on both sides
    file: str  # the merged raw predictions, in the store's reports folder
    recipes: str  # and by which recipes
    split: Callable[[FaceDataset, int], DataSplit]


PROTOCOLS = {
    "subject10": Protocol(
        name="subject10",
        title="Subject-independent 10-fold",
        folds=10,
        leaks=False,
        file="crossval_predictions.csv.gz",
        recipes="crossval_recipes.json",
        split=lambda dataset, fold: subject_split(dataset, SEED, folds=10, fold=fold),
    ),
    "random": Protocol(
        name="random",
        title="The study's random 70/15/15 split over images (leaking)",
        folds=1,
        leaks=True,
        file="random_split_predictions.csv.gz",
        recipes="random_split_recipes.json",
        split=lambda dataset, fold: random_split(dataset, SEED),
    ),
}
