"""The shipped artifacts on pictures of people they never saw, through the whole pipeline."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from emotion.classifier import Classifier
from emotion.errors import NoFaceError
from emotion.labels import EMOTIONS
from emotion.records import PRECISIONS
from emotion.store import REPORTS
from training.conditions import CONDITIONS, Condition
from training.datasets import DatasetError, is_of, load_ckplus, read_pictures
from training.robustness_page import RobustnessRow, write_page, write_rows
from training.splits import SHIPPED_SEED, subject_split

SEED = 7


def robustness(model: str, store: Path, ckplus: Path, frames: int | None = None) -> Path:
    """Measure a model's three artifacts under every condition; writes CSV and Markdown.

    Faces are found as the service finds them, by the store's default detector.

    Args:
        model: one of the store's.
        store: the model store; its reports folder receives ``robustness_<model>.csv`` and
            ``.md``.
        ckplus: CK+ as zip or folder; the test subjects of the shipped split are used.
        frames: use only so many frames, evenly spread.

    Raises:
        DatasetError: CK+ is damaged, or not the data the artifacts were trained on.
        StoreError, UnknownArtifactError: no such store, or no such model in it.
    """
    classifier = Classifier(store)
    records = [classifier.store.record(model, precision) for precision in PRECISIONS]
    dataset = load_ckplus(ckplus)
    for record in records:
        if not is_of(record.training.data_fingerprint, dataset):
            raise DatasetError(
                f"{ckplus} is not the data that {record.file} was trained on: whether its test "
                "subjects are unseen cannot be told."
            )
    test = subject_split(dataset, SHIPPED_SEED).test
    if frames is not None:
        test = test[np.linspace(0, len(test) - 1, min(frames, len(test))).astype(int)]
    pictures = read_pictures(ckplus, dataset.names[test].tolist())
    labels = [EMOTIONS[label] for label in dataset.labels[test]]
    rows = []
    for condition in tqdm(CONDITIONS, desc=f"robustness of {model}", unit="condition"):
        random = np.random.default_rng(SEED)
        encoded = [condition.picture(picture, random) for picture in pictures]
        rows += _measure(model, classifier, condition, encoded, labels)
    reports = store / REPORTS
    reports.mkdir(exist_ok=True)
    numbers = reports / f"robustness_{model}.csv"
    write_rows(numbers, rows)
    return write_page(numbers)


def _measure(
    model: str,
    classifier: Classifier,
    condition: Condition,
    pictures: Sequence[bytes],
    labels: Sequence[str],
) -> list[RobustnessRow]:
    found, correct = 0, dict.fromkeys(PRECISIONS, 0)
    for picture, label in zip(pictures, labels, strict=True):
        try:
            compared = classifier.compare(
                picture, [model], PRECISIONS, faces="largest" if condition.detect else "whole"
            )
        except NoFaceError:
            continue
        found += 1
        for artifact in compared.artifacts:
            correct[artifact.artifact.precision] += artifact.prediction.emotion == label
    return [
        RobustnessRow(
            model=model,
            precision=precision,
            group=condition.group,
            condition=condition.name,
            images=len(labels),
            found=found,
            correct=right,
        )
        for precision, right in correct.items()
    ]
