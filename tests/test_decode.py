import io
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from emotion.decode import DecodeLimits, decode
from emotion.errors import (
    EmotionError,
    ImageTooLargeError,
    ImageTooSmallError,
    UnreadableImageError,
    UnsupportedFormatError,
)
from tests.conftest import encode

# Pillow warns of odd metadata in damaged files and decodes them all the same.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

RGB = skimage.data.astronaut()[::4, ::4].copy()
BGR = RGB[..., ::-1]


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes(4000)))
    return b"\x89PNG\r\n\x1a\n" + header + rows + chunk(b"IEND", b"")


BOMBS = {  # where each format says its width, and how
    "JPEG": (b"\xff\xc0", 5, ">HH", (65_500, 65_500)),
    "PNG": (b"IHDR", 4, ">II", (30_000, 30_000)),
    "WEBP": (b"\x9d\x01\x2a", 3, "<HH", (16_383, 16_383)),
    "BMP": (b"BM", 18, "<ii", (30_000, 30_000)),
}


def bomb(kind: str) -> bytes:
    """A whole picture of 128 pixels a side that claims to have gigabytes of them."""
    mark, after, form, sides = BOMBS[kind]
    data = bytearray(encode(RGB, kind))
    at = data.index(mark) + after
    struct.pack_into(form, data, at, *sides)
    if kind == "PNG":
        struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    return bytes(data)


def many_scans() -> bytes:
    """A progressive JPEG of 16 megapixels whose last scan is there 500 times."""
    data = encode(np.full((4000, 4000), 99, np.uint8), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 500 + data[-2:]


def many_chunks() -> bytes:
    """A PNG with 800,000 empty chunks that a decoder skips one by one."""
    data = encode(RGB)
    chunk = struct.pack(">I", 0) + b"teXt" + struct.pack(">I", zlib.crc32(b"teXt"))
    return data[:33] + chunk * 800_000 + data[33:]


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_lossless_formats_give_the_same_pixels(kind: str) -> None:
    assert np.array_equal(decode(encode(RGB, kind)), BGR)


def test_lossless_webp() -> None:
    assert np.array_equal(decode(encode(RGB, "WEBP", lossless=True)), BGR)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_jpeg_is_close(options: dict[str, bool]) -> None:
    decoded = decode(encode(RGB, "JPEG", quality=95, **options)).astype(int)
    assert np.abs(decoded - BGR).mean() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    upright = RGB[:100]
    stored = {  # how a camera held that way stores the upright picture (EXIF 2.3, tag 0x0112)
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    decoded = decode(
        encode(np.ascontiguousarray(stored), kind, exif=exif.tobytes(), **options)
    ).astype(int)
    assert decoded.shape == (100, 128, 3)
    assert np.abs(decoded - BGR[:100]).mean() < 5


def test_grey_palette_cmyk_and_16_bit_become_colour() -> None:
    image = Image.fromarray(RGB)
    grey = np.asarray(image.convert("L"))
    for converted, kind in (
        (image.convert("L"), "PNG"),
        (image.convert("P"), "PNG"),
        (image.convert("CMYK"), "JPEG"),
        (image.convert("1"), "PNG"),
        (Image.fromarray(grey.astype(np.uint16) * 257), "PNG"),
    ):
        buffer = io.BytesIO()
        converted.save(buffer, kind)
        decoded = decode(buffer.getvalue())
        assert decoded.shape == (128, 128, 3)
        assert decoded.dtype == np.uint8
        if converted.mode.startswith(("I", "L")):
            assert np.array_equal(decoded[..., 0], grey)


def test_transparency_is_laid_over_white() -> None:
    rgba = np.dstack([RGB, np.zeros(RGB.shape[:2], np.uint8)])
    rgba[:64, :, 3] = 255
    decoded = decode(encode(rgba))
    assert np.array_equal(decoded[:64], BGR[:64])
    assert (decoded[64:] == 255).all()


def test_orientation_survives_odd_tags() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x011B] = 6, 72
    damaged = exif.tobytes().replace(b"\x01\x1b\x00\x05", b"\x01\x1b\x00\x01")
    damaged = damaged.replace(b"\x1b\x01\x05\x00", b"\x1b\x01\x01\x00")  # BYTE, not RATIONAL
    assert damaged != exif.tobytes()
    sideways = np.ascontiguousarray(np.rot90(RGB[:100], 1))
    decoded = decode(encode(sideways, "JPEG", quality=95, exif=damaged)).astype(int)
    assert decoded.shape == (100, 128, 3)
    assert np.abs(decoded - BGR[:100]).mean() < 5


def test_damaged_exif_does_not_cost_the_picture() -> None:
    data = encode(RGB, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 40)
    assert decode(data).shape == (128, 128, 3)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", UnreadableImageError),
        (b"this is text in a file named photo.jpg", UnsupportedFormatError),
        (encode(RGB, "GIF"), UnsupportedFormatError),
        (encode(RGB, "TIFF"), UnsupportedFormatError),
        (encode(RGB, "JPEG")[:2000], UnreadableImageError),
        (encode(RGB, "PNG")[:2000], UnreadableImageError),
        (encode(RGB, "WEBP")[:2000], UnreadableImageError),
        (encode(RGB, "BMP")[:2000], UnreadableImageError),
        (encode(RGB[:1, :1]), ImageTooSmallError),
        *((bomb(kind), ImageTooLargeError) for kind in BOMBS),
        (png_header(9_000, 9_000), ImageTooLargeError),
        (png_header(10_000, 10_000), ImageTooLargeError),
    ],
)
def test_bad_input_is_named_quickly(data: bytes, error: type[EmotionError]) -> None:
    start = time.thread_time()
    with pytest.raises(error, match=r".{30,}"):
        decode(data)
    assert time.thread_time() - start < 1


@pytest.mark.parametrize("prefix", [b"", b"\xff\xd0", b"\xff\x00", b"\xff\xd8", b"\xff\xd9"])
@pytest.mark.parametrize(
    "filler", [b"\xff\xfe\0\2", b"\xff\xd0", b"\xff\x00", b"\xff", b"\0", b"\xff\xfe\0\0"]
)
def test_millions_of_segments_are_refused_at_once(prefix: bytes, filler: bytes) -> None:
    photo = encode(RGB, "JPEG")
    data = b"\xff\xd8" + prefix + filler * (16_000_000 // len(filler)) + photo[2:]
    start = time.thread_time()
    with pytest.raises((UnreadableImageError, UnsupportedFormatError)):
        decode(data)
    assert time.thread_time() - start < 0.5


def test_what_follows_the_picture_is_not_looked_at() -> None:
    """A motion photo is a JPEG with a film behind it, in which any two bytes may stand."""
    for options in ({}, {"progressive": True}):
        photo = encode(RGB, "JPEG", **options)
        film = np.random.default_rng(0).bytes(8_000_000)
        assert np.array_equal(decode(photo + film), decode(photo))


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_takes_no_memory(kind: str) -> None:
    """Measured in a process of its own: the most that this one ever had may be more already."""
    code = (
        "import resource, sys\n"
        "from emotion.decode import decode\n"
        "from emotion.errors import ImageTooLargeError\n"
        "most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "data, before = sys.stdin.buffer.read(), most()\n"
        "try:\n    decode(data)\n"
        "except ImageTooLargeError:\n    print(most() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=bomb(kind), capture_output=True)
    assert int(done.stdout) < 20_000, done.stderr  # KiB


def test_limits_are_exact() -> None:
    assert decode(encode(RGB), DecodeLimits(max_pixels=128 * 128)).shape == (128, 128, 3)
    with pytest.raises(ImageTooLargeError, match="128x128"):
        decode(encode(RGB), DecodeLimits(max_pixels=128 * 128 - 1))


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises((UnreadableImageError, UnsupportedFormatError)):
        decode(data)


@pytest.mark.parametrize("picture", [RGB[:48, :40], RGB[:48, :40, 0]])
@settings(max_examples=100, deadline=None)
@given(
    options=st.fixed_dictionaries(
        {"subsampling": st.integers(0, 2), "progressive": st.booleans(), "quality": st.just(60)}
    ),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=3),
)
def test_a_jpeg_has_pillows_pixels_damaged_or_not(
    picture: np.ndarray, options: dict[str, int], damage: list[tuple[float, int]]
) -> None:
    content = bytearray(encode(picture, "JPEG", **options))
    for place, value in damage:
        content[int(place * len(content))] = value
    try:
        pixels = decode(bytes(content), DecodeLimits(max_pixels=1_000_000))
    except EmotionError:
        return
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(image.convert("RGB"))[..., ::-1]
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_mutated_images_decode_or_are_refused(kind: str, data: st.DataObject) -> None:
    content = bytearray(encode(RGB[:48, :48], kind))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(1, len(content)))]
    try:
        pixels = decode(bytes(content), DecodeLimits(max_pixels=1_000_000))
    except EmotionError:
        return
    assert pixels.ndim == 3
    assert pixels.dtype == np.uint8
