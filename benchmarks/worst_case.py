"""The most memory that one process may need, which its container's limit has to allow."""

from benchmarks.costs import figure, result
from service.settings import Settings

ARTIFACTS = 305_000_000  # bytes of all nine and the detectors
DECODING = 30  # bytes a pixel of an image being decoded
_GIB = 2**30


def serving() -> int:
    """Bytes when every artifact has served: what `make bench` measured, and the files it maps.

    They lie in the temporary directory, which is memory in the containers.
    """
    return round((figure("resident memory / artifact files") + 1) * ARTIFACTS)


def worst_case(settings: Settings) -> int:
    """Bytes during a switch, when every thread decodes the largest image and every body is large.

    A body that has just arrived is there in pieces and joined; one that waits, or is computed,
    once.
    """
    decoding = settings.threads * settings.max_pixels * DECODING
    decoded = settings.max_pixels * 3  # of the thread more than cores
    admitted = settings.max_waiting + settings.threads
    bodies = (2 * settings.max_uploads + admitted) * settings.max_body_bytes
    return serving() + _loading() + decoding + decoded + bodies


def memory_limit(settings: Settings) -> int:
    """Bytes to give the container: the worst case, in whole GiB."""
    return -(-worst_case(settings) // _GIB) * _GIB


def _loading() -> int:
    """Bytes of a newer store beside the one that serves: an interpreter each, and its files."""
    ways = result("memory")["ways"]
    (one,) = (way for way in ways if (way["way"], way["copies"]) == ("given_back", 1))
    return round((float(one["resident"]) / float(one["files"]) + 1) * ARTIFACTS)
