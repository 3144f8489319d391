"""Edits of the fields that say what an image is, in each format's own places.

A PNG's checksum is made right again, or the edit would be refused before it is read.
"""

import struct
import zlib

from numpy.random import Generator

_Field = tuple[int, int, str]  # place, bytes, byte order
# file size, where the pixels are, header size, width, height, planes, depth, compression, ...
_BMP = ((2, 4), (10, 4), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2), (30, 4), (34, 4), (46, 4))


def edit_field(data: bytearray, random: Generator) -> bytearray:
    """Put an extreme or a nearby number into one of an image's header fields."""
    fields = _fields(data)
    if not fields:
        return data
    place, size, order = fields[random.integers(len(fields))]
    most = 2 ** (8 * size) - 1
    now = int.from_bytes(data[place : place + size], "big" if order == "big" else "little")
    near = (now + 1, now - 1, 2 * now, now // 2)
    far = (0, 1, most, most // 2 + 1, 65_500 & most)
    value = int(random.choice((*near, *far))) & most
    data[place : place + size] = value.to_bytes(size, "big" if order == "big" else "little")
    if data.startswith(b"\x89PNG"):
        _sign(data)
    return data


def _fields(data: bytearray) -> list[_Field]:
    """List size, depth, count and length fields."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"\x89PNG"):
        return [f for start in _png_chunks(data) for f in _png(data, start)]
    if data[8:12] == b"WEBP":
        return _webp(data)
    if data.startswith(b"BM"):
        return [(place, size, "little") for place, size in _BMP]
    return []


def _jpeg(data: bytearray) -> list[_Field]:
    fields, place = [], 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        kind, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        fields.append((place + 2, 2, "big"))
        if kind in range(0xC0, 0xC4):  # depth, height, width, components and their sampling
            fields += [(place + 4, 1, "big"), (place + 5, 2, "big"), (place + 7, 2, "big")]
            fields += [(place + at, 1, "big") for at in (9, 10, 11, 12)]
        if kind in (0xC4, 0xDB, 0xDA):  # tables, and what a scan takes of them
            fields += [(place + at, 1, "big") for at in (4, 5, 6)]
        if kind == 0xDA:
            break
        place += 2 + length
    return [field for field in fields if field[0] + field[1] <= len(data)]


def _png_chunks(data: bytearray) -> list[int]:
    starts, place = [], 8
    while place + 12 <= len(data):
        starts.append(place)
        place += 12 + int.from_bytes(data[place : place + 4], "big")
    return starts


def _png(data: bytearray, start: int) -> list[_Field]:
    if data[start + 4 : start + 8] == b"IHDR":
        places = [(start + 8, 4, "big"), (start + 12, 4, "big")]
        return places + [(start + at, 1, "big") for at in range(16, 21)]
    return [(start, 4, "big"), (start + 8, 4, "big")]  # also an animation's numbers


def _sign(data: bytearray) -> None:
    for start in _png_chunks(data):
        length = int.from_bytes(data[start : start + 4], "big")
        end = start + 8 + length
        if end + 4 <= len(data):
            data[end : end + 4] = struct.pack(">I", zlib.crc32(data[start + 4 : end]))


def _webp(data: bytearray) -> list[_Field]:
    fields: list[_Field] = [(4, 4, "little")]
    place = 12
    while place + 8 <= len(data):
        fields.append((place + 4, 4, "little"))
        # flags and canvas, a frame's place and size, or the first bytes of a bitstream
        fields += [(place + 8, 1, "little"), (place + 12, 3, "little"), (place + 15, 3, "little")]
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8 + length + length % 2
    return [field for field in fields if field[0] + field[1] <= len(data)]
