"""docs/pipeline.md: the parameters' table, and a picture of what each step does to a real photo."""

import base64
from dataclasses import asdict
from html import escape

import cv2
import numpy as np

from benchmarks.server import ROOT
from emotion import EMOTIONS, Classifier
from emotion.arrays import Pixels
from emotion.decode import DEFAULT_LIMITS, decode
from emotion.faces import Face
from emotion.preprocess import PIPELINE, face_pixels, face_tensor
from training.tables import markdown_table

PICTURE = ROOT / "docs" / "pipeline.svg"
_PHOTO = (ROOT / "examples" / "astronaut.jpg").read_bytes()
_MEANINGS = {
    "crop_scale": "side of the square crop, of the height of the detector's box",
    "crop_border": "what fills the part of the square that leaves the picture",
    "face_size": "CK+'s own resolution, through which every face passes",
    "clahe_size": "side at which contrast is equalised",
    "clahe_clip_limit": "how much local contrast may be raised",
    "clahe_tiles": "tiles a side that are equalised on their own",
    "downscale": "interpolation where pixels become fewer",
    "upscale": "interpolation where they become more",
    "channels": "what the backbone's three channels hold",
}
_SIDE, _GAP, _TOP = 112, 24, 34


def parameters() -> str:
    """Every field of PIPELINE, and the fingerprint over them."""
    table = markdown_table(
        ("parameter", "value", "meaning"),
        ((f"`{name}`", f"`{value}`", _MEANINGS[name]) for name, value in asdict(PIPELINE).items()),
    )
    return f"{table}\nFingerprint: `{PIPELINE.fingerprint}`."


def draw() -> str:
    """Send the example photo through the pipeline; returns an SVG."""
    classifier = Classifier()
    photo = decode(_PHOTO)
    prediction = classifier.predict(_PHOTO)
    face = prediction.faces[0].face
    if face is None:
        raise RuntimeError("the example photo has a face")
    crop = _crop(photo, face)
    small = cv2.resize(
        cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY),
        (PIPELINE.face_size, PIPELINE.face_size),
        interpolation=cv2.INTER_AREA,
    )
    equal = face_pixels(photo, face.box)
    if not np.array_equal(equal, face_pixels(crop, None)):
        raise RuntimeError("the crop drawn here is not the one that the pipeline cuts")
    side = prediction.artifact.input_size
    pipeline = PIPELINE
    size = (2 * _SIDE, 2 * _SIDE)
    thumbnail = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
    pictures = [
        (_image(thumbnail, ".jpg"), "decode", f"{photo.shape[1]}x{photo.shape[0]}, upright"),
        (_image(thumbnail, ".jpg") + _box(photo, face), "detect", f"score {face.score:.3f}"),
        (_image(crop, ".jpg"), "crop", f"{pipeline.crop_scale:g} of the box's height"),
        (_image(np.asarray(small, np.uint8)), "grey", f"{pipeline.face_size}x{pipeline.face_size}"),
        (
            _image(equal),
            "CLAHE",
            f"{pipeline.clahe_size}x{pipeline.clahe_size}, limit {pipeline.clahe_clip_limit:g}",
        ),
        (_image(face_tensor(equal, side)), "tensor", f"uint8 {side}x{side}x3"),
        (_bars(prediction.faces[0].probabilities), "network", prediction.artifact.name),
    ]
    width = len(pictures) * (_SIDE + _GAP) + _GAP
    height = _TOP + _SIDE + 34
    parts = [_HEAD.format(width=width, height=height)]
    for place, (picture, title, note) in enumerate(pictures):
        left = _GAP + place * (_SIDE + _GAP)
        parts.append(f'<g transform="translate({left} {_TOP})">{picture}')
        parts.append(f'<text class="title" x="{_SIDE / 2}" y="-12">{escape(title)}</text>')
        parts.append(f'<text x="{_SIDE / 2}" y="{_SIDE + 20}">{escape(note)}</text>')
        if place:
            parts.append(f'<path d="M{-_GAP + 5} {_SIDE / 2}h10m-5 -5l5 5l-5 5"/>')
        parts.append("</g>\n")
    return "".join(parts) + "</svg>\n"


def write() -> None:
    """Draw into docs/."""
    PICTURE.write_text(draw())


BLOCKS = {
    "parameters": parameters,
    "limits": lambda: (
        f"At most {DEFAULT_LIMITS.max_pixels:,} pixels, at least {DEFAULT_LIMITS.min_side} a side."
    ),
}

_HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" \
role="img">
<title>A photo on its way through the pipeline</title>
<style>
text {{ font: 11px system-ui, sans-serif; fill: #57606a; text-anchor: middle }}
.title {{ font-weight: 600; font-size: 13px; fill: #1f2328 }}
.label {{ font-size: 9.5px; text-anchor: end }}
image {{ image-rendering: pixelated }}
path {{ fill: none; stroke: #57606a; stroke-width: 1.5 }}
.box {{ fill: none; stroke: #f0b429; stroke-width: 2 }}
.bar {{ fill: #3b82c4 }}
@media (prefers-color-scheme: dark) {{
text {{ fill: #9198a1 }} .title {{ fill: #f0f6fc }} path {{ stroke: #9198a1 }}
}}
</style>
"""


def _crop(photo: Pixels, face: Face) -> Pixels:
    box = face.box
    side = round(PIPELINE.crop_scale * box.height)
    left, top = (
        round(box.x + box.width / 2 - side / 2),
        round(box.y + box.height / 2 - side / 2),
    )
    return photo[top : top + side, left : left + side]


def _image(pixels: Pixels, kind: str = ".png") -> str:
    content = base64.b64encode(cv2.imencode(kind, pixels)[1].tobytes()).decode()
    mime = {".png": "image/png", ".jpg": "image/jpeg"}[kind]
    return f'<image width="{_SIDE}" height="{_SIDE}" href="data:{mime};base64,{content}"/>'


def _box(photo: Pixels, face: Face) -> str:
    scale = _SIDE / photo.shape[0]
    box = face.box
    sizes = " ".join(
        f'{name}="{scale * value:.1f}"'
        for name, value in (
            ("x", box.x),
            ("y", box.y),
            ("width", box.width),
            ("height", box.height),
        )
    )
    return f'<rect class="box" {sizes}/>'


def _bars(probabilities: np.ndarray) -> str:
    step = _SIDE / len(EMOTIONS)
    parts = []
    for place, (emotion, probability) in enumerate(zip(EMOTIONS, probabilities, strict=True)):
        top = place * step
        parts.append(f'<text class="label" x="52" y="{top + step / 2 + 3:.1f}">{emotion}</text>')
        width = max(1.0, 58 * float(probability))
        parts.append(
            f'<rect class="bar" x="56" y="{top + 3:.1f}" width="{width:.1f}" '
            f'height="{step - 6:.1f}"/>'
        )
    return "".join(parts)
