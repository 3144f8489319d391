"""The most memory that one process may need, which its container's limit has to allow."""

from service.settings import Settings

ARTIFACTS = 300_000_000  # bytes of all nine
# what benchmarks.bench holds the process to, and the files it maps, which are memory too
MODELS = ARTIFACTS * 5 // 2 + ARTIFACTS
DECODING = 30  # bytes a pixel of an image being decoded


def worst_case(settings: Settings) -> int:
    """Bytes when every thread decodes the largest image and every body is the largest.

    A body that has just arrived is there in pieces and joined; one that waits, or is computed,
    once.
    """
    decoding = settings.threads * settings.max_pixels * DECODING
    admitted = settings.max_waiting + settings.threads
    bodies = (2 * settings.max_uploads + admitted) * settings.max_body_bytes
    return MODELS + decoding + bodies
