"""Greedy non-maximum suppression: of boxes on one face, the best stays."""

import numpy as np

from emotion.arrays import Floats


def suppress(edges: Floats, scores: Floats, max_iou: float, most: int) -> list[int]:
    """Choose boxes, best first, none of which overlaps a better chosen one too much.

    Args:
        edges: float32 [n, 4]: left, top, right, bottom.
        scores: float32 [n]; of equal ones the first goes first.
        max_iou: two chosen boxes share at most this intersection over union.
        most: only that many of the best boxes are looked at.

    Returns:
        Rows of the chosen boxes.
    """
    order = np.argsort(-scores, kind="stable")[:most]
    chosen = []
    while order.size:
        best, order = order[0], order[1:]
        chosen.append(int(best))
        order = order[intersection_over_union(edges[best], edges[order]) <= max_iou]
    return chosen


def intersection_over_union(box: Floats, others: Floats) -> Floats:
    """Compare one box [4] with others [n, 4]; returns [n], 0..1, and 0 where both are empty."""
    inner = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = inner.clip(0).prod(axis=1)
    union = _area(box) + _area(others) - shared
    return np.asarray(shared / np.maximum(union, np.finfo(np.float32).tiny), np.float32)


def _area(edges: Floats) -> Floats:
    size: Floats = (edges[..., 2:] - edges[..., :2]).clip(0)
    return np.asarray(size.prod(axis=-1))
