"""Scores to figures. The same scores give the same bytes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter

from emotion.labels import EMOTIONS
from emotion.records import PRECISIONS, ArtifactRecord, Precision
from training.scores import ArtifactScores

COLOURS = {"mobilenet": "#0072b2", "resnet50": "#d55e00", "vgg16": "#009e73"}  # Okabe and Ito
MARKERS = {"float32": "o", "float16": "s", "int8": "^"}
MARKER_SIZES = {"float32": 11, "float16": 7, "int8": 8}  # float16 lies on float32
BINS = 15
FEW = 10


def plot_confusion(scores: Sequence[ArtifactScores], title: str, path: Path) -> None:
    """Counts; right answers blue and mistakes orange, darker for a larger share of the class."""
    figure, grid = _grid(scores, title, side=3.6)
    for axes, s in zip(grid, scores, strict=True):
        shares = s.confusion / np.maximum(s.confusion.sum(axis=1, keepdims=True), 1)
        right = np.eye(len(EMOTIONS), dtype=bool)
        axes.imshow(np.ma.array(shares, mask=~right), cmap="Blues", vmin=0, vmax=1)
        axes.imshow(
            np.ma.array(shares, mask=right | (shares == 0)), cmap="Oranges", vmin=0, vmax=0.2
        )
        for (truth, answer), count in np.ndenumerate(s.confusion):
            dark = shares[truth, answer] > (0.5 if truth == answer else 0.12)
            if count:
                axes.text(
                    answer,
                    truth,
                    str(count),
                    ha="center",
                    va="center",
                    fontsize=9,
                    color="white" if dark else "black",
                )
        axes.set_title(f"{s.model} {s.precision}: {s.metrics.accuracy:.1%}", fontsize=10)
        axes.set_xticks(range(7), EMOTIONS, rotation=45, ha="right", fontsize=8)
        axes.set_yticks(range(7), EMOTIONS, fontsize=8)
    figure.supxlabel("predicted", fontsize=10)
    figure.supylabel("true", fontsize=10)
    _save(figure, path)


def plot_reliability(scores: Sequence[ArtifactScores], title: str, path: Path) -> None:
    """Accuracy over confidence in bins; bars below the diagonal mean overconfidence."""
    figure, grid = _grid(scores, title, side=3.1)
    for axes, s in zip(grid, scores, strict=True):
        lows = [b.low for b in s.bins]
        share = [b.images / s.metrics.images for b in s.bins]
        width = 1 / BINS
        colours = ["#6fa3d4" if b.images >= FEW else "#d6e4f1" for b in s.bins]
        axes.bar(lows, [b.accuracy for b in s.bins], width, align="edge", color=colours, ec="white")
        axes.bar(lows, share, width / 3, align="edge", color="#444444")
        axes.plot([0, 1], [0, 1], "--", color="black", linewidth=0.8)
        axes.plot([b.confidence for b in s.bins], [b.accuracy for b in s.bins], "k.", markersize=4)
        ece = s.metrics.calibration_error
        axes.set_title(f"{s.model} {s.precision}: ECE {ece:.1%}", fontsize=10)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.tick_params(labelsize=8)
    figure.supxlabel(
        f"confidence (narrow: share of the images; pale: fewer than {FEW} images)", fontsize=10
    )
    figure.supylabel("accuracy", fontsize=10)
    _save(figure, path)


def plot_tradeoff(
    scores: Sequence[ArtifactScores], records: Sequence[ArtifactRecord], title: str, path: Path
) -> None:
    """Accuracy with its 95 % interval over latency and over size, an artifact a point."""
    shipped = {(r.model, r.precision): r for r in records}
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for s in scores:
        record = shipped.get((s.model, s.precision))
        if record is not None:
            label = f"{s.model} {s.precision}"
            _point(left, record.latency.p50_ms, s, label)
            _point(right, record.bytes / 1e6, s, "")
    for axes, name in ((left, "median latency, ms (one thread)"), (right, "size, MB")):
        axes.set_xscale("log")
        axes.set_xlabel(name)
        low, high = axes.get_xlim()
        axes.set_xticks([t for t in _ROUND if low <= t <= high])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    left.set_ylabel("accuracy")
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    figure.suptitle(title, fontsize=11)
    points = [(c.lines[0], str(c.get_label())) for c in left.containers]  # without their bars
    figure.legend(*zip(*points, strict=True), loc="outside right center", fontsize=9, frameon=False)
    _save(figure, path)


def plot_input_sizes(
    curves: Mapping[Precision, Sequence[tuple[int, float, float]]], title: str, path: Path
) -> None:
    """Accuracy over latency, a curve a precision; each point is (size, median in ms, accuracy)."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for precision, points in curves.items():
        sizes, latencies, accuracies = zip(*points, strict=True)
        axes.plot(
            latencies,
            accuracies,
            marker=MARKERS[precision],
            markersize=MARKER_SIZES[precision],
            label=precision,
        )
        if precision == "float32":  # float16 lies on it, and int8's order is the same
            for size, latency, accuracy in zip(sizes, latencies, accuracies, strict=True):
                axes.annotate(str(size), (latency, accuracy), (4, -14), textcoords="offset points")
    axes.set_xlabel("median latency, ms (one thread)")
    axes.set_ylabel("accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(frameon=False)
    figure.suptitle(title, fontsize=11)
    _save(figure, path)


_ROUND = [base * 10**power for power in range(-2, 4) for base in (1, 1.5, 2, 3, 5, 7)]


def _point(axes: Axes, x: float, scores: ArtifactScores, label: str) -> None:
    metrics = scores.metrics
    spread = [
        [metrics.accuracy - metrics.accuracy_low],
        [metrics.accuracy_high - metrics.accuracy],
    ]
    colour = COLOURS.get(scores.model, "black")
    axes.errorbar(
        [x],
        [metrics.accuracy],
        yerr=spread,
        fmt=MARKERS[scores.precision],
        color=colour,
        ecolor=(*mpl.colors.to_rgb(colour), 0.35),
        markersize=MARKER_SIZES[scores.precision],
        markeredgecolor="white",
        capsize=3,
        label=label,
    )


def _grid(scores: Sequence[ArtifactScores], title: str, side: float) -> tuple[Figure, list[Axes]]:
    rows = -(-len(scores) // len(PRECISIONS))
    layout = ConstrainedLayoutEngine(h_pad=0.08, hspace=0.02)
    figure = Figure(figsize=(side * len(PRECISIONS), side * rows + 0.7), layout=layout)
    grid = figure.subplots(rows, len(PRECISIONS), sharex=True, sharey=True, squeeze=False)
    figure.suptitle(title, fontsize=11)
    return figure, list(grid.flat)


def _save(figure: Figure, path: Path) -> None:
    # Without the version in the metadata, another matplotlib may still draw the same bytes.
    figure.savefig(path, dpi=100, metadata={"Software": None})
