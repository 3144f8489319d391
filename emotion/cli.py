"""The ``emotion`` command: predictions and the model store on the command line."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from emotion.assets import find_detector_files
from emotion.classifier import CHECKOUT_STORE, Classifier, Faces, NoFace, Prediction
from emotion.detectors import DetectorName
from emotion.errors import EmotionError
from emotion.labels import EMOTIONS
from emotion.store import ModelStore

_typer = typer.Typer(
    help="Tell which of seven emotions a face shows.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Store = Annotated[Path, typer.Option(envvar="EMOTION_STORE", help="Directory of the model store.")]
DetectorDir = Annotated[
    Path | None,
    typer.Option(envvar="EMOTION_DETECTOR_DIR", help="Directory with the detector's two files."),
]
DataDir = Annotated[
    Path | None,
    typer.Option(envvar="EMOTION_DATA_DIR", help="Data directory; may have face_detector/."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@_typer.command()
def predict(
    image: Annotated[Path, typer.Argument(help="A JPEG, PNG, WebP or BMP file.", exists=True)],
    model: Annotated[str, typer.Option(help="Backbone.")] = "mobilenet",
    precision: Annotated[str, typer.Option(help="float32, float16 or int8.")] = "int8",
    faces: Annotated[
        Faces, typer.Option(help="The largest face, all, or the whole picture as the face.")
    ] = "largest",
    no_face: Annotated[
        NoFace, typer.Option(help="Where no face is found: fail, or take the whole picture.")
    ] = "error",
    detector: Annotated[
        DetectorName | None,
        typer.Option(
            envvar="EMOTION_DETECTOR",
            help="Finds the faces (default: compiled where the store has one, else caffe).",
        ),
    ] = None,
    store: Store = CHECKOUT_STORE,
    detector_dir: DetectorDir = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Tell which emotions the faces of a picture show."""
    classifier = Classifier(
        store,
        detector=detector,
        detector_files=lambda: find_detector_files(detector_dir, data_dir),
    )
    prediction = classifier.predict(image, model, precision, faces=faces, no_face=no_face)
    if as_json:
        print(json.dumps(_as_dict(prediction)))
        return
    table = Table(title=f"{image.name}: {model} {precision}")
    table.add_column("emotion")
    for number, _ in enumerate(prediction.faces, start=1):
        table.add_column(f"face {number}", justify="right")
    for index, emotion in enumerate(EMOTIONS):
        table.add_row(emotion, *(f"{f.probabilities[index]:.1%}" for f in prediction.faces))
    Console().print(table)


@_typer.command()
def models(store: Store = CHECKOUT_STORE, as_json: Json = False) -> None:
    """List the model store's artifacts."""
    records = ModelStore(store).records
    if as_json:
        print(json.dumps([r.model_dump(mode="json") | {"version": r.version} for r in records]))
        return
    table = Table(title=str(store))
    for heading in ("model", "precision", "version", "MB", "accuracy", "p50 ms"):
        table.add_column(heading, justify="left" if heading in ("model", "precision") else "right")
    for r in records:
        accuracy, p50 = f"{r.metrics.accuracy:.1%}", f"{r.latency.p50_ms:.2f}"
        table.add_row(r.model, r.precision, r.version, f"{r.bytes / 1e6:.2f}", accuracy, p50)
    Console().print(table)


def app() -> None:
    """Run the command; an expected error prints its message and ends with status 1."""
    try:
        _typer()
    except (EmotionError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _as_dict(prediction: Prediction) -> dict[str, object]:
    return {
        "model": prediction.artifact.model,
        "precision": prediction.artifact.precision,
        "version": prediction.artifact.version,
        "detector": prediction.image.detector,
        "image": {"width": prediction.image.width, "height": prediction.image.height},
        "faces": [
            {
                "box": vars(face.face.box) if face.face else None,
                "score": face.face.score if face.face else None,
                "emotion": face.emotion,
                "confidence": face.confidence,
                "probabilities": dict(zip(EMOTIONS, face.probabilities.tolist(), strict=True)),
            }
            for face in prediction.faces
        ],
        "latency_ms": prediction.milliseconds,
    }
