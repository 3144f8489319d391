"""What a JPEG's scans may look like before a decoder sees them."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from emotion.errors import UnreadableImageError
from emotion.structure import MAX_SCANS, MAX_SEGMENTS, check_structure

HEAD = b"\xff\xd8\xff\xda"  # a picture whose first scan begins at once
# In entropy-coded data 0xff is followed by 0 or is part of a restart marker.
MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
# Mostly what matters to a parser of markers.
SCANS = st.lists(
    st.sampled_from([b"\xff", b"\x00", b"\x02", b"\xda", b"\xd9", b"\xd0", b"\x01"]), max_size=300
).map(b"".join)


def scans_and_segments(data: bytes, place: int) -> tuple[int, int]:
    """Count both by a regular expression, as far as a decoder reads."""
    scans, segments = 1, 0
    while (found := MARKER.search(data, place)) and found[1] != b"\xd9":
        scans += found[1] == b"\xda"
        segments += 1
        place = found.end() + max(int.from_bytes(data[found.end() : found.end() + 2]), 2)
    return scans, segments


@given(scans=SCANS, times=st.sampled_from([1, 10, 1000]))
@example(scans=b"\xff\xda\x00\x02", times=MAX_SCANS - 1)
@example(scans=b"\xff\xda\x00\x02", times=MAX_SCANS)
@example(scans=b"\xff\x01\x00\x02", times=MAX_SEGMENTS)
@example(scans=b"\xff\x01\xff\xff" + bytes(65_600) + b"\xff\xda", times=2)
def test_scans_and_segments_are_counted_as_a_decoder_reads_them(scans: bytes, times: int) -> None:
    data = HEAD + times * scans
    count, segments = scans_and_segments(data, len(HEAD))
    try:
        check_structure(data, "JPEG")
    except UnreadableImageError:
        assert count > MAX_SCANS or segments >= MAX_SEGMENTS
    else:
        assert count <= MAX_SCANS
        assert segments < MAX_SEGMENTS
