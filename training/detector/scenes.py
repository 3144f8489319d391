"""Pictures on which the compiled detector and the Caffe original are compared.

CK+ faces on larger canvases at several sizes and places, collages of several, real photos
(scikit-image's, which bring a portrait and pictures without a face) cut, scaled, turned and
relit, and pictures without any face. CK+'s subjects are divided: some only calibrate int8, the
others only judge it. The photos are too few to divide: calibration sees other cuts of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from emotion.arrays import Pixels
from emotion.decode import decode
from emotion.geometry import Box
from training.datasets import CKPLUS_NAME, open_ckplus

SEED = 7
CALIBRATION_SCENES = 200
_CALIBRATION_SUBJECTS = 5  # every fifth
_ASTRONAUT = Box(179, 57, 92, 120)
_PLAIN = (
    *("coffee", "chelsea", "rocket", "retina", "hubble_deep_field", "immunohistochemistry"),
    *("brick", "coins", "grass", "gravel", "moon", "page", "text", "cell"),
)


@dataclass(frozen=True)
class Scene:
    """A picture and where its faces are."""

    kind: str
    image: Pixels  # uint8 [height, width, 3], BGR
    faces: tuple[Box, ...]


class Scenes:
    """Makes the pictures; the same for the same CK+ and part of it."""

    def __init__(self, ckplus: Path, *, calibration: bool) -> None:
        """Read CK+'s faces: either those for calibration or those for judging.

        Raises:
            DatasetError: ``ckplus`` is not CK+.
        """
        self._random = np.random.default_rng((SEED, calibration))
        self._faces = list(_ckplus_faces(ckplus, calibration))
        self._plain = [photo(name) for name in _PLAIN]
        self._portrait = photo("astronaut")

    def calibrate(self) -> Iterator[Pixels]:
        """Yield pictures of every kind, uint8 [height, width, 3], BGR."""
        kinds: tuple[Callable[[], Scene], ...] = (self._single, self._collage, self._photo)
        for number in range(CALIBRATION_SCENES):
            yield (self._empty() if number % 8 == 0 else kinds[number % 3]()).image

    def judge(self) -> Iterator[Scene]:
        """Yield every face once alone, then 200 collages, 200 photos and 200 without a face."""
        for face in self._faces:
            yield self._single(face)
        for make in (self._collage, self._photo, self._empty):
            for _ in range(200):
                yield make()

    def _single(self, face: Pixels | None = None) -> Scene:
        canvas = self._canvas()
        height, width = canvas.shape[:2]
        side = int(min(height, width) * self._random.uniform(0.2, 0.8))
        left, top = self._place(width - side), self._place(height - side)
        _paste(canvas, self._face() if face is None else face, left, top, side)
        return Scene("CK+ face", canvas, (Box(left, top, side, side),))

    def _collage(self) -> Scene:
        columns, rows = self._random.integers(2, 4, 2).tolist()
        canvas = self._canvas()
        height, width = canvas.shape[:2]
        cell = min(width // columns, height // rows)
        faces = []
        for row in range(rows):
            for column in range(columns):
                side = int(cell * self._random.uniform(0.6, 0.9))
                left = column * cell + self._place(cell - side)
                top = row * cell + self._place(cell - side)
                if self._random.random() < 0.15:
                    self._paste_portrait(canvas, left, top, side)
                else:
                    _paste(canvas, self._face(), left, top, side)
                faces.append(Box(left, top, side, side))
        return Scene("collage", canvas, tuple(faces))

    def _photo(self) -> Scene:
        """Cut the portrait around its face, then scale, mirror, relight and blur it."""
        face, random = _ASTRONAUT, self._random
        left, top = int(random.integers(0, face.x - 20)), int(random.integers(0, face.y - 20))
        right = int(random.integers(face.x + face.width + 40, 513))
        bottom = int(random.integers(face.y + face.height + 40, 513))
        image = self._portrait[top:bottom, left:right]
        box = Box(face.x - left, face.y - top, face.width, face.height)
        if random.random() < 0.5:
            image = image[:, ::-1]
            box = Box(right - left - box.x - box.width, box.y, box.width, box.height)
        zoom = random.uniform(0.5, 2)
        image = np.array(cv2.resize(np.ascontiguousarray(image), None, fx=zoom, fy=zoom), np.uint8)
        box = Box(*(round(zoom * value) for value in vars(box).values()))
        lit = image.astype(np.float32) * random.uniform(0.6, 1.3) + random.uniform(-20, 20)
        lit += random.normal(0, random.uniform(0, 6), lit.shape)
        return Scene("photo", lit.clip(0, 255).astype(np.uint8), (box,))

    def _empty(self) -> Scene:
        return Scene("no face", self._canvas(), ())

    def _canvas(self) -> Pixels:
        """Cut a background out of a picture without a face."""
        random = self._random
        height, width = random.integers(200, 801, 2).tolist()
        source = self._plain[int(random.integers(len(self._plain)))]
        share = random.uniform(0.3, 1)
        cut_height, cut_width = (max(16, int(share * side)) for side in source.shape[:2])
        top, left = (
            self._place(whole - part)
            for whole, part in zip(source.shape, (cut_height, cut_width), strict=False)
        )
        cut = source[top : top + cut_height, left : left + cut_width]
        return np.array(cv2.resize(np.ascontiguousarray(cut), (width, height)), np.uint8)

    def _face(self) -> Pixels:
        return self._faces[int(self._random.integers(len(self._faces)))]

    def _place(self, room: int) -> int:
        return int(self._random.integers(0, max(room, 0) + 1))

    def _paste_portrait(self, canvas: Pixels, left: int, top: int, side: int) -> None:
        _paste(canvas, np.ascontiguousarray(self._portrait[30:210, 135:315]), left, top, side)


def photo(name: str) -> Pixels:
    """Return one of scikit-image's pictures as BGR."""
    image: Pixels = getattr(skimage.data, name)()
    return np.dstack([image] * 3) if image.ndim == 2 else np.ascontiguousarray(image[..., ::-1])


def _paste(canvas: Pixels, face: Pixels, left: int, top: int, side: int) -> None:
    interpolation = cv2.INTER_AREA if side < len(face) else cv2.INTER_CUBIC
    scaled = cv2.resize(face, (side, side), interpolation=interpolation)
    canvas[top : top + side, left : left + side] = scaled


def _ckplus_faces(ckplus: Path, calibration: bool) -> Iterator[Pixels]:
    files = sorted(
        (file for folder in open_ckplus(ckplus).iterdir() for file in folder.iterdir()),
        key=lambda file: file.name,
    )
    for file in files:
        match = CKPLUS_NAME.fullmatch(file.name)
        if match and (int(match["subject"][1:]) % _CALIBRATION_SUBJECTS == 0) == calibration:
            yield decode(file.read_bytes())
