"""The res10 detector's anchors, and how its network's rows become boxes (Liu et al. 2016, SSD).

The 8892 anchors (Caffe: prior boxes) lie on six grids over the 300x300 input. In each cell of
a grid, in this order: a square of the smaller side, one of the geometric mean of both sides,
and for each aspect ratio a wide and a tall one.
"""

from dataclasses import dataclass

import numpy as np

from emotion.arrays import Floats
from emotion.faces import INPUT_SIZE

_CENTRE_VARIANCE, _SIZE_VARIANCE = 0.1, 0.2


@dataclass(frozen=True)
class _Grid:
    cells: int  # a side
    step: int  # between cells, in pixels of the input
    smaller: float  # sides of the squares, in pixels of the input
    larger: float
    ratios: tuple[int, ...]


_GRIDS = (
    _Grid(38, 8, 30, 60, (2,)),
    _Grid(19, 16, 60, 111, (2, 3)),
    _Grid(10, 32, 111, 162, (2, 3)),
    _Grid(5, 64, 162, 213, (2, 3)),
    _Grid(5, 100, 213, 264, (2,)),
    _Grid(5, 300, 264, 315, (2,)),
)


def anchors() -> Floats:
    """Return all anchors, float32 [8892, 4]: centre x, centre y, width, height, as shares."""
    pixels = np.concatenate([_on_grid(grid) for grid in _GRIDS])
    return np.asarray(pixels / INPUT_SIZE, np.float32)


def decode(deltas: Floats, anchors: Floats) -> Floats:
    """Move and scale anchors as the network says.

    Args:
        deltas: float32 [n, 4], of centre x, centre y, log width, log height.
        anchors: float32 [n, 4], the same rows of ``anchors()``.

    Returns:
        float32 [n, 4]: left, top, right, bottom, as shares of the image; may leave 0..1.
    """
    centre = anchors[:, :2] + deltas[:, :2] * _CENTRE_VARIANCE * anchors[:, 2:]
    half = anchors[:, 2:] * np.exp(deltas[:, 2:] * _SIZE_VARIANCE) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _on_grid(grid: _Grid) -> Floats:
    mean = np.sqrt(grid.smaller * grid.larger)
    sizes = [(grid.smaller, grid.smaller), (mean, mean)]
    for ratio in grid.ratios:
        long, short = grid.smaller * np.sqrt(ratio), grid.smaller / np.sqrt(ratio)
        sizes += [(long, short), (short, long)]
    centres = (np.arange(grid.cells) + 0.5) * grid.step
    y, x = np.meshgrid(centres, centres, indexing="ij")
    cells = np.stack([x, y], axis=-1)[:, :, np.newaxis].repeat(len(sizes), axis=2)
    shapes = np.broadcast_to(sizes, cells.shape)
    return np.concatenate([cells, shapes], axis=-1).reshape(-1, 4).astype(np.float32)
