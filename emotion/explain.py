"""What an artifact looks at: occlusion sensitivity.

After M. D. Zeiler and R. Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014,
section 4.2: a grey square slides over the picture, and where it hides what the answer rests on, the
answer's probability falls. It needs the network's answers alone, no gradients, and so treats
float32 and int8 alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from emotion.arrays import Floats, Pixels
from emotion.classifier import Classifier, NoFace
from emotion.detectors import DetectorName
from emotion.files import ImageSource
from emotion.labels import EMOTIONS
from emotion.preprocess import face_tensors
from emotion.records import ArtifactRecord
from emotion.results import FacePrediction, ImageFaces
from emotion.stopwatch import Stopwatch

PATCH = 0.25  # side of the hiding square, as a share of the crop's


@dataclass(frozen=True)
class Explanation:
    """Where one artifact finds the emotion it names in one face."""

    artifact: ArtifactRecord
    image: ImageFaces  # of that face alone, its crop before and after CLAHE included
    prediction: FacePrediction  # of the unhidden face
    drops: Floats  # float32 [grid, grid], rows from the top: -1..1, how far the top emotion's
    # probability falls when that place is hidden
    milliseconds: dict[str, float]


def explain(
    classifier: Classifier,
    image: ImageSource,
    model: str = "mobilenet",
    precision: str = "int8",
    *,
    grid: int = 10,
    faces: Literal["largest", "whole"] = "largest",
    face: int = 0,
    no_face: NoFace = "error",
    detector: DetectorName | None = None,
    check: Callable[[], object] | None = None,
) -> Explanation:
    """Map what an artifact's top emotion rests on, by ``grid`` squared + 1 calls of the network.

    Args:
        classifier: brings the artifact and finds the face.
        image: as for ``Classifier.predict``; the following as for ``Classifier.compare``.
        model: backbone, one of the store's.
        precision: float32, float16 or int8.
        grid: the map's rows and columns.
        faces: the ``largest`` face, or the ``whole`` picture.
        face: another face than the largest: its place in the answer to faces="all".
        no_face: ``error``, or take the ``whole`` picture.
        detector: finds the faces; None means the classifier's own.
        check: called before every run of the network; what it raises ends the work.

    Raises:
        The errors of ``Classifier.compare``.
    """
    artifact = classifier.registry.get(model, precision)
    seen = classifier.look(image, faces=faces, face=face, no_face=no_face, detector=detector)
    watch = Stopwatch(dict(seen.milliseconds))
    with watch.stage("preprocess"):
        pictures = [seen.pixels[0], *occluded(seen.pixels[0], grid)]
        tensors = face_tensors(pictures, artifact.record.input_size)
    answers = np.empty((len(tensors), len(EMOTIONS)), np.float32)
    with watch.stage("inference", artifact.record.name):
        for place, tensor in enumerate(tensors):
            if check:
                check()
            answers[place] = artifact.run(tensor[np.newaxis])[0]
    prediction = FacePrediction(seen.faces[0], answers[0])
    top = answers[:, answers[0].argmax()]
    drops = (top[0] - top[1:]).reshape(grid, grid)
    return Explanation(artifact.record, seen, prediction, drops, watch.milliseconds)


def occluded(face: Pixels, grid: int) -> list[Pixels]:
    """Hide one place after another, row by row.

    Args:
        face: uint8 [side, side], grey.
        grid: rows and columns of places, whose centres are those of a grid x grid raster.

    Returns:
        grid squared copies of the face, each with a square of ``PATCH`` of its side, cut at the
        edge, in the face's mean grey.
    """
    side = len(face)
    grey = round(float(face.mean()))
    centres = (np.arange(grid) + 0.5) * side / grid
    starts = np.rint(centres - PATCH * side / 2).astype(int).clip(0)
    stops = np.rint(centres + PATCH * side / 2).astype(int)
    copies = []
    for top, bottom in zip(starts, stops, strict=True):
        for left, right in zip(starts, stops, strict=True):
            copy = face.copy()
            copy[top:bottom, left:right] = grey
            copies.append(copy)
    return copies
