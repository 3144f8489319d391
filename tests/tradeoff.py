"""The page's rule for the best trade-off (service/web/js/tradeoff.js), said a second time."""

from collections.abc import Iterable

WITHIN = 0.01  # of the best accuracy


def best(artifacts: Iterable[tuple[str, float, float]]) -> str:
    """Choose among names with their accuracy (0..1) and latency in ms."""
    known = list(artifacts)
    top = max(accuracy for _, accuracy, _ in known)
    return min((ms, name) for name, accuracy, ms in known if accuracy >= top - WITHIN)[1]
