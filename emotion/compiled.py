"""The res10 detector as a LiteRT artifact of the model store."""

from collections.abc import Callable

import cv2
import numpy as np

from emotion.anchors import anchors, decode
from emotion.arrays import Floats, Pixels
from emotion.faces import INPUT_SIZE, MIN_SCORE, Face, faces_in
from emotion.interpreter import Interpreter
from emotion.nms import suppress
from emotion.pool import Pool

_ANCHORS = anchors()
_MAX_IOU, _MOST = 0.45, 400  # of the Caffe network's DetectionOutput layer
_HELPED = 2  # threads of a search while a core is free


def squeezed(image: Pixels) -> Pixels:
    """Scale an image to the network's input, exactly as cv2.dnn.blobFromImage does for Caffe.

    Args:
        image: uint8 [height, width, 3], BGR.

    Returns:
        uint8 [300, 300, 3], BGR; proportions are not kept.
    """
    size = (INPUT_SIZE, INPUT_SIZE)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


class CompiledDetector:
    """The Caffe detector's network, converted; the same boxes in a fraction of the time."""

    def __init__(
        self,
        name: str,
        load: Callable[[int], Interpreter],
        min_score: float = MIN_SCORE,
        interpreters: int = 1,
        has_free_core: Callable[[], bool] | None = None,
    ) -> None:
        """Load the artifact ``interpreters`` times: as many calls run at once.

        Args:
            name: what answers call this detector.
            load: makes an interpreter of uint8 [1, 300, 300, 3] to float32 [1, 8892, 5], which
                computes in so many threads.
            min_score: faces below drop.
            interpreters: how many.
            has_free_core: tells whether a call may compute on a second core, as one at a time then
                does: it takes two thirds of the time. None means never.

        Raises:
            What ``load`` raises.
        """
        self.name = name
        self._min_logit = float(np.log(min_score / (1 - min_score)))
        self._interpreters = Pool(lambda: load(1), interpreters)
        self._interpreters.fill()
        self._has_free_core = has_free_core or (lambda: False)
        self._helped = Pool(lambda: load(_HELPED), 1) if has_free_core else None

    def detect(self, image: Pixels) -> list[Face]:
        """Find the faces of a uint8 [height, width, 3] BGR image, largest first."""
        height, width = image.shape[:2]
        pixels = squeezed(image)
        scores, edges = self._boxes(self._run(pixels[np.newaxis])[0])
        return faces_in(width, height, scores, edges)

    def _run(self, pixels: Pixels) -> Floats:
        if self._helped and self._has_free_core():
            with self._helped.lend_idle() as interpreter:
                if interpreter:
                    return interpreter.run(pixels)
        with self._interpreters.lend() as interpreter:
            return interpreter.run(pixels)

    def _boxes(self, rows: Floats) -> tuple[Floats, Floats]:
        """Turn rows [8892, 5] into scores [n] and edges [n, 4]; few anchors need decoding."""
        candidates = np.flatnonzero(rows[:, 0] >= self._min_logit)
        logits = rows[candidates, 0]
        edges = decode(rows[candidates, 1:], _ANCHORS[candidates])
        chosen = suppress(edges, logits, _MAX_IOU, _MOST)
        return 1 / (1 + np.exp(-logits[chosen])), edges[chosen]
