"""The shipped artifacts on spoiled pictures of the stand-in for CK+."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from emotion.decode import decode
from emotion.records import PRECISIONS
from tests.stores import edit_manifest
from training.conditions import CONDITIONS, Condition, Patch
from training.datasets import DatasetError, load_ckplus
from training.robustness import robustness
from training.robustness_page import write_page

RANDOM = np.random.default_rng(0)
FRAME = cv2.cvtColor(RANDOM.integers(50, 200, (48, 48), np.uint8), cv2.COLOR_GRAY2BGR)
WALL = round(float(np.median(np.concatenate([FRAME[0], FRAME[:, 0], FRAME[:, -1]]))))


def taken(condition: Condition) -> np.ndarray:
    return decode(condition.picture(FRAME, np.random.default_rng(0)))


def test_the_frame_lies_where_it_should() -> None:
    picture = taken(Condition("", "", side=48, width=300, height=200, x=1, y=0)).copy()
    assert picture.shape == (200, 300, 3)
    assert np.array_equal(picture[12:60, 240:288], FRAME)
    picture[12:60, 240:288] = WALL
    assert abs(picture.astype(int) - WALL).max() <= 1


def test_each_change_changes_what_it_says() -> None:
    plain = taken(Condition("", "", side=96)).astype(float)
    assert taken(Condition("", "", side=96, gain=0.5)).mean() == pytest.approx(
        plain.mean() / 2, 0.02
    )
    assert taken(Condition("", "", side=96, blur=0.05)).std() < plain.std()
    grey = Patch(1, 0.25, 0, 0.75, grey=255)
    assert taken(Condition("", "", side=96, patch=grey))[270:288, 200:280].min() > 240
    turned = taken(Condition("", "", side=96, roll=90))
    assert np.abs(turned[1:, 1:] - np.rot90(plain)[:-1, 1:]).mean() < 2
    assert np.array_equal(taken(Condition("", "", detect=False)), FRAME)
    names = [(c.group, c.name) for c in CONDITIONS]
    assert len(set(names)) == len(names)
    for condition in CONDITIONS:
        assert condition.picture(FRAME, np.random.default_rng(3)) == condition.picture(
            FRAME, np.random.default_rng(3)
        )


def test_a_table_for_each_precision(ckplus: Path, store: Path) -> None:
    with pytest.raises(DatasetError, match=r"ckplus\.zip is not the data that mobilenet/float32"):
        robustness("mobilenet", store, ckplus)
    manifest = json.loads((store / "manifest.json").read_text())
    for record in manifest["artifacts"]:
        record["training"]["data_fingerprint"] = f"{load_ckplus(ckplus).fingerprint}+beside"
    edit_manifest(store, artifacts=manifest["artifacts"])

    page = robustness("mobilenet", store, ckplus, frames=2)
    numbers = page.with_suffix(".csv")
    with numbers.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(CONDITIONS) * len(PRECISIONS)
    assert {row["precision"] for row in rows} == set(PRECISIONS)
    assert all(0 <= int(r["correct"]) <= int(r["found"]) <= int(r["images"]) == 2 for r in rows)
    text = page.read_text()
    assert all(f"| {c.group} | {c.name} |" in text for c in CONDITIONS)
    page.unlink()
    assert write_page(numbers).read_text() == text
