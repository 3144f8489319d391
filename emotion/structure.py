"""Refuses files whose structure alone would keep a decoder busy.

A decoder walks every segment of a file, Pillow in Python, and decodes every scan of a
progressive JPEG over all its pixels: 200 kB of scans or 19 MB of empty segments cost seconds.
"""

import re

from PIL.JpegImagePlugin import MARKER

from emotion.errors import UnreadableImageError

MAX_SCANS = 64  # encoders write about 10
MAX_SEGMENTS = 4096  # a 20 MB PNG in chunks of 8 kB has 2,500

_FILL = re.compile(rb"\xff*")
# In entropy-coded data 0xff is followed by 0 or is part of a restart marker.
_MARKER_AFTER_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9


def check_structure(data: bytes, kind: str) -> None:
    """Raise UnreadableImageError where a JPEG or PNG has too many scans or segments."""
    if kind == "JPEG":
        first_scan = _first_scan(data)
        if first_scan is not None:
            _check_scans(data, first_scan)
    if kind == "PNG":
        _check_chunks(data)


def _first_scan(data: bytes) -> int | None:
    """Walk to the first scan as Pillow does; None where Pillow will stop before."""
    place = 2
    for _ in range(MAX_SEGMENTS):
        marker = data.find(b"\xff", place)
        fill = _FILL.match(data, max(marker, place))
        start = fill.end() if fill else place
        if marker < 0 or start >= len(data):
            start = len(data)
        if start - place > MAX_SEGMENTS:  # junk and fill bytes are read one by one
            break
        if start == len(data):
            return None
        code = data[start]
        if code == _START_OF_SCAN:
            return start + 1
        known = MARKER.get(0xFF00 | code)
        if known is None and code != 0:
            return None
        place = start + 1
        if known is not None and known[2] is not None:  # a segment with a length
            place += max(int.from_bytes(data[place : place + 2]), 2)
    raise _too_many("JPEG", "segments", MAX_SEGMENTS)


def _check_scans(data: bytes, place: int) -> None:
    scans = 1
    for _ in range(MAX_SEGMENTS):
        found = _MARKER_AFTER_SCAN.search(data, place)
        if found is None or found[1][0] == _END_OF_IMAGE:
            return
        scans += found[1][0] == _START_OF_SCAN
        if scans > MAX_SCANS:
            raise _too_many("JPEG", "scans", MAX_SCANS)
        place = found.end() + max(int.from_bytes(data[found.end() : found.end() + 2]), 2)
    raise _too_many("JPEG", "segments", MAX_SEGMENTS)


def _check_chunks(data: bytes) -> None:
    place = 8
    for _ in range(MAX_SEGMENTS):
        if place >= len(data):
            return
        place += 12 + int.from_bytes(data[place : place + 4])
    raise _too_many("PNG", "chunks", MAX_SEGMENTS)


def _too_many(kind: str, what: str, limit: int) -> UnreadableImageError:
    return UnreadableImageError(
        f"The {kind} image has more than {limit} {what}: open and save it again, then resend."
    )
