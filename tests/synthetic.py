"""A stand-in with CK+'s layout, names and counts, for machines without the data."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from training.datasets import CKPLUS_COUNTS
from training.web import FER2013_CLASSES

SUBJECTS = 40


def write_ckplus(path: Path) -> Path:
    """Write 981 grey 48x48 PNGs, brighter and more turned from class to class."""
    random = np.random.default_rng(0)
    face = cv2.cvtColor(skimage.data.astronaut()[50:200, 160:310], cv2.COLOR_RGB2GRAY)
    with zipfile.ZipFile(path, "w") as archive:
        for index, (label, count) in enumerate(CKPLUS_COUNTS.items()):
            for number in range(count):
                turn = cv2.getRotationMatrix2D((75, 75), 12 * index - 36 + random.normal(), 1)
                turned = cv2.warpAffine(face, turn, (150, 150), borderMode=cv2.BORDER_REPLICATE)
                small = cv2.resize(turned, (48, 48), interpolation=cv2.INTER_AREA)
                noisy = np.clip(small + random.normal(0, 4, small.shape), 0, 255).astype(np.uint8)
                subject, frame = number // 3 % SUBJECTS, 10 + number % 3
                sequence = index * 10 + number // 3 // SUBJECTS
                name = f"S{subject:03}_{sequence:03}_{frame:08}.png"
                _, png = cv2.imencode(".png", noisy)
                archive.writestr(f"CK+48/{label}/{name}", png.tobytes())
    return path


def write_fer2013(path: Path) -> Path:
    """Write a few grey 48x48 JPEGs for each of FER2013's classes and parts."""
    random = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for label in FER2013_CLASSES:
            for part, count in (("Training", 10), ("PublicTest", 3), ("PrivateTest", 3)):
                folder = "train" if part == "Training" else "test"
                for number in range(count):
                    _, jpeg = cv2.imencode(".jpg", random.integers(0, 256, (48, 48), np.uint8))
                    archive.writestr(f"{folder}/{label}/{part}_{number}.jpg", jpeg.tobytes())
    return path


def write_ferplus(folder: Path, lines: Iterable[str] | None = None) -> Path:
    """Write a few grey 48x48 PNGs and their votes for each of FER+'s parts.

    ``lines`` replace those of the training part's label.csv.
    """
    random = np.random.default_rng(0)
    for part in ("Train", "Valid", "Test"):
        place = folder / "data" / f"FER2013{part}"
        place.mkdir(parents=True)
        table = []
        for number in range(30):
            cv2.imwrite(
                str(place / f"fer{number:07}.png"), random.integers(0, 256, (48, 48), np.uint8)
            )
            votes = np.bincount([number % 10] * 6 + [(number + 1) % 10] * 3 + [0], minlength=10)
            table.append(f'fer{number:07}.png,"(0, 0, 48, 48)",{",".join(map(str, votes))}')
        if lines is not None and part == "Train":
            table = list(lines)
        (place / "label.csv").write_text("".join(f"{line}\n" for line in table))
    return folder
