"""Faces from the web: FER2013, and FER+ (Barsoum et al. 2016), ten people's names for the same."""

import csv
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from emotion.labels import EMOTIONS
from training.datasets import (
    DatasetError,
    FaceDataset,
    Folder,
    face_dataset,
    find_folder,
    images_of,
    open_source,
)

WEB = FER2013, FERPLUS = "fer2013", "ferplus"  # what faces from the web are called in files
FER2013_CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
# The same, as CK+ has them.
FER2013_NAMES = ("anger", "disgust", "fear", "happy", "neutral", "sadness", "surprise")
FERPLUS_CLASSES = (*EMOTIONS, "neutral")
Split = Literal["train", "test"]
Part = Literal["Train", "Valid", "Test"]

# label.csv: the image, where the face is in it, then votes for these, for unknown and for no face.
_VOTED = ("neutral", "happy", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
_OTHERS = 2
_VOTES = slice(2, 2 + len(_VOTED) + _OTHERS)
_ORDER = [_VOTED.index(emotion) for emotion in FERPLUS_CLASSES]


@dataclass(frozen=True, kw_only=True)
class VotedFaces(FaceDataset):
    """Faces with what people called them; ``labels`` are what most of them said."""

    shares: npt.NDArray[np.float32]  # [n, classes], of a face's votes; each row sums to 1

    def targets(self, classes: int) -> npt.NDArray[np.float32]:
        """Return each class's share of the votes, [n, classes]."""
        if self.shares.shape[1] != classes:
            raise ValueError(f"{self.shares.shape[1]} classes were voted on, not {classes}.")
        return self.shares


def load_fer2013(source: Path, split: Split) -> FaceDataset:
    """Read FER2013's ``train`` (28,709) or ``test`` images (7,178, both official test sets).

    Raises:
        DatasetError: names the missing class.
    """
    folder = find_folder(open_source(source), "train", source) / split
    files = [
        (label, file) for label in FER2013_CLASSES for file in images_of(folder, label, source)
    ]
    return _faces_of_nobody(files, FER2013_CLASSES, source, "FER2013")


def load_ferplus(source: Path, part: Part) -> VotedFaces:
    """Read a part of FER+; without the pictures that most people could not name or saw no face in.

    A single vote for a name counts for nothing (as in the paper).

    Args:
        source: folder or zip with FER2013Train, FER2013Valid and FER2013Test, each with its
            label.csv and images: what FER+'s own ``generate_training_data.py`` makes.
        part: which of the three.

    Raises:
        DatasetError: names the missing folder or file, or the line that cannot be read.
    """
    name = f"FER2013{part}"
    folder = find_folder(open_source(source), name, source) / name
    table = folder / "label.csv"
    if not table.is_file():
        raise DatasetError(f"{source}: {name}/label.csv is missing.")
    images, votes = [], []
    try:
        for row in csv.reader(table.read_text("utf-8").splitlines()):
            counts = _counts(row)
            if counts.any() and counts.argmax() < len(_VOTED):
                images.append(folder / row[0])
                votes.append(counts[_ORDER])
    except (ValueError, csv.Error) as error:
        raise DatasetError(f"{source}: {name}/label.csv: {error}") from error
    if not images:
        raise DatasetError(f"{source}: {name}/label.csv names no face's emotion.")
    shares = np.array(votes, np.float32)
    shares /= shares.sum(axis=1, keepdims=True)
    tops = [FERPLUS_CLASSES[top] for top in shares.argmax(axis=1)]
    files = list(zip(tops, images, strict=True))
    faces = _faces_of_nobody(files, FERPLUS_CLASSES, source, "FER+")
    content = faces.fingerprint.encode() + shares.tobytes()
    fields = vars(faces) | {"fingerprint": hashlib.sha256(content).hexdigest()[:16]}
    return VotedFaces(**fields, shares=shares)


def ckplus_of_fer2013(faces: FaceDataset) -> FaceDataset:
    """Return FER2013's faces but the neutral ones, labels as indices into ``EMOTIONS``."""
    index = np.array([EMOTIONS.index(n) if n in EMOTIONS else -1 for n in FER2013_NAMES])
    labels = index[faces.labels]
    return replace(faces.part(labels >= 0), labels=labels[labels >= 0])


def ckplus_of_ferplus(faces: VotedFaces) -> VotedFaces:
    """Return FER+'s faces but the neutral ones, with the votes for ``EMOTIONS``."""
    named = faces.part(faces.labels < len(EMOTIONS))
    shares = named.targets(len(FERPLUS_CLASSES))[:, : len(EMOTIONS)]
    return replace(named, shares=shares / shares.sum(axis=1, keepdims=True))


def _faces_of_nobody(
    files: list[tuple[str, Folder]], classes: tuple[str, ...], source: Path, title: str
) -> FaceDataset:
    """Read pictures that are face crops already, and do not tell whose."""
    nobody = [""] * len(files)
    return face_dataset(
        files,
        classes,
        subjects=nobody,
        sequences=nobody,
        source=source,
        detector=None,
        title=title,
    )


def _counts(row: list[str]) -> npt.NDArray[np.int64]:
    """Read a line's votes, single ones left out; raises ValueError."""
    votes = [int(count) for count in row[_VOTES]]
    if len(votes) != len(_VOTED) + _OTHERS or min(votes) < 0:
        raise ValueError(f"{row} does not have {len(_VOTED) + _OTHERS} counts of votes.")
    counts = np.array(votes)
    return np.where(counts > 1, counts, 0)
