"""The most memory that one process may need, which its container's limit has to allow."""

from benchmarks.costs import figure, result
from service.engine import at_once
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
    """Bytes during a switch, when every core decodes the largest image and every body is large.

    A body that has just arrived is there in pieces and joined; one that waits, or is computed,
    once.
    """
    decoding = settings.threads * settings.max_pixels * DECODING
    computed = at_once(settings.threads)
    decoded = (computed - settings.threads) * settings.max_pixels * 3
    admitted = settings.max_waiting + computed
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
