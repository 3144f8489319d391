"""Face detection: images to boxes."""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from emotion.arrays import Floats, Pixels
from emotion.assets import DetectorFiles
from emotion.geometry import Box
from emotion.pool import Pool

INPUT_SIZE = 300
MEAN_BGR = (104.0, 177.0, 123.0)
MIN_INSIDE = 0.8  # of a box's area
MIN_SCORE = 0.5


@dataclass(frozen=True)
class Face:
    """A detected face: its box, as the detector drew it, and the detector's score 0..1."""

    box: Box
    score: float


class Detector(Protocol):
    """Anything that finds faces; safe to call from several threads."""

    name: str

    def detect(self, image: Pixels) -> list[Face]:
        """Find the faces of a uint8 [height, width, 3] BGR image, largest first."""
        ...


def faces_in(width: int, height: int, scores: Floats, edges: Floats) -> list[Face]:
    """Scale a detector's boxes to the image and sort them, largest first.

    Boxes that reach far out of the image are dropped: beside a face that fills more than half of
    a picture the network draws a second one, shifted by a third. Of those, at most 0.66 lie
    inside; of a real face's box, even one cut by the edge, at least 0.96.

    Args:
        width: the image's, in pixels.
        height: the image's, in pixels.
        scores: float32 [n], 0..1.
        edges: float32 [n, 4]: left, top, right, bottom, as shares of the image.
    """
    pixels = np.rint(edges * np.array((width, height, width, height))).astype(int)
    faces = []
    for score, (left, top, right, bottom) in zip(scores.tolist(), pixels.tolist(), strict=True):
        box = Box(left, top, right - left, bottom - top)
        if box.clipped(width, height).area >= MIN_INSIDE * box.area:
            faces.append(Face(box, score))
    return sorted(faces, key=lambda face: face.box.area, reverse=True)


class CaffeDetector:
    """OpenCV's res10 single-shot detector (Liu et al. 2016, SSD, on a ResNet-10), run by cv2.dnn.

    The image is squeezed to 300x300, BGR, means 104/177/123 subtracted.
    """

    name = "res10-ssd-caffe"

    def __init__(
        self, files: DetectorFiles, min_score: float = MIN_SCORE, networks: int = 1
    ) -> None:
        """Load ``networks`` copies: as many calls run at once. Faces below ``min_score`` drop."""
        self._min_score = min_score
        self._networks = Pool(lambda: self._load(files), networks)
        self._networks.fill()

    def detect(self, image: Pixels) -> list[Face]:
        """Find the faces of a uint8 [height, width, 3] BGR image, largest first."""
        height, width = image.shape[:2]
        blob = cv2.dnn.blobFromImage(image, 1.0, (INPUT_SIZE, INPUT_SIZE), MEAN_BGR)
        with self._networks.lend() as network:
            network.setInput(blob)
            rows = network.forward()[0, 0]  # [n, 7]: image, class, score, left, top, right, bottom
        certain = rows[rows[:, 2] >= self._min_score]
        return faces_in(width, height, certain[:, 2], certain[:, 3:])

    def _load(self, files: DetectorFiles) -> cv2.dnn.Net:
        network = cv2.dnn.readNetFromCaffe(
            np.frombuffer(files.prototxt, np.uint8), np.frombuffer(files.caffemodel, np.uint8)
        )
        network.setInput(np.zeros((1, 3, INPUT_SIZE, INPUT_SIZE), np.float32))
        network.forward()  # the first call allocates
        return network
