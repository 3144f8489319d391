"""The images that hardly any network names as CK+ does."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain

import numpy as np

from emotion.classifier import CHECKOUT_STORE
from emotion.store import REPORTS
from training.predictions import PredictionRow, by_artifact, read_predictions
from training.protocols import PROTOCOLS
from training.scores import answers_and_labels
from training.tables import markdown_table
from training.trials import read_trials

_FOLDER = CHECKOUT_STORE / REPORTS
_FEW = 0.3  # of the networks
_PROTOCOL = PROTOCOLS["subject10"]


def never_right() -> str:
    """Images that most networks of ten folds name otherwise than CK+, in float32."""
    networks = list(_networks())
    answers = defaultdict[tuple[str, str, str], list[str]](list)
    for row in chain.from_iterable(networks):
        answers[row.sequence, row.image, row.label].append(row.predicted)
    scored = [answers_and_labels(rows) for rows in networks]  # all in the order of the images
    mean = np.mean([probabilities for probabilities, _ in scored], axis=0)
    together = int((mean.argmax(1) == scored[0][1]).sum())
    hard = [
        (image.rpartition("/")[2], label, named)
        for (_, image, label), named in sorted(answers.items())
        if named.count(label) < _FEW * len(networks)
    ]
    models = Counter(rows[0].model for rows in networks)
    of = ", ".join(f"{count} of {model}" for model, count in sorted(models.items()))
    never = sum(label not in named for _, label, named in hard)
    head = ("image", "CK+ calls it", "so do, of the networks", "most call it")
    lines = (
        (image, label, str(named.count(label)), Counter(named).most_common(1)[0][0])
        for image, label, named in hard
    )
    return (
        f"{len(networks)} networks ({of}): {never} of {len(answers)} images are named otherwise "
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
