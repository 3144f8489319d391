"""CK+'s faces once more, as the detector cuts them out of photos.

A face out of a larger picture is not framed quite like CK+'s, and was scaled up and down on its
way. An augmentation of the equalised face cannot show that, so it is done to the pictures.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from emotion.arrays import Pixels
from emotion.decode import decode
from emotion.faces import Detector
from emotion.preprocess import face_pixels
from training.conditions import any_photo
from training.datasets import DatasetError, FaceDataset, read_pictures
from training.recipe import Recipe
from training.workspace import Workspace

SEED = 7


@dataclass(frozen=True, kw_only=True)
class PhotographedFaces(FaceDataset):
    """Faces, and each of them out of several photos."""

    photos: Pixels  # uint8 [n, photos, 128, 128], grey, equalised


def load_faces(recipe: Recipe, workspace: Workspace) -> FaceDataset:
    """Load what a recipe learns from; raises DatasetError where it was not prepared."""
    if not recipe.photographed:
        return FaceDataset.load(workspace.dataset)
    if not workspace.photographed.is_file():
        raise DatasetError(
            f"{workspace.photographed} does not exist: --photographed needs "
            "`python -m training prepare --photos 8` first."
        )
    return PhotographedFaces.load(workspace.photographed)


def both_ways(dataset: FaceDataset, rows: npt.NDArray[np.int64]) -> FaceDataset:
    """Return some faces, and each once more out of its first photo where there are photos."""
    part = dataset.part(rows)
    if isinstance(part, PhotographedFaces):
        return part.and_then(replace(part, faces=part.photos[:, 0]))
    return part


def photograph(
    dataset: FaceDataset, ckplus: Path, detector: Detector, photos: int
) -> PhotographedFaces:
    """Lay each frame of CK+ into so many pictures and cut its face out of them again.

    Where the detector finds none, the frame itself is taken.

    Args:
        dataset: what ``load_ckplus`` made of it.
        ckplus: CK+ as zip or folder.
        detector: finds the faces.
        photos: of each face.
    """
    random = np.random.default_rng(SEED)
    cut = np.repeat(dataset.faces[:, np.newaxis], photos, axis=1)
    pictures = read_pictures(ckplus, dataset.names.tolist())
    for of_one, picture in zip(cut, tqdm(pictures, desc="photographing", unit="face"), strict=True):
        for photo in range(photos):
            image = decode(any_photo(random).picture(picture, random))
            if found := detector.detect(image):
                of_one[photo] = face_pixels(image, found[0].box)
    content = hashlib.sha256(cut.tobytes()).hexdigest()[:16]
    fields = vars(dataset) | {"fingerprint": f"{dataset.fingerprint}+{content}"}
    return PhotographedFaces(**fields, photos=cut)
