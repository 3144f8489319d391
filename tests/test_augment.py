"""What changes of a face between one epoch and the next, and what never does."""

import numpy as np
import pytest

from emotion.arrays import Pixels
from training.augment import ERASED_WITH, ROTATION_DEGREES, TRANSLATION, ZOOM, augmented
from training.recipe import Recipe

SIDE, COUNT = 64, 200


@pytest.fixture(scope="module")
def dots() -> Pixels:
    """A bright spot right of the centre of a dark picture, many times."""
    picture = np.full((SIDE, SIDE), 20, np.uint8)
    picture[28:37, 44:53] = 220
    return np.repeat(picture[np.newaxis], COUNT, axis=0)


def recipe(**changes: float) -> Recipe:
    return Recipe(model="mobilenet", input_size=SIDE, **changes)


def test_faces_turn_move_and_grow_no_further_than_promised(dots: Pixels) -> None:
    changed = augmented(dots, recipe(), np.random.default_rng(1))
    assert changed.shape == dots.shape
    assert changed.dtype == np.float32
    assert 20 <= changed.min() < changed.max() <= 220
    weight = changed - 20
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    total = weight.sum(axis=(1, 2))
    right, down = ((weight * axis).sum(axis=(1, 2)) / total for axis in (x, y))
    moved = TRANSLATION * SIDE + 0.5
    arm = 16.5  # from the centre of the picture to the spot
    turned = np.sin(np.radians(ROTATION_DEGREES))
    assert np.abs(down).max() <= arm * (1 + ZOOM) * turned + moved
    assert np.abs(right).max() <= arm * (1 + ZOOM) + moved
    assert np.abs(right).min() >= arm * (1 - ZOOM) * np.cos(np.radians(ROTATION_DEGREES)) - moved
    assert 0.35 < (right < 0).mean() < 0.65  # flipped
    sizes = total / total.mean()
    assert (1 - ZOOM) ** 2 - 0.1 < sizes.min() < 0.9
    assert 1.1 < sizes.max() < (1 + ZOOM) ** 2 + 0.1


def test_the_border_is_repeated_not_filled(dots: Pixels) -> None:
    flat = np.full_like(dots, 90)
    assert (augmented(flat, recipe(), np.random.default_rng(2)) == 90).all()


def test_erasing_covers_a_rectangle_of_some_faces(dots: Pixels) -> None:
    changed = augmented(dots, recipe(cutout=0.5), np.random.default_rng(3))
    covered = (changed == ERASED_WITH).mean(axis=(1, 2))
    assert 0.35 < (covered > 0.015).mean() < 0.65
    assert covered.max() <= 0.21


def test_light_stays_in_range(dots: Pixels) -> None:
    bright = augmented(dots, recipe(brightness=0.5), np.random.default_rng(4))
    assert bright.min() == 0
    assert bright.max() == 255
    flat = np.full_like(dots, 90)
    same = augmented(flat, recipe(contrast=0.9), np.random.default_rng(5))
    assert same == pytest.approx(90, abs=1e-3)
    spread = augmented(dots, recipe(contrast=0.5), np.random.default_rng(5)).std(axis=(1, 2))
    assert spread.max() > 2 * spread.min()


def test_the_same_seed_gives_the_same_faces(dots: Pixels) -> None:
    everything = recipe(brightness=0.2, contrast=0.2, cutout=0.5)
    first, again, other = (
        augmented(dots, everything, np.random.default_rng(seed)) for seed in (6, 6, 7)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
