"""Training-time changes to a face: rotation, translation, flip, zoom, and those of a recipe."""

import math
from typing import cast

import cv2
import numpy as np

from emotion.arrays import Floats, Pixels
from training.recipe import Recipe

ROTATION_DEGREES = 15
TRANSLATION = 0.08  # of the side
ZOOM = 0.1
ERASED = (0.02, 0.2)  # of the area
ERASED_WITH = 127.5  # mid-grey; CLAHE's output is centred there


def augmented(grey: Pixels, recipe: Recipe, random: np.random.Generator) -> Floats:
    """Change each face at random: uint8 [n, size, size] -> float32 of that shape, 0..255.

    Rotation, translation, zoom and horizontal flip always, in one bilinear interpolation that
    repeats the border; brightness, contrast and random erasing (Zhong et al. 2020) where the
    recipe asks for them.
    """
    changed = np.stack([_moved(face, random) for face in grey])
    count = len(grey)
    if recipe.brightness:
        changed += 255 * _between(random, recipe.brightness, count)
    if recipe.contrast:
        mean = changed.mean(axis=(1, 2), keepdims=True)
        changed = mean + (changed - mean) * (1 + _between(random, recipe.contrast, count))
    for index in np.flatnonzero(random.random(count) < recipe.cutout):
        _erase(changed[index], random)
    return np.clip(changed, 0, 255)


def _moved(face: Pixels, random: np.random.Generator) -> Floats:
    side = len(face)
    centre = (side - 1) / 2
    degrees, zoom = random.uniform((-ROTATION_DEGREES, 1 - ZOOM), (ROTATION_DEGREES, 1 + ZOOM))
    matrix = np.array(cv2.getRotationMatrix2D((centre, centre), degrees, zoom), np.float64)
    matrix[:, 2] += random.uniform(-TRANSLATION, TRANSLATION, 2) * side
    if random.random() < 0.5:
        matrix[:, 2] += (side - 1) * matrix[:, 0]
        matrix[:, 0] *= -1
    floats, size = face.astype(np.float32), (side, side)
    moved = cv2.warpAffine(floats, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return cast(Floats, moved)


def _between(random: np.random.Generator, limit: float, count: int) -> Floats:
    return random.uniform(-limit, limit, (count, 1, 1)).astype(np.float32)


def _erase(face: Floats, random: np.random.Generator) -> None:
    """Cover a rectangle, at most twice as long as wide, in place."""
    side = len(face)
    area, ratio = random.uniform(*ERASED) * side**2, 2 ** random.uniform(-1, 1)
    height = min(side, round(math.sqrt(area * ratio)))
    width = min(side, round(math.sqrt(area / ratio)))
    top, left = random.integers(side - height + 1), random.integers(side - width + 1)
    face[top : top + height, left : left + width] = ERASED_WITH
