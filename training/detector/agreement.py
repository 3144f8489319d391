"""A compiled detector's answers against those of the Caffe original."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from emotion.arrays import Floats, Pixels
from emotion.faces import MIN_SCORE, Detector, Face
from emotion.geometry import Box
from emotion.nms import intersection_over_union
from emotion.preprocess import face_pixels, face_tensor
from emotion.records import Agreement
from emotion.registry import LoadedArtifact
from training.detector.scenes import Scene

Key = TypeVar("Key", bound=str)
SAME_FACE = 0.5
NEARLY = MIN_SCORE - 0.01  # from here on the last bits of a sum decide, not what is seen
_COVERS = 0.2  # pasted CK+ frames are larger than the box on their face


@dataclass
class _Counts:
    images: int = 0
    faces: int = 0
    added: int = 0
    false_boxes: int = 0
    caffe_false_boxes: int = 0
    overlaps: list[float] = field(default_factory=list)
    same_emotions: list[bool] = field(default_factory=list)

    def agreement(self, classifier: str | None) -> Agreement:
        same = float(np.mean(self.same_emotions)) if self.same_emotions else None
        return Agreement(
            images=self.images,
            faces=self.faces,
            lost=self.faces - len(self.overlaps),
            added=self.added,
            mean_iou=float(np.mean(self.overlaps)) if self.overlaps else 0.0,
            false_boxes=self.false_boxes,
            caffe_false_boxes=self.caffe_false_boxes,
            same_emotion=same,
            classifier=classifier,
        )


def compare(
    detectors: Mapping[Key, Detector],
    caffe: Detector,
    scenes: Iterable[Scene],
    classifier: LoadedArtifact | None,
) -> dict[Key, dict[str, Agreement]]:
    """Run the detectors on every scene.

    A box that one side scores MIN_SCORE or more and the other only NEARLY is a tie: it is not
    added, and where it is false it counts as false for both. It is lost all the same.

    Args:
        detectors: the compiled ones; their least score is NEARLY.
        caffe: the original; its least score too.
        scenes: the pictures.
        classifier: tells the emotion in each pair of boxes; None leaves that out.

    Returns:
        For each detector its agreement over all scenes under ``all``, and under each kind.
    """
    counts: dict[Key, dict[str, _Counts]] = {key: {"all": _Counts()} for key in detectors}
    for scene in scenes:
        all_theirs = caffe.detect(scene.image)
        theirs = _certain(all_theirs)
        emotions = {face.box: _emotion(classifier, scene.image, face.box) for face in theirs}
        for key, detector in detectors.items():
            all_ours = detector.detect(scene.image)
            ours = _certain(all_ours)
            pairs = _pairs(ours, theirs)
            same = [
                emotions[other.box] == _emotion(classifier, scene.image, mine.box)
                for mine, other, _ in pairs
            ]
            by_kind = counts[key]
            for count in (by_kind["all"], by_kind.setdefault(scene.kind, _Counts())):
                count.images += 1
                count.faces += len(theirs)
                count.added += len(ours) - len(_pairs(ours, all_theirs))
                count.false_boxes += _false(ours + _tied(all_ours, theirs), scene)
                count.caffe_false_boxes += _false(theirs + _tied(all_theirs, ours), scene)
                count.overlaps += [overlap for _, _, overlap in pairs]
                count.same_emotions += same if classifier else []
    name = None
    if classifier is not None:
        record = classifier.record
        name = f"{record.name}@{record.version}"
    return {
        key: {kind: count.agreement(name) for kind, count in kinds.items()}
        for key, kinds in counts.items()
    }


def _certain(faces: list[Face]) -> list[Face]:
    return [face for face in faces if face.score >= MIN_SCORE]


def _tied(faces: list[Face], others: list[Face]) -> list[Face]:
    """Take the faces just below the threshold that the other side has above it."""
    below = [face for face in faces if face.score < MIN_SCORE]
    return [face for face, _, _ in _pairs(below, others)]


def _emotion(classifier: LoadedArtifact | None, image: Pixels, box: Box) -> int:
    """Tell the emotion of the face in a box, as an index into EMOTIONS."""
    if classifier is None:
        return 0
    tensor = face_tensor(face_pixels(image, box), classifier.record.input_size)
    return int(classifier.run(tensor[np.newaxis])[0].argmax())


def _pairs(ours: list[Face], theirs: list[Face]) -> list[tuple[Face, Face, float]]:
    """Match boxes of an IoU of at least SAME_FACE, the best first, each once."""
    table = [
        (overlap, i, j)
        for j, other in enumerate(theirs)
        for i, overlap in enumerate(_overlaps(other.box, ours))
        if overlap >= SAME_FACE
    ]
    pairs: list[tuple[Face, Face, float]] = []
    used: tuple[set[int], set[int]] = (set(), set())
    for overlap, i, j in sorted(table, reverse=True):
        if i not in used[0] and j not in used[1]:
            pairs.append((ours[i], theirs[j], overlap))
            used[0].add(i)
            used[1].add(j)
    return pairs


def _false(found: list[Face], scene: Scene) -> int:
    """Count boxes that cover no true face."""
    truth = [Face(box, 1) for box in scene.faces]
    return sum(max(_overlaps(face.box, truth), default=0) < _COVERS for face in found)


def _overlaps(box: Box, faces: list[Face]) -> list[float]:
    if not faces:
        return []
    edges = np.stack([_edges(face.box) for face in faces])
    return [float(value) for value in intersection_over_union(_edges(box), edges)]


def _edges(box: Box) -> Floats:
    return np.array([box.x, box.y, box.x + box.width, box.y + box.height], np.float32)
