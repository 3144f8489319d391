"""offered.json to a picture that reads on a light page and on a dark one."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.curves_plot import INK, RATE, TAIL, TYPICAL


def plot(numbers: Path, picture: Path) -> None:
    """Draw latency and answers a second over the offered load."""
    report = json.loads(numbers.read_text())
    points = report["points"]
    loads = [point["share"] for point in points]
    style: dict[Any, str] = {"svg.hashsalt": "offered", "svg.fonttype": "none", "text.color": INK}
    style |= {f"{part}.color": INK for part in ("xtick", "ytick")}
    style |= {"axes.labelcolor": INK, "axes.edgecolor": INK}
    with mpl.rc_context(style):
        figure = Figure(figsize=(8, 4), layout="constrained")
        axes = figure.subplots()
        for name, line, colour in (
            ("p50", "o-", TYPICAL),
            ("p95", "^--", TAIL),
            ("p99", "s:", TAIL),
            ("max", "x:", INK),
        ):
            axes.plot(loads, [p[f"{name}_ms"] for p in points], line, color=colour, label=name)
        axes.set_yscale("log")
        axes.set_ylabel("latency from when it was due, ms")
        axes.set_xlabel(f"offered load / saturation ({report['saturation_per_second']:g} a second)")
        rates = axes.twinx()
        rates.bar(
            loads,
            [p["answered_per_second"] for p in points],
            0.06,
            color=RATE,
            alpha=0.4,
            label="answered",
        )
        rates.set_ylabel("answered a second (bars)")
        figure.legend(loc="outside lower center", ncols=5, frameon=False)
        figure.savefig(picture, transparent=True, metadata={"Date": None, "Creator": None})
