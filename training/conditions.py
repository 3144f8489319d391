"""What a camera does to a face: CK+ frames put into pictures, and those pictures spoiled."""

from dataclasses import dataclass

import cv2
import numpy as np

from emotion.arrays import Pixels

CANVAS = 480  # side of the picture, pixels
FACE = 192  # side of the frame in it, where a condition is about something else


@dataclass(frozen=True)
class Patch:
    """A rectangle that hides part of the frame, in shares of its side."""

    width: float
    height: float
    x: float | None = None  # None: anywhere, at random
    y: float | None = None
    grey: int = 128


@dataclass(frozen=True)
class Condition:
    """One picture-taking; every default is the plain case, a centred face."""

    group: str
    name: str
    detect: bool = True  # False: the frame itself, taken as the face
    side: int = FACE  # of the frame in the picture, pixels
    width: int = CANVAS
    height: int = CANVAS
    x: float = 0.5  # place of the frame: 0 left, 1 right, a quarter of its side from the edge
    y: float = 0.5
    patch: Patch | None = None
    gain: float = 1  # of the grey values
    blur: float = 0  # sigma of a Gaussian, share of the frame's side
    roll: float = 0  # degrees, anticlockwise
    jpeg: int | None = None  # quality; None is lossless

    def picture(self, frame: Pixels, random: np.random.Generator) -> bytes:
        """Turn a frame, uint8 [48, 48, 3] BGR, into an encoded picture."""
        if not self.detect:
            return _encode(frame, None)
        picture = self._embed(_covered(frame, self.patch, random) if self.patch else frame)
        if self.gain != 1:
            picture = np.clip(picture * self.gain, 0, 255).astype(np.uint8)
        if self.blur:
            sigma = self.blur * self.side
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)
        if self.roll:
            picture = _rolled(picture, self.roll)
        return _encode(picture, self.jpeg)

    def _embed(self, frame: Pixels) -> Pixels:
        """Scale the frame and lay it on a plain wall of its border's colour."""
        border = np.concatenate([frame[0], frame[:, 0], frame[:, -1]])
        picture = np.empty((self.height, self.width, 3), np.uint8)
        picture[:] = np.median(border, axis=0)
        spare_x, spare_y = self.width - self.side, self.height - self.side
        margin = min(self.side // 4, spare_x // 2, spare_y // 2)
        left = margin + round(self.x * (spare_x - 2 * margin))
        top = margin + round(self.y * (spare_y - 2 * margin))
        interpolation = cv2.INTER_AREA if self.side < len(frame) else cv2.INTER_CUBIC
        scaled = cv2.resize(frame, (self.side, self.side), interpolation=interpolation)
        picture[top : top + self.side, left : left + self.side] = scaled
        return picture


BARE = Condition("bare", "the frame itself", detect=False)
CORNERS = {
    "upper left": (0.0, 0.0),
    "upper right": (1.0, 0.0),
    "lower left": (0.0, 1.0),
    "lower right": (1.0, 1.0),
}
CONDITIONS = [
    BARE,
    *(
        Condition("canvas", f"{side} px of {CANVAS}", side=side)
        for side in (72, 96, 144, 192, 240, 288, 336)
    ),
    *(Condition("canvas", f"{FACE} px, {place}", x=x, y=y) for place, (x, y) in CORNERS.items()),
    Condition("canvas", "160 px of 640x360", side=160, width=640, height=360, x=0.3),
    Condition("canvas", "160 px of 360x640", side=160, width=360, height=640, y=0.3),
    *(Condition("brightness", f"x{gain}", gain=gain) for gain in (0.4, 0.7, 1.3, 1.6)),
    *(Condition("blur", f"sigma {blur:.0%} of the face", blur=blur) for blur in (0.01, 0.02, 0.04)),
    *(Condition("JPEG", f"quality {jpeg}", jpeg=jpeg) for jpeg in (50, 20, 10)),
    *(Condition("roll", f"{roll:+} degrees", roll=roll) for roll in (-15, -8, 8, 15)),
    Condition("occlusion", "dark band over the eyes", patch=Patch(0.9, 0.2, 0.05, 0.2, grey=20)),
    Condition("occlusion", "lowest quarter", patch=Patch(1, 0.25, 0, 0.75)),
    Condition("occlusion", "left quarter", patch=Patch(0.25, 1, 0, 0)),
    Condition("occlusion", "a square of 12 % anywhere", patch=Patch(0.35, 0.35)),
    *(
        Condition("small face", f"{side} px", side=side, width=3 * side, height=3 * side)
        for side in (24, 32, 40, 48)
    ),
]


def _covered(frame: Pixels, patch: Patch, random: np.random.Generator) -> Pixels:
    side = len(frame)
    x = random.uniform(0, 1 - patch.width) if patch.x is None else patch.x
    y = random.uniform(0, 1 - patch.height) if patch.y is None else patch.y
    left, top = round(x * side), round(y * side)
    covered = frame.copy()
    covered[top : round((y + patch.height) * side), left : round((x + patch.width) * side)] = (
        patch.grey
    )
    return covered


def _rolled(picture: Pixels, degrees: float) -> Pixels:
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    turned = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8)


def _encode(picture: Pixels, jpeg: int | None) -> bytes:
    if jpeg is None:
        return cv2.imencode(".png", picture)[1].tobytes()
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, jpeg])[1].tobytes()
