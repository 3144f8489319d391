"""What ``robustness`` counted, as CSV, and the page made of it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from emotion.records import PRECISIONS
from training.conditions import BARE
from training.tables import markdown_table


@dataclass(frozen=True)
class RobustnessRow:
    """How one artifact did under one condition; a face that was not found counts as wrong."""

    model: str
    precision: str
    group: str
    condition: str
    images: int
    found: int
    correct: int

    @property
    def accuracy(self) -> float:
        """Share of all images, 0..1."""
        return self.correct / self.images


def write_rows(path: Path, rows: Sequence[RobustnessRow]) -> None:
    """Write counts as CSV."""
    text = io.StringIO()
    names = [field.name for field in fields(RobustnessRow)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    path.write_text(text.getvalue())


def read_rows(path: Path) -> list[RobustnessRow]:
    """Read what ``write_rows`` wrote."""
    with path.open(newline="") as file:
        return [
            RobustnessRow(
                model=record["model"],
                precision=record["precision"],
                group=record["group"],
                condition=record["condition"],
                images=int(record["images"]),
                found=int(record["found"]),
                correct=int(record["correct"]),
            )
            for record in csv.DictReader(file)
        ]


def write_page(numbers: Path) -> Path:
    """Lay out what ``write_rows`` wrote: a condition a line, a precision a column."""
    page = numbers.with_suffix(".md")
    page.write_text(_markdown(read_rows(numbers)))
    return page


def split_canvases(
    rows: Sequence[RobustnessRow], precision: str
) -> tuple[RobustnessRow, list[RobustnessRow]]:
    """Return what an artifact did on the bare frames, and on each canvas."""
    mine = [row for row in rows if row.precision == precision]
    bare = next(row for row in mine if row.group == BARE.group)
    return bare, [row for row in mine if row.group == "canvas"]


def pooled(rows: Sequence[RobustnessRow]) -> float:
    """Accuracy over all of several conditions' pictures, 0..1."""
    return sum(row.correct for row in rows) / sum(row.images for row in rows)


def _markdown(rows: Sequence[RobustnessRow]) -> str:
    of = {(row.group, row.condition, row.precision): row for row in rows}
    lines = []
    for group, condition in dict.fromkeys((row.group, row.condition) for row in rows):
        exact, half, int8 = (of[group, condition, precision] for precision in PRECISIONS)
        shares = [f"{row.accuracy:.1%}" for row in (exact, half, int8)]
        points = f"{100 * (int8.correct - exact.correct) / exact.images:+.1f}"
        lines.append((group, condition, f"{exact.found / exact.images:.1%}", *shares, points))
    head = ("change", "how", "faces found", *PRECISIONS, "int8 against float32, points")
    summary = "\n".join(_canvas_line(rows, precision) for precision in PRECISIONS)
    return f"""# Robustness of {rows[0].model}

{rows[0].images} CK+ frames of subjects that neither trained nor chose the model, through the whole
pipeline of the shipped artifacts. A face that is not found counts as wrong. "bare" is the frame
taken as the face; "canvas" puts it, scaled, on a plain wall before the detector; the other
changes are made to such a picture.

{summary}

{markdown_table(head, lines)}"""


def _canvas_line(rows: Sequence[RobustnessRow], precision: str) -> str:
    bare, canvases = split_canvases(rows, precision)
    together = pooled(canvases)
    return (
        f"- {precision}: {together:.1%} over all canvases, {bare.accuracy:.1%} on the bare frames "
        f"({100 * (together - bare.accuracy):+.1f} points)"
    )
