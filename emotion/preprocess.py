"""An image and a face box to the tensor a backbone takes: the one pipeline of training and serving.

Framing follows CK+: on its frames the detector's box spans about x 10-90 % and
y -3-102 %, so a CK+-like crop is a square on the box's centre with a side of 0.95 of the
box's height. Every crop passes through CK+'s own 48x48 resolution, so that a 12-megapixel
portrait and a dataset frame meet the network alike. CLAHE then runs at 128x128: there its 8x8
tiles hold the 256 pixels that a clip limit of 2 needs to mean 2. On 48x48 the tiles hold 36 and
OpenCV rounds the limit up to one count of 256 bins, an effective 7, which amplifies noise.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import cv2
import numpy as np

from emotion.arrays import Pixels
from emotion.geometry import Box


@dataclass(frozen=True)
class PipelineParameters:
    """Everything that decides which pixels a backbone sees; recorded with every artifact."""

    crop_scale: float = 0.95
    crop_border: str = "replicate"
    face_size: int = 48
    clahe_size: int = 128
    clahe_clip_limit: float = 2.0
    clahe_tiles: int = 8
    downscale: str = "area"
    upscale: str = "linear"
    channels: str = "grey replicated to 3"

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 over the parameters' canonical JSON."""
        canonical = json.dumps(asdict(self), sort_keys=True).encode()
        return hashlib.sha256(canonical).hexdigest()[:16]


PIPELINE = PipelineParameters()


def face_pixels(image: Pixels, box: Box | None) -> Pixels:
    """Frame one face and equalise it: ``equalise(face_crop(image, box))``."""
    return equalise(face_crop(image, box))


def face_crop(image: Pixels, box: Box | None) -> Pixels:
    """Frame one face as CK+ frames its faces, at CK+'s resolution.

    Args:
        image: uint8 [height, width, 3], BGR.
        box: the detector's box; None takes the whole image, made square by repeating its edge.

    Returns:
        uint8 [128, 128], grey, enlarged from 48x48. Where the square leaves the image, edge
        pixels repeat.
    """
    height, width = image.shape[:2]
    side, left, top = _square(height, width, box)
    scale = PIPELINE.face_size / side
    x = _span(left, side, width)
    y = _span(top, side, height)
    grey = cv2.cvtColor(image[y.start : y.stop, x.start : x.stop], cv2.COLOR_BGR2GRAY)
    # Scaled before the border is added: a 16x2,000,000 strip must not become a square first.
    target_x = _scaled(x, left, scale)
    target_y = _scaled(y, top, scale)
    size = (target_x.stop - target_x.start, target_y.stop - target_y.start)
    interpolation = _flag("INTER", PIPELINE.downscale if scale < 1 else PIPELINE.upscale)
    face = cv2.copyMakeBorder(
        cv2.resize(grey, size, interpolation=interpolation),
        top=target_y.start,
        bottom=PIPELINE.face_size - target_y.stop,
        left=target_x.start,
        right=PIPELINE.face_size - target_x.stop,
        borderType=_flag("BORDER", PIPELINE.crop_border),
    )
    size = (PIPELINE.clahe_size, PIPELINE.clahe_size)
    return np.asarray(cv2.resize(face, size, interpolation=_flag("INTER", PIPELINE.upscale)))


def equalise(face: Pixels) -> Pixels:
    """Even out a crop's light (CLAHE): uint8 [128, 128], grey, to the same."""
    tiles = (PIPELINE.clahe_tiles, PIPELINE.clahe_tiles)
    clahe = cv2.createCLAHE(PIPELINE.clahe_clip_limit, tiles)
    return np.asarray(clahe.apply(face), np.uint8)


def _square(height: int, width: int, box: Box | None) -> tuple[int, int, int]:
    """Side, left and top of the square to cut, in image pixels; it may leave the image."""
    if box is None:
        return max(height, width), min((width - height) // 2, 0), min((height - width) // 2, 0)
    side = max(1, round(PIPELINE.crop_scale * box.height))
    left = round(box.x + box.width / 2 - side / 2)
    top = round(box.y + box.height / 2 - side / 2)
    return side, left, top


def _span(start: int, side: int, limit: int) -> range:
    """Return the part of [start, start + side) inside [0, limit), never empty."""
    inside = min(max(start, 0), limit - 1)
    return range(inside, max(min(start + side, limit), inside + 1))


def _scaled(span: range, origin: int, scale: float) -> range:
    """Place an inside span on the face's own pixel grid, never empty."""
    last = PIPELINE.face_size - 1
    start = min(max(round((span.start - origin) * scale), 0), last)
    stop = min(max(round((span.stop - origin) * scale) - 1, start), last) + 1
    return range(start, stop)


def face_tensor(face: Pixels, input_size: int) -> Pixels:
    """Scale an equalised face to a backbone's input.

    Args:
        face: uint8 [128, 128], from ``face_pixels``.
        input_size: side of the backbone's input in pixels.

    Returns:
        uint8 [input_size, input_size, 3], the grey value in every channel. Normalisation is
        part of each artifact's graph, so every precision takes these pixels as they are.
    """
    downscale = _flag("INTER", PIPELINE.downscale)
    scaled = cv2.resize(face, (input_size, input_size), interpolation=downscale)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_GRAY2BGR), np.uint8)


def face_tensors(faces: Iterable[Pixels], input_size: int) -> Pixels:
    """Scale equalised faces, each [128, 128], to uint8 [n, input_size, input_size, 3]."""
    return np.stack([face_tensor(face, input_size) for face in faces])


def _flag(kind: str, name: str) -> int:
    """OpenCV's constant of that name, so that the record above is what really runs."""
    return int(getattr(cv2, f"{kind}_{name.upper()}"))
