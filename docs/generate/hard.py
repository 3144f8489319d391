"""The images that no network names as CK+ does."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from emotion.classifier import CHECKOUT_STORE
from emotion.store import REPORTS
from training.predictions import PredictionRow, by_artifact, read_predictions
from training.protocols import PROTOCOLS
from training.tables import markdown_table
from training.trials import read_trials

_FOLDER = CHECKOUT_STORE / REPORTS
_PROTOCOL = PROTOCOLS["subject10"]


def never_right() -> str:
    """Sequences that each network of ten folds names wrongly, in float32."""
    answers, networks = defaultdict[tuple[str, str, str], list[str]](list), Counter[str]()
    for rows in _networks():
        networks[rows[0].model] += 1
        for row in rows:
            answers[row.sequence, row.image, row.label].append(row.predicted)
    wrong = defaultdict[tuple[str, str], list[str]](list)
    for (sequence, _, label), named in answers.items():
        if label not in named:
            wrong[sequence, label].append(Counter(named).most_common(1)[0][0])
    missed = sum(map(len, wrong.values()))
    of = ", ".join(f"{count} of {model}" for model, count in sorted(networks.items()))
    rows_of = (
        (sequence, label, str(len(named)), Counter(named).most_common(1)[0][0])
        for (sequence, label), named in sorted(wrong.items())
    )
    head = ("sequence", "CK+ calls it", "images", "most call it")
    return (
        f"Of {networks.total()} networks ({of}) {missed} images are named otherwise by all, so "
        f"{1 - missed / len(answers):.1%} is what is within reach of networks like these.\n\n"
        f"{markdown_table(head, rows_of)}"
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
