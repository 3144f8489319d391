"""What becomes of each kind of image, through the live service."""

import io

import cv2
import httpx
import numpy as np
import pytest
import skimage.data
from PIL import Image

from tests.conftest import ROOT
from tests.observed import problem_of

PHOTO = Image.open(ROOT / "examples" / "astronaut.jpg").convert("RGB")
GREY = PHOTO.convert("L")
OTHER = Image.fromarray(skimage.data.coffee()).resize(PHOTO.size)  # shows no face


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def with_alpha(image: Image.Image) -> Image.Image:
    """Clear at the right edge."""
    image = image.convert("LA" if image.mode == "L" else "RGBA")
    alpha = np.full((image.height, image.width), 255, np.uint8)
    alpha[:, 400:] = 0
    image.putalpha(Image.fromarray(alpha))
    return image


def deep(image: Image.Image) -> bytes:
    """A PNG of 16 bits a channel."""
    pixels = np.asarray(image).astype(np.uint16) * 257
    ordered = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    return cv2.imencode(".png", ordered)[1].tobytes()


ANIMATED = {"save_all": True, "append_images": [OTHER], "duration": 100}
WORKS = {
    "JPEG": saved(PHOTO, "JPEG", quality=90),
    "JPEG, progressive": saved(PHOTO, "JPEG", progressive=True),
    "JPEG, grey": saved(GREY, "JPEG"),
    "JPEG, CMYK": saved(PHOTO.convert("CMYK"), "JPEG"),
    "JPEG, full chroma": saved(PHOTO, "JPEG", subsampling=0),
    "JPEG, several pictures (MPO): the first": saved(PHOTO, "MPO", **ANIMATED),
    "PNG": saved(PHOTO, "PNG"),
    "PNG, grey": saved(GREY, "PNG"),
    "PNG, palette": saved(PHOTO.quantize(256), "PNG"),
    "PNG, palette, clear colour": saved(PHOTO.quantize(255), "PNG", transparency=254),
    "PNG, alpha": saved(with_alpha(PHOTO), "PNG"),
    "PNG, grey, alpha": saved(with_alpha(GREY), "PNG"),
    "PNG, 16 bit": deep(PHOTO),
    "PNG, 16 bit, grey": deep(GREY),
    "PNG, animated: the first picture": saved(PHOTO, "PNG", **ANIMATED),
    "WebP": saved(PHOTO, "WEBP"),
    "WebP, lossless": saved(PHOTO, "WEBP", lossless=True),
    "WebP, alpha": saved(with_alpha(PHOTO), "WEBP"),
    "WebP, animated: the first picture": saved(PHOTO, "WEBP", **ANIMATED),
    "BMP": saved(PHOTO, "BMP"),
    "BMP, grey": saved(GREY, "BMP"),
    "BMP, palette": saved(PHOTO.quantize(256), "BMP"),
    "BMP, 32 bit": saved(with_alpha(PHOTO), "BMP"),
}
REFUSED = {
    "GIF": saved(PHOTO, "GIF"),
    "GIF, animated": saved(PHOTO.quantize(64), "GIF", save_all=True, append_images=[GREY]),
    "TIFF": saved(PHOTO, "TIFF"),
    "JPEG 2000": saved(PHOTO, "JPEG2000"),
    "ICO": saved(PHOTO, "ICO"),
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(1000),
    "AVIF": b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(1000),
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/></svg>',
    "PDF": b"%PDF-1.7\n" + bytes(1000),
    "RIFF, but a sound": b"RIFF\x24\0\0\0WAVEfmt " + bytes(1000),
}


@pytest.mark.parametrize("kind", WORKS)
def test_these_show_what_they_show(http: httpx.Client, kind: str) -> None:
    answer = http.post("/predict?precision=float32", content=WORKS[kind])
    assert answer.status_code == 200, answer.text
    assert answer.json()["image"] == {"width": PHOTO.width, "height": PHOTO.height}
    (face,) = answer.json()["faces"]
    assert face["emotion"] == "happy"
    assert abs(face["box"]["x"] - 179) < 12
    assert abs(face["box"]["y"] - 58) < 12


@pytest.mark.parametrize("kind", REFUSED)
def test_these_are_not_served(http: httpx.Client, kind: str) -> None:
    problem = problem_of(http.post("/predict", content=REFUSED[kind]), 415, "unsupported-format")
    assert "JPEG, PNG, WEBP, BMP" in str(problem["detail"])


def test_faces_of_one_image_are_bounded(start_server, collage: bytes) -> None:
    with start_server(max_faces=2, preload="none") as server:
        answer = httpx.post(f"{server.url}/predict?faces=all", content=collage)
        problem = problem_of(answer, 422, "too-many-faces")
        assert str(problem["detail"]).startswith("3 faces are more than 2")
        assert httpx.post(f"{server.url}/predict", content=collage).status_code == 200
