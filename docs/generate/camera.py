"""What a camera costs each artifact, and what int8 loses to float32 there."""

from collections.abc import Sequence

from docs.generate.blocks import kept_cell
from emotion.classifier import CHECKOUT_STORE
from emotion.records import PRECISIONS
from emotion.store import REPORTS
from training.robustness_page import RobustnessRow, pooled, read_rows, split_canvases
from training.tables import markdown_table

_MOST = 0.01  # that may be lost, of all pictures


def robustness() -> str:
    """A line for each artifact of what `training robustness` counted."""
    pages = [
        read_rows(path) for path in sorted((CHECKOUT_STORE / REPORTS).glob("robustness_*.csv"))
    ]
    head = ("model", "precision", "bare", "canvases", "difference", "kept", "on each canvas")
    against = ("most lost to float32", "kept")
    lines = [_line(rows, precision) for rows in pages for precision in PRECISIONS]
    return f"{pages[0][0].images} frames.\n\n{markdown_table((*head, *against), lines)}"


def _line(rows: Sequence[RobustnessRow], precision: str) -> tuple[str, ...]:
    bare, canvases = split_canvases(rows, precision)
    together = pooled(canvases)
    within = sum(row.accuracy >= bare.accuracy - _MOST for row in canvases)
    exact = {(r.group, r.condition): r for r in rows if r.precision == "float32"}
    mine = [row for row in rows if row.precision == precision]
    worst = min(mine, key=lambda row: row.correct - exact[row.group, row.condition].correct)
    lost = worst.correct - exact[worst.group, worst.condition].correct
    return (
        rows[0].model,
        precision,
        f"{bare.accuracy:.1%}",
        f"{together:.1%}",
        f"{100 * (together - bare.accuracy):+.1f} points",
        kept_cell(together >= bare.accuracy - _MOST),
        f"{within} of {len(canvases)}",
        f"{lost:+d} images ({worst.group}: {worst.condition})" if lost else "-",
        kept_cell(lost >= -_MOST * worst.images),
    )
