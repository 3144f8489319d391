"""Raw answers, from which every table can be computed again, as CSV (``.csv`` or ``.csv.gz``)."""

import csv
import gzip
import io
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import cast

from emotion.errors import EmotionError
from emotion.labels import EMOTIONS
from emotion.records import PRECISIONS, Precision
from training.files import replace_file

KNOWN = ("image", "subject", "sequence", "fold", "model", "precision", "label")
COLUMNS = (*KNOWN, "predicted", *EMOTIONS)


class PredictionsError(EmotionError):
    """Raw predictions are damaged, incomplete or there twice."""


@dataclass(frozen=True)
class PredictionRow:
    """One image's truth and an artifact's answer."""

    image: str  # path inside the dataset
    subject: str
    sequence: str
    fold: int
    model: str
    precision: Precision
    label: str
    probabilities: tuple[float, ...]  # [7], five decimals

    @property
    def predicted(self) -> str:
        """The most probable emotion."""
        return EMOTIONS[max(range(len(EMOTIONS)), key=self.probabilities.__getitem__)]


def write_predictions(path: Path, rows: Iterable[PredictionRow]) -> None:
    """Write rows by model, precision and image; the same rows give the same bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in sorted(rows, key=_order):
        known = [getattr(row, name) for name in KNOWN]
        writer.writerow([*known, row.predicted, *(f"{p:.5f}" for p in row.probabilities)])
    content = text.getvalue().encode()
    replace_file(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def read_predictions(path: Path) -> list[PredictionRow]:
    """Read what ``write_predictions`` wrote; raises PredictionsError naming file and line."""
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise PredictionsError(f"{path} cannot be read: {error}.") from error
    reader = csv.DictReader(io.StringIO(text))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise PredictionsError(f"{path} must have the columns {', '.join(COLUMNS)}.")
    rows = []
    for record in reader:
        try:
            row = _row(record)
        except (KeyError, TypeError, ValueError) as error:
            raise PredictionsError(f"{path}, line {reader.line_num}: {error}.") from error
        rows.append(row)
    return rows


def read_complete(path: Path) -> list[PredictionRow]:
    """Read rows in which every artifact answers each image once; else raises PredictionsError."""
    rows = read_predictions(path)
    check_complete(rows, {row.image for row in rows}, str(path))
    return rows


def check_complete(rows: Iterable[PredictionRow], images: Collection[str], source: str) -> None:
    """Raise PredictionsError unless every artifact answers each of ``images`` exactly once.

    All three precisions of each model must be there; ``source`` begins the message.
    """
    found = {key: Counter(row.image for row in group) for key, group in by_artifact(rows)}
    for model in dict.fromkeys(model for model, _ in found):
        for precision in PRECISIONS:
            counts = found.get((model, precision), Counter())
            missing, unknown = set(images) - set(counts), set(counts) - set(images)
            twice = {image for image, count in counts.items() if count > 1}
            for problem, names in (("lacks", missing), ("repeats", twice), ("adds", unknown)):
                if names:
                    raise PredictionsError(
                        f"{source}: {model} {precision} {problem} {len(names)} of the "
                        f"{len(images)} images, {min(names)} first."
                    )


def by_artifact(
    rows: Iterable[PredictionRow],
) -> list[tuple[tuple[str, Precision], list[PredictionRow]]]:
    """Group rows by model and precision, in the store's order."""
    grouped = groupby(sorted(rows, key=_order), key=lambda row: (row.model, row.precision))
    return [(key, list(group)) for key, group in grouped]


def _row(record: dict[str, str]) -> PredictionRow:
    row = PredictionRow(
        image=record["image"],
        subject=record["subject"],
        sequence=record["sequence"],
        fold=int(record["fold"]),
        model=record["model"],
        precision=cast(Precision, record["precision"]),
        label=record["label"],
        probabilities=tuple(float(record[emotion]) for emotion in EMOTIONS),
    )
    if row.precision not in PRECISIONS or row.label not in EMOTIONS:
        raise ValueError(f"{row.precision} or {row.label} is unknown")
    if row.predicted != record["predicted"]:
        raise ValueError(f"{record['predicted']} is not the most probable emotion")
    return row


def _order(row: PredictionRow) -> tuple[str, int, str]:
    return row.model, [*PRECISIONS, row.precision].index(row.precision), row.image
