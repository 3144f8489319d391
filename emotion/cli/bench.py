"""``emotion bench``: what each stage costs with each artifact on this machine."""

import json
from pathlib import Path
from typing import Annotated

import cv2
import typer
from rich.table import Table

from emotion.bench import STAGES, ArtifactTiming, Bench
from emotion.bench import bench as measure
from emotion.bench_plot import plot as draw
from emotion.bench_plot import require
from emotion.cli import options as o
from emotion.cli.show import show, title
from emotion.errors import ArtifactUnavailableError
from emotion.files import read_image
from emotion.names import split


def bench(
    image: o.Image,
    models: o.Models = [],  # noqa: B006 (typer copies it)
    precisions: o.Precisions = [],  # noqa: B006
    repeats: Annotated[int, typer.Option(min=1, help="Timed calls of each artifact.")] = 100,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw it into this file: .png, .svg or .pdf.", dir_okay=False),
    ] = None,
    faces: o.FacesOption = "largest",
    no_face: o.NoFaceOption = "error",
    detector: o.Detector = None,
    store: o.Store = o.STORE,
    detector_dir: o.DetectorDir = None,
    data_dir: o.DataDir = None,
    max_pixels: o.MaxPixels = o.MAX_PIXELS,
    as_json: o.Json = False,
) -> None:
    """Time every stage with every artifact on this machine.

    One thread; the artifacts take turns, so that whatever else the machine does hits all alike.
    """
    if plot:
        require(plot)
    cv2.setNumThreads(1)  # as the service does
    classifier = o.open_classifier(store, detector, detector_dir, data_dir, max_pixels)
    loaded = classifier.load(split(models), split(precisions), o.left_out)
    if not loaded:
        raise ArtifactUnavailableError("The model store is empty.")
    result = measure(
        classifier,
        read_image(image),
        [artifact.record for artifact in loaded],
        repeats=repeats,
        faces=faces,
        no_face=no_face,
    )
    if plot:
        draw(result, plot)
    if as_json:
        print(json.dumps(result.as_json()))
    else:
        show(_table(image.name, result))


def _table(name: str, result: Bench) -> Table:
    table = Table(
        title=title(
            f"{name}, {result.width}x{result.height}, {result.repeats} repeats\n{result.machine}"
        ),
        caption="milliseconds, median over p95; x: times as fast as the model's float32",
        show_lines=True,
    )
    table.add_column("artifact")
    for stage in STAGES:
        table.add_column(stage, justify="right")
    table.add_column("network x", justify="right")
    table.add_column("total x", justify="right")
    for timed in result.artifacts:
        table.add_row(*_row(timed))
    return table


def _row(timed: ArtifactTiming) -> list[str]:
    speedup = timed.speedup
    ratios = [f"{speedup[name]:.2f}" for name in ("inference", "total")] if speedup else ["", ""]
    stages = [f"{timed.stages[s].p50:.2f}\n{timed.stages[s].p95:.2f}" for s in STAGES]
    return [f"{timed.record.model}\n{timed.record.precision}", *stages, *ratios]
