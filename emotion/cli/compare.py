"""``emotion compare``: one picture, several artifacts."""

import json
import time
from typing import Annotated, Literal

import typer
from rich.table import Table

from emotion.answers import compare_answer
from emotion.cli import options as o
from emotion.cli.show import show, title
from emotion.names import split
from emotion.results import ComparedArtifact


@o.with_setup
def compare(
    image: o.Image,
    models: o.Models = [],  # noqa: B006 (typer copies it)
    precisions: o.Precisions = [],  # noqa: B006
    repeats: Annotated[int, typer.Option(min=1, help="Timed calls of each artifact.")] = 1,
    faces: Annotated[
        Literal["largest", "whole"], typer.Option(help="The largest face, or the whole picture.")
    ] = "largest",
    face: Annotated[
        int,
        typer.Option(
            min=0,
            help="Another face than the largest: its place in the answer of predict --faces all.",
        ),
    ] = 0,
    no_face: o.NoFaceOption = "error",
    *,
    setup: o.Setup,
) -> None:
    """Show one face to several artifacts, side by side with their float32."""
    classifier = setup.classifier()
    start = time.perf_counter()
    comparison = classifier.compare(
        image,
        split(models),
        split(precisions),
        repeats=repeats,
        faces=faces,
        face=face,
        no_face=no_face,
        left_out=o.left_out,
    )
    total = 1000 * (time.perf_counter() - start)
    if setup.as_json:
        print(json.dumps(compare_answer(comparison, {"total": total})))
        return
    table = Table(title=title(f"{image.name}: the network's median of {repeats}"))
    table.add_column("model")
    table.add_column("precision")
    table.add_column("emotion")
    for heading in ("confidence", "differs", "ms", "MB", "accuracy"):
        table.add_column(heading, justify="right")
    for compared in comparison.artifacts:
        table.add_row(*_row(compared))
    table.caption = "differs: largest difference of a probability to the model's float32"
    show(table)


def _row(compared: ComparedArtifact) -> list[str]:
    record, answer = compared.artifact, compared.prediction
    difference = compared.largest_difference
    return [
        record.model,
        record.precision,
        answer.emotion,
        f"{answer.confidence:.1%}",
        "" if difference is None or record.precision == "float32" else f"{difference:.1%}",
        f"{compared.milliseconds:.2f}",
        f"{record.bytes / 1e6:.2f}",
        f"{record.metrics.accuracy:.1%}",
    ]
