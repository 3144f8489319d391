"""Images that are nearly right: every served format, damaged in the ways files are damaged."""

import io
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from PIL import Image

from benchmarks.headers import edit_field

Mutator = Callable[[bytearray, Generator], bytearray]
EXTREMES = (0, 1, 2, 0x10, 0x7F, 0x80, 0xFE, 0xFF)
HEADER = 64  # bytes that hold sizes, depths and lengths in each of the formats


def seeds(photo: bytes) -> list[bytes]:
    """Encode a photo small and large in every served format and kind."""
    full = Image.open(io.BytesIO(photo)).convert("RGB")
    small = full.resize((96, 96))
    animated = {"save_all": True, "append_images": [small.rotate(90)]}
    kinds: list[tuple[Image.Image, str, dict[str, object]]] = [
        (full, "JPEG", {}),
        (small, "JPEG", {"progressive": True}),
        (small.convert("CMYK"), "JPEG", {}),
        (small, "JPEG", {"exif": _sideways()}),
        (small, "PNG", {}),
        (small.quantize(64), "PNG", {"transparency": 3}),
        (small.convert("RGBA"), "PNG", {}),
        (small, "PNG", animated),
        (small, "WEBP", {}),
        (small, "WEBP", {"lossless": True}),
        (small, "WEBP", animated),
        (small, "BMP", {}),
        (small.quantize(64), "BMP", {}),
    ]
    return [_saved(*kind) for kind in kinds]


def mutant(seed: bytes, random: Generator) -> bytes:
    """Damage an image in one to three ways."""
    data = bytearray(seed)
    for _ in range(random.integers(1, 4)):
        data = MUTATORS[random.integers(len(MUTATORS))](data, random)
    return bytes(data)


def _flip_bits(data: bytearray, random: Generator) -> bytearray:
    for place in random.integers(0, max(len(data), 1), random.integers(1, 20)):
        if place < len(data):
            data[place] ^= 1 << int(random.integers(8))
    return data


def _truncate(data: bytearray, random: Generator) -> bytearray:
    return data[: random.integers(0, len(data) + 1)]


def _edit_header(data: bytearray, random: Generator) -> bytearray:
    for place in random.integers(0, HEADER, random.integers(1, 5)):
        if place < len(data):
            data[place] = EXTREMES[random.integers(len(EXTREMES))]
    return data


def _edit_number(data: bytearray, random: Generator) -> bytearray:
    """Put an extreme number of two or four bytes somewhere: a length, a size, a count."""
    size = int(random.choice([2, 4]))
    place = int(random.integers(0, max(len(data) - size, 1)))
    value = int(random.choice([0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1)]))
    data[place : place + size] = value.to_bytes(size, random.choice(["big", "little"]))
    return data


def _repeat(data: bytearray, random: Generator) -> bytearray:
    start, length = int(random.integers(0, len(data) + 1)), int(random.integers(1, 2000))
    piece = data[start : start + length] * int(random.integers(1, 50))
    return data[:start] + piece + data[start:]


def _remove(data: bytearray, random: Generator) -> bytearray:
    start = int(random.integers(0, len(data) + 1))
    del data[start : start + int(random.integers(1, 500))]
    return data


def _swap_head(data: bytearray, random: Generator) -> bytearray:
    """Put another format's signature before the content."""
    heads = [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\xff\xff\0\0WEBPVP8 ", b"BM"]
    head = heads[random.integers(len(heads))]
    data[: len(head)] = head
    return data


MUTATORS: tuple[Mutator, ...] = (
    _flip_bits,
    _truncate,
    _edit_header,
    edit_field,
    _edit_number,
    _repeat,
    _remove,
    _swap_head,
)


def _saved(image: Image.Image, kind: str, options: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _sideways() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return bytes(np.frombuffer(exif.tobytes(), np.uint8))
