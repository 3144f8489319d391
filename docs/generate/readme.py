"""The numbers of README.md: from raw predictions."""

from collections import defaultdict
from textwrap import fill

from emotion.classifier import CHECKOUT_STORE
from emotion.store import REPORTS
from training.protocols import PROTOCOLS
from training.scores import read_scores

_WIDTH = 100


def ten_folds() -> str:
    """Accuracy over ten folds, of the models for which it was measured."""
    protocol = PROTOCOLS["subject10"]
    shares = defaultdict(list)
    images = set()
    for score in read_scores(CHECKOUT_STORE / REPORTS / protocol.file, protocol):
        images.add(score.metrics.images)
        shares[score.model].append(f"{100 * score.metrics.accuracy:.1f} % in {score.precision}")
    (count,) = images
    told = "; ".join(f"{model} {', '.join(each)}" for model, each in shares.items())
    return fill(
        f"Each of CK+'s {count} images predicted by artifacts that never saw its person (ten "
        f"folds): {told} (`model_store/reports/report.md`, with confusion matrices, calibration "
        "and the study beside it).",
        _WIDTH,
    )


BLOCKS = {"ten folds": ten_folds}
