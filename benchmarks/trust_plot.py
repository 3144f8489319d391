"""What a soak, a storm and a round of fuzzing showed, as pictures."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from benchmarks.fuzz import FuzzReport
    from benchmarks.overload import OverloadReport
    from benchmarks.soak import SoakReport

_LATENCY, _MEMORY, _REFUSED = "#3b82c4", "#2f855a", "#d97706"


def _axes(rows: int, title: str) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(8, 2.4 * rows), layout="constrained", dpi=120)
    grid = list(figure.subplots(rows, 1, squeeze=False).flat)
    for axes in grid:
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=10)
    return figure, grid


def _memory(axes: Axes, x: list[float], resident: list[int], label: str) -> None:
    axes.plot(x, [n / 1e6 for n in resident], color=_MEMORY)
    axes.set(xlabel=label, ylabel="resident, MB", ylim=(0, 1.2 * max(resident) / 1e6))


def plot_soak(report: "SoakReport", picture: Path) -> None:
    """Draw p99 and memory over the run."""
    figure, (latency, memory) = _axes(
        2,
        f"{report.offered_per_second:g} requests a second for {report.seconds / 60:g} minutes, "
        f"{report.kinds} kinds\n{report.machine}, {report.date}",
    )
    at = (np.arange(len(report.p99)) + 0.5) * report.seconds / len(report.p99) / 60
    latency.plot(at, [np.nan if p is None else p for p in report.p99], color=_LATENCY)
    latency.set(ylabel="p99, ms", ylim=(0, None))
    _memory(memory, [at / 60 for at in report.resident_at], report.resident_bytes, "minutes")
    figure.savefig(picture)


def plot_overload(report: "OverloadReport", picture: Path) -> None:
    """Draw what was answered and refused each second, and memory."""
    figure, (rate, memory) = _axes(
        2,
        f"{report.artifact}: {report.offered_per_second:g} requests a second, the peak is "
        f"{report.peak_per_second:g}\n{report.machine}, {report.date}",
    )
    at = np.arange(len(report.answered)) / 60
    rate.plot(at, report.answered, color=_LATENCY, label="answered")
    rate.plot(at, report.refused, color=_REFUSED, label="refused with 503")
    rate.axhline(report.peak_per_second, color="grey", linestyle=":", label="peak")
    rate.set(ylabel="a second", ylim=(0, None))
    rate.legend(fontsize=8, frameon=False)
    _memory(memory, [at / 60 for at in report.resident_at], report.resident_bytes, "minutes")
    figure.savefig(picture)


def plot_fuzz(report: "FuzzReport", picture: Path) -> None:
    """Draw memory over the images sent."""
    figure, (memory,) = _axes(
        1,
        f"{report.images:,} mutated images: {report.statuses}\n{report.machine}, {report.date}",
    )
    share = report.images / max(len(report.resident_bytes) - 1, 1)
    sent = [share * number for number in range(len(report.resident_bytes))]
    _memory(memory, sent, report.resident_bytes, "images sent")
    figure.savefig(picture)
