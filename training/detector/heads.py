"""The six heads, and the ranges of their answers that matter for finding faces."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from emotion.arrays import Floats
from training.detector.caffe import Affine

# by feature map: anchors in each cell
ANCHORS = {"conv4_3_norm": 4, "fc7": 6, "conv6_2": 6, "conv7_2": 6, "conv8_2": 4, "conv9_2": 4}
_CELLS = (38 * 38, 19 * 19, 10 * 10, 5 * 5, 5 * 5, 5 * 5)
VALUES = 5  # an anchor's: one logit, four deltas
_NEAR_FACE = -2.0  # logits from here on may belong to a face, once int8 has moved them
_LOWEST_LOGIT = -4.0
_MARGIN = 0.2
_ENOUGH = 50
_SIX = 6.0


@dataclass(frozen=True)
class HeadRange:
    """The least and the greatest value of each channel of a head; both [channels]."""

    low: Floats
    high: Floats

    def to_six(self) -> Affine:
        """Map the range to 0..6."""
        scale = _SIX / (self.high - self.low)
        return Affine(scale, -self.low * scale)

    def from_six(self) -> Affine:
        """Map 0..6 to the range."""
        return Affine((self.high - self.low) / np.float32(_SIX), self.low)


def head_ranges(rows: Floats) -> dict[str, HeadRange]:
    """Find each head's ranges.

    Args:
        rows: float32 [pictures, 8892, 5], the float detector's answers on calibration pictures.

    Returns:
        By feature map: deltas over the anchors that may be on a face, with a margin, or over all
        where those are too few to tell; logits from just below the decision upwards.
    """
    return {name: _range(part) for name, part in _split(rows)}


def _split(rows: Floats) -> Iterator[tuple[str, Floats]]:
    """Yield each head's answers, [pictures * cells, anchors, 5]."""
    start = 0
    for (name, anchors), cells in zip(ANCHORS.items(), _CELLS, strict=True):
        stop = start + anchors * cells
        yield name, rows[:, start:stop].reshape(-1, anchors, VALUES)
        start = stop


def _range(answers: Floats) -> HeadRange:
    ranges = []
    for anchor in answers.transpose(1, 0, 2):
        near = anchor[anchor[:, 0] > _NEAR_FACE]
        chosen = near if len(near) >= _ENOUGH else anchor
        low, high = chosen.min(axis=0), chosen.max(axis=0)
        margin = _MARGIN * (high - low)
        low, high = low - margin, high + margin
        low[0], high[0] = _LOWEST_LOGIT, max(float(high[0]), -_LOWEST_LOGIT)
        ranges.append((low, high))
    low, high = np.array(ranges, np.float32).transpose(1, 0, 2).reshape(2, -1)
    return HeadRange(low, high)
