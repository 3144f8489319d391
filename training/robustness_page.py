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


def write_page(numbers: Path) -> Path:
    """Lay out what ``write_rows`` wrote: a condition a line, a precision a column."""
    with numbers.open(newline="") as file:
        rows = [
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
    page = numbers.with_suffix(".md")
    page.write_text(_markdown(rows))
    return page


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
    bare = next(r for r in rows if r.precision == precision and r.group == BARE.group)
    canvas = [r for r in rows if r.precision == precision and r.group == "canvas"]
    pooled = sum(r.correct for r in canvas) / sum(r.images for r in canvas)
    return (
        f"- {precision}: {pooled:.1%} over all canvases, {bare.accuracy:.1%} on the bare frames "
        f"({100 * (pooled - bare.accuracy):+.1f} points)"
    )
