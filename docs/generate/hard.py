"""The images that hardly any network names as CK+ does."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from emotion.arrays import Probabilities
from emotion.classifier import CHECKOUT_STORE
from emotion.labels import EMOTIONS
from emotion.store import REPORTS
from training.predictions import PredictionRow, by_artifact, read_predictions
from training.protocols import PROTOCOLS
from training.tables import markdown_table
from training.trials import read_trials

_FOLDER = CHECKOUT_STORE / REPORTS
_FEW = 0.3  # of the networks
_PROTOCOL = PROTOCOLS["subject10"]


def never_right() -> str:
    """Images that most networks of ten folds name otherwise than CK+, in float32."""
    answers, networks = defaultdict[tuple[str, str, str], list[str]](list), Counter[str]()
    sums = defaultdict[tuple[str, str, str], Probabilities](
        lambda: np.zeros(len(EMOTIONS), np.float32)
    )
    for rows in _networks():
        networks[rows[0].model] += 1
        for row in rows:
            key = row.sequence, row.image, row.label
            answers[key].append(row.predicted)
            sums[key] += row.probabilities
    hard = [
        (image.rpartition("/")[2], label, named)
        for (_, image, label), named in sorted(answers.items())
        if named.count(label) < _FEW * networks.total()
    ]
    of = ", ".join(f"{count} of {model}" for model, count in sorted(networks.items()))
    together = sum(EMOTIONS[total.argmax()] == label for (*_, label), total in sums.items())
    never = sum(label not in named for _, label, named in hard)
    head = ("image", "CK+ calls it", "so do, of the networks", "most call it")
    lines = (
        (image, label, str(named.count(label)), Counter(named).most_common(1)[0][0])
        for image, label, named in hard
    )
    return (
        f"{networks.total()} networks ({of}): {never} of {len(answers)} images are named otherwise "
        f"by all, {len(hard)} by more than {1 - _FEW:.0%} of them. The mean of all their "
        f"probabilities is right on {together}, {together / len(answers):.1%}.\n\n"
        f"{markdown_table(head, lines)}"
    )


def _networks() -> Iterator[list[PredictionRow]]:
    """The float32 answers of what was merged, and of each trial that has all ten folds."""
    kept = [_FOLDER / _PROTOCOL.file]
    for trial in read_trials(_FOLDER):
        if trial.protocol == _PROTOCOL.name and len(trial.folds) == _PROTOCOL.folds:
            kept.append(_FOLDER / trial.predictions)
    for path in kept:
        for (_, precision), rows in by_artifact(read_predictions(path)):
            if precision == "float32":
                yield rows
