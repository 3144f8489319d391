"""Refuses files whose structure alone would keep a decoder busy.

A decoder walks every segment of a file, Pillow in Python, and decodes every scan of a
progressive JPEG over all its pixels: 200 kB of scans or 19 MB of empty segments cost seconds.
"""

import re
from collections.abc import Iterator

import numpy as np
from PIL.JpegImagePlugin import MARKER

from emotion.errors import UnreadableImageError

MAX_SCANS = 64  # encoders write about 10
MAX_SEGMENTS = 4096  # a 20 MB PNG in chunks of 8 kB has 2,500

_FILL = re.compile(rb"\xff*")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_WINDOW = 1 << 16  # bytes looked at together: memory stays small, and most scans end early


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
    scans, segments = 1, 0
    for code in _markers(data, place):
        if code <= place:
            continue  # within the segment before
        if data[code] == _END_OF_IMAGE:
            return
        scans += data[code] == _START_OF_SCAN
        segments += 1
        if scans > MAX_SCANS:
            raise _too_many("JPEG", "scans", MAX_SCANS)
        if segments == MAX_SEGMENTS:
            raise _too_many("JPEG", "segments", MAX_SEGMENTS)
        place = code + 1 + max(int.from_bytes(data[code + 1 : code + 3]), 2)


def _markers(data: bytes, start: int) -> Iterator[int]:
    """Places of what is not 0xff, 0 or part of a restart marker, as in a scan, but follows 0xff.

    A regular expression takes ten times as long, which was 5 % of a request.
    """
    for window in range(start, len(data), _WINDOW):
        codes = np.frombuffer(data, np.uint8, min(_WINDOW + 1, len(data) - window), window)
        places = np.flatnonzero(codes[:-1] == 0xFF) + 1
        found = codes[places]
        markers = (found != 0) & (found != 0xFF) & ((found < 0xD0) | (found > 0xD7))
        yield from (window + places[markers]).tolist()


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
