"""CK+, or pictures of one's own, to faces that went through the serving pipeline."""

import hashlib
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from emotion.arrays import Pixels
from emotion.decode import decode
from emotion.errors import EmotionError
from emotion.faces import Detector
from emotion.labels import EMOTIONS
from emotion.preprocess import PIPELINE, face_pixels

CKPLUS = "CK+"
CKPLUS_KAGGLE = "shawon10/ckplus"
CKPLUS_COUNTS = dict(zip(EMOTIONS, (135, 54, 177, 75, 207, 84, 249), strict=True))
CKPLUS_FRAMES = 3  # of each sequence, its last ones
MIN_PEOPLE = 7  # subject_split's folds
CKPLUS_NAME = re.compile(r"(?P<subject>S\d{3})_(?P<sequence>\d{3})_(?P<frame>\d{8})\.png")
Folder: TypeAlias = Path | zipfile.Path


class DatasetError(EmotionError):
    """The dataset is missing, incomplete or not the expected one."""


@dataclass(frozen=True)
class FaceDataset:
    """Faces after the serving pipeline, with what a fair split needs to know about each."""

    faces: Pixels  # uint8 [n, 128, 128], grey, equalised
    labels: npt.NDArray[np.int64]  # [n], indices into the classes
    names: npt.NDArray[np.str_]  # [n], path inside the dataset
    subjects: npt.NDArray[np.str_]  # [n], empty where the dataset does not tell
    sequences: npt.NDArray[np.str_]  # [n], subject and sequence, empty likewise
    fingerprint: str  # of the faces, labels and pipeline
    title: str = CKPLUS

    @property
    def description(self) -> str:
        """What it is, for a card."""
        images, people = len(self), len(set(self.subjects.tolist()))
        if self.title == CKPLUS:
            return (
                f"CK+ (Lucey et al. 2010): {images} images, the last three frames of "
                f"{len(set(self.sequences.tolist()))} sequences, {people} subjects"
            )
        return f"{self.title}: {images} images of {people} people"

    def __len__(self) -> int:
        return len(self.labels)

    def targets(self, classes: int) -> npt.NDArray[np.float32]:
        """Return what a classifier should answer for each face: one-hot, [n, classes]."""
        return np.eye(classes, dtype=np.float32)[self.labels]

    def part(self, rows: npt.NDArray[Any]) -> Self:
        """Return some of the faces: indices, or a mask."""
        return replace(self, **{name: array[rows] for name, array in self._arrays.items()})

    @property
    def _arrays(self) -> dict[str, Any]:
        """What there is of each face."""
        return {k: value for k, value in vars(self).items() if isinstance(value, np.ndarray)}

    def and_then(self, other: Self) -> Self:
        """Return these faces, then those of ``other``."""
        pairs = {name: [array, other._arrays[name]] for name, array in self._arrays.items()}
        both: dict[str, Any] = {name: np.concatenate(pair) for name, pair in pairs.items()}
        return replace(self, **both, fingerprint=self.fingerprint + other.fingerprint)

    def save(self, path: Path) -> None:
        """Write as a compressed ``.npz``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"new.{path.name}")
        with new.open("wb") as file:
            np.savez_compressed(file, **vars(self))
        new.replace(path)

    @classmethod
    def load(cls, path: Path) -> "FaceDataset":
        """Read what ``save`` wrote; raises DatasetError if there is none, or it is damaged."""
        if not path.is_file():
            raise DatasetError(f"{path} does not exist: run `python -m training prepare` first.")
        try:
            with path.open("rb") as file, np.load(file) as arrays:
                fields: dict[str, Any] = {name: arrays[name] for name in arrays.files}
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DatasetError(f"{path} is damaged: prepare it again ({error}).") from error
        texts = {name: str(value) for name, value in fields.items() if value.ndim == 0}
        return cls(**(fields | texts))


def load_ckplus(source: Path, detector: Detector | None = None) -> FaceDataset:
    """Read CK+ (981 images of 118 subjects) and bring its faces into the serving pipeline.

    Args:
        source: Kaggle's ``ckplus.zip``, or a folder it was unpacked into.
        detector: crops each face out of its picture; None where the pictures already are face
            crops, as Kaggle's are.

    Raises:
        DatasetError: names the missing class, the missing images, or the unexpected file.
    """
    folder = open_ckplus(source)
    files = [(label, file) for label in EMOTIONS for file in images_of(folder, label, source)]
    matches = [CKPLUS_NAME.fullmatch(file.name) for _, file in files]
    for (label, file), match in zip(files, matches, strict=True):
        if match is None:
            raise DatasetError(
                f"{source}: {label}/{file.name} is not named like CK+'s images "
                "(S010_004_00000017.png: subject, sequence, frame)."
            )
    found = Counter(label for label, _ in files)
    for label, expected in CKPLUS_COUNTS.items():
        if found[label] != expected:
            raise DatasetError(
                f"{source}: the class {label} has {found[label]} images, CK+ has {expected}. "
                f"Fetch the dataset again from Kaggle ({CKPLUS_KAGGLE})."
            )
    named = [match for match in matches if match is not None]
    frames = Counter(
        (label, m["subject"], m["sequence"]) for (label, _), m in zip(files, named, strict=True)
    )
    for (label, file), m in zip(files, named, strict=True):
        count = frames[label, m["subject"], m["sequence"]]
        if count != CKPLUS_FRAMES:
            raise DatasetError(
                f"{source}: {label}/{file.name} is one of {count} frames of its sequence, CK+ has "
                f"{CKPLUS_FRAMES} of each: was a file renamed?"
            )
    return face_dataset(
        files,
        EMOTIONS,
        subjects=[match["subject"] for match in named],
        sequences=[f"{match['subject']}_{match['sequence']}" for match in named],
        source=source,
        detector=detector,
    )


def load_folder(source: Path, detector: Detector | None = None) -> FaceDataset:
    """Read any pictures, in a folder per emotion, and bring their faces into the pipeline.

    Args:
        source: folder or zip with the seven folders of ``EMOTIONS``. A file name begins with the
            person: ``anna_03.jpg``. Pictures of one person never meet in training and test.
        detector: as for ``load_ckplus``; without a face, the whole picture is taken.

    Raises:
        DatasetError: an emotion has no picture, a name no person, or there are too few people.
    """
    folder = find_folder(open_source(source), EMOTIONS[0], source)
    files = [(label, file) for label in EMOTIONS for file in images_of(folder, label, source)]
    for label in set(EMOTIONS) - {label for label, _ in files}:
        raise DatasetError(f"{source}: the folder {label} is empty.")
    for label, file in files:
        if not file.name.partition("_")[0] or "_" not in file.name:
            raise DatasetError(
                f"{source}: {label}/{file.name} does not say whose face it is: name it like "
                "anna_03.jpg (person, underscore, anything)."
            )
    people = [file.name.partition("_")[0] for _, file in files]
    if len(set(people)) < MIN_PEOPLE:
        raise DatasetError(
            f"{source} shows {len(set(people))} people, at least {MIN_PEOPLE} are needed to train "
            "on some, choose on others and test on yet others."
        )
    sequences = [Path(file.name).stem for _, file in files]
    return face_dataset(
        files,
        EMOTIONS,
        subjects=people,
        sequences=sequences,
        source=source,
        detector=detector,
        title=source.stem,
    )


def open_ckplus(source: Path) -> Folder:
    """Find the folder of CK+'s seven class folders; raises DatasetError where there is none."""
    return find_folder(open_source(source), "anger", source)


def read_pictures(ckplus: Path, names: Iterable[str]) -> list[Pixels]:
    """Decode CK+'s own pictures, uint8 [48, 48, 3] BGR, by the names that ``load_ckplus`` gave."""
    folder = open_ckplus(ckplus)
    return [decode((folder / name).read_bytes()) for name in names]


def fingerprint_of(dataset: FaceDataset, beside: FaceDataset | None) -> str:
    """Identify the data of a run that learns from ``dataset`` and, maybe, another beside it."""
    return dataset.fingerprint + (f"+{beside.fingerprint}" if beside else "")


def is_of(fingerprint: str, dataset: FaceDataset) -> bool:
    """Whether a run had these data, whatever it had beside them (see fingerprint_of)."""
    return fingerprint.partition("+")[0] == dataset.fingerprint


def fetch_ckplus() -> Path:
    """Download CK+ from Kaggle and return its folder; raises DatasetError without internet."""
    import kagglehub

    try:
        return Path(kagglehub.dataset_download(CKPLUS_KAGGLE))
    except Exception as error:  # kagglehub passes on whatever its HTTP library raises
        raise DatasetError(
            f"CK+ could not be downloaded from Kaggle ({CKPLUS_KAGGLE}): {error}. Download it by "
            "hand and give its path with --ckplus."
        ) from error


def open_source(source: Path) -> Folder:
    """Return a folder, or the inside of a zip; raises DatasetError where it is neither."""
    if source.is_dir():
        return source
    if zipfile.is_zipfile(source):
        return zipfile.Path(source)
    raise DatasetError(f"{source} is neither a folder nor a zip file.")


def find_folder(root: Folder, child: str, source: Path) -> Folder:
    """Find the folder that holds ``child``: the root itself or one a level or two below.

    Raises DatasetError where none does.
    """
    level: list[Folder] = [root]
    for _ in range(3):
        for folder in level:
            if (folder / child).is_dir():
                return folder
        level = [sub for folder in level for sub in folder.iterdir() if sub.is_dir()]
    raise DatasetError(f"{source} has no folder named {child}: is it the right dataset?")


def images_of(folder: Folder, label: str, source: Path) -> list[Folder]:
    """Return a class's files by name; raises DatasetError where its folder is missing."""
    if not (folder / label).is_dir():
        raise DatasetError(f"{source}: the class folder {label} is missing.")
    return sorted((folder / label).iterdir(), key=lambda file: file.name)


def face_dataset(
    files: list[tuple[str, Folder]],
    classes: tuple[str, ...],
    *,
    subjects: list[str],
    sequences: list[str],
    source: Path,
    detector: Detector | None,
    title: str = CKPLUS,
) -> FaceDataset:
    """Bring pictures, each with its class, into the serving pipeline.

    Raises DatasetError, naming the picture that cannot be read.
    """
    faces = np.stack(list(_read_faces(files, source, detector)))
    labels = np.array([classes.index(label) for label, _ in files])
    content = (faces.tobytes(), labels.tobytes(), PIPELINE.fingerprint.encode())
    return FaceDataset(
        faces=faces,
        labels=labels,
        names=np.array([f"{label}/{file.name}" for label, file in files]),
        subjects=np.array(subjects),
        sequences=np.array(sequences),
        fingerprint=hashlib.sha256(b"".join(content)).hexdigest()[:16],
        title=title,
    )


def _read_faces(
    files: Iterable[tuple[str, Folder]], source: Path, detector: Detector | None
) -> Iterator[Pixels]:
    for label, file in tqdm(list(files), desc=f"reading {source.name}", unit="image"):
        try:
            image = decode(file.read_bytes())
        except (EmotionError, OSError, zipfile.BadZipFile, zlib.error) as error:
            raise DatasetError(f"{source}: {label}/{file.name}: {error}") from error
        found = detector.detect(image) if detector else []
        yield face_pixels(image, found[0].box if found else None)
