"""Face detection: images to boxes."""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from emotion.arrays import Pixels
from emotion.assets import DetectorFiles
from emotion.geometry import Box
from emotion.pool import Pool


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


class CaffeDetector:
    """OpenCV's res10 single-shot detector (Liu et al. 2016, SSD, on a ResNet-10), run by cv2.dnn.

    The image is squeezed to 300x300, BGR, means 104/177/123 subtracted.
    """

    name = "res10-ssd-caffe"
    _INPUT = (300, 300)
    _MEAN_BGR = (104.0, 177.0, 123.0)

    def __init__(self, files: DetectorFiles, min_score: float = 0.5, networks: int = 1) -> None:
        """Load ``networks`` copies: as many calls run at once. Faces below ``min_score`` drop."""
        self._min_score = min_score
        self._networks = Pool(lambda: self._load(files), networks)
        self._networks.fill()

    def detect(self, image: Pixels) -> list[Face]:
        """Find the faces of a uint8 [height, width, 3] BGR image, largest first.

        Boxes that lie mostly outside the image are dropped: on tight crops without context
        the network places some there.
        """
        height, width = image.shape[:2]
        blob = cv2.dnn.blobFromImage(image, 1.0, self._INPUT, self._MEAN_BGR)
        with self._networks.lend() as network:
            network.setInput(blob)
            rows = network.forward()[0, 0]  # [n, 7]: image, class, score, left, top, right, bottom
        faces = []
        for score, *corners in rows[rows[:, 2] >= self._min_score, 2:]:
            edges = np.rint(np.array(corners) * (width, height, width, height)).astype(int)
            left, top, right, bottom = edges.tolist()
            box = Box(left, top, right - left, bottom - top)
            if 2 * box.clipped(width, height).area > box.area:
                faces.append(Face(box, float(score)))
        return sorted(faces, key=lambda face: face.box.area, reverse=True)

    def _load(self, files: DetectorFiles) -> cv2.dnn.Net:
        network = cv2.dnn.readNetFromCaffe(
            np.frombuffer(files.prototxt, np.uint8), np.frombuffer(files.caffemodel, np.uint8)
        )
        network.setInput(np.zeros((1, 3, *self._INPUT), np.float32))
        network.forward()  # the first call allocates
        return network
