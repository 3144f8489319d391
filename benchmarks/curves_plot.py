"""curves.json to a picture that reads on a light page and on a dark one."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#7d8590"  # grey enough for both
RATE, TYPICAL, TAIL = "#3b82c4", "#d97706", "#f0b429"


def plot(numbers: Path, picture: Path) -> None:
    """Draw throughput and latency over each axis; the same numbers give the same bytes."""
    report = json.loads(numbers.read_text())
    axes_names = list(dict.fromkeys(point["axis"] for point in report["points"]))
    rows = -(-len(axes_names) // 2)
    style: dict[Any, str] = {
        "svg.hashsalt": "curves",
        "svg.fonttype": "none",
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.edgecolor": INK,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(9.5, 2.7 * rows), layout="constrained")
        grid = figure.subplots(rows, 2, squeeze=False).flat
        for axes, name in zip(grid, axes_names, strict=False):
            _panel(axes, name, [p for p in report["points"] if p["axis"] == name])
        for axes in list(grid)[len(axes_names) :]:
            axes.remove()
        lines = figure.axes[-1].get_lines()
        figure.legend(lines, ["p50", "p95"], loc="outside lower center", ncols=2, frameon=False)
        figure.savefig(picture, transparent=True, metadata={"Date": None, "Creator": None})


def _panel(axes: Axes, name: str, points: list[dict[str, Any]]) -> None:
    places = range(len(points))
    axes.bar(places, [p["requests_per_second"] for p in points], 0.5, color=RATE, alpha=0.55)
    axes.set_ylabel("requests/s (bars)", fontsize=8)
    axes.set_xticks(places, [p["value"] for p in points])
    if any("/" in p["value"] for p in points):  # the artifacts' long names
        axes.tick_params(axis="x", rotation=30)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_title(name, fontsize=10)
    axes.tick_params(labelsize=8)
    times = axes.twinx()
    times.plot(places, [p["p50_ms"] for p in points], "o-", color=TYPICAL, label="p50")
    times.plot(places, [p["p95_ms"] for p in points], "^--", color=TAIL, label="p95")
    times.set_ylim(bottom=0)
    times.set_ylabel("latency, ms (lines)", fontsize=8)
    times.tick_params(labelsize=8)
