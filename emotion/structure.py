"""Refuses files whose structure alone would keep a decoder busy.

A decoder walks every segment of a file, and decodes every scan of a progressive JPEG over
all its pixels: 200 kB of scans or 19 MB of empty segments cost seconds.
"""

import re

from emotion.errors import UnreadableImageError

MAX_SCANS = 64  # encoders write about 10
MAX_SEGMENTS = 4096  # a 20 MB PNG in chunks of 8 kB has 2,500

_FILL = re.compile(rb"\xff*")
_START_OF_SCAN = b"\xff\xda"


def check_structure(data: bytes, kind: str) -> None:
    """Raise UnreadableImageError where a JPEG or PNG has too many scans or segments."""
    if kind == "JPEG":
        # Inside entropy-coded data 0xff is always followed by 0 or a restart marker.
        if data.count(_START_OF_SCAN) > MAX_SCANS:
            raise _too_many(kind, "scans", MAX_SCANS)
        if _more_jpeg_segments_than(MAX_SEGMENTS, data):
            raise _too_many(kind, "segments", MAX_SEGMENTS)
    if kind == "PNG" and _more_png_chunks_than(MAX_SEGMENTS, data):
        raise _too_many(kind, "chunks", MAX_SEGMENTS)


def _more_jpeg_segments_than(limit: int, data: bytes) -> bool:
    place = 2
    for _ in range(limit):
        fill = _FILL.match(data, place)
        start = fill.end() if fill else place
        if start - place > limit:
            return True
        length = int.from_bytes(data[start + 1 : start + 3])
        if start >= len(data) or data[start] == _START_OF_SCAN[1] or start == place or length < 2:
            return False  # pixels begin, or it is not a segment: the decoder's own matter
        place = start + 1 + length
    return True


def _more_png_chunks_than(limit: int, data: bytes) -> bool:
    place = 8
    for _ in range(limit):
        if place >= len(data):
            return False
        place += 12 + int.from_bytes(data[place : place + 4])
    return True


def _too_many(kind: str, what: str, limit: int) -> UnreadableImageError:
    return UnreadableImageError(
        f"The {kind} image has more than {limit} {what}: open and save it again, then resend."
    )
