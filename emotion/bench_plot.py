"""Draws what ``emotion.bench`` measured."""

from pathlib import Path

from emotion.bench import STAGES, Bench
from emotion.errors import EmotionError


class PlotError(EmotionError):
    """The plot cannot be drawn."""


def require(path: Path) -> None:
    """Raise PlotError where matplotlib is missing, or cannot write files of that suffix."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        raise PlotError(
            "The plot needs matplotlib: in the checkout, pip install -e '.[plot]', or leave out "
            "--plot."
        ) from error
    known = FigureCanvasAgg.get_supported_filetypes()
    if path.suffix.lower().removeprefix(".") not in known:
        raise PlotError(f"'{path}' must end in one of .{', .'.join(known)}.")


def plot(bench: Bench, path: Path) -> None:
    """Write stacked bars, one per artifact: each stage's median, and the total's p95 as a mark.

    Raises:
        PlotError: see ``require``.
        OSError: the file cannot be written.
    """
    require(path)
    from matplotlib.figure import Figure

    names = [f"{timed.record.model} {timed.record.precision}" for timed in bench.artifacts]
    figure = Figure(figsize=(8, 1.8 + 0.4 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    left = [0.0] * len(names)
    for stage in STAGES[:-1]:
        widths = [timed.stages[stage].p50 for timed in bench.artifacts]
        axes.barh(names, widths, left=left, label=stage)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    totals = [timed.stages["total"].p95 for timed in bench.artifacts]
    axes.plot(totals, names, "k|", markersize=14, label="p95 of the total")
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("milliseconds, median of each stage")
    axes.set_title(
        f"{bench.width}x{bench.height}, {bench.repeats} repeats\n{bench.machine}", size=9
    )
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    figure.savefig(path, dpi=150)
