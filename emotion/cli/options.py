"""Options that several commands share, each declared once."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from emotion.assets import find_detector_files
from emotion.classifier import CHECKOUT_STORE, Classifier, Faces, NoFace
from emotion.decode import DEFAULT_LIMITS, MOST_PIXELS, DecodeLimits
from emotion.detectors import DetectorName
from emotion.errors import ArtifactUnavailableError, EmotionError
from emotion.machine import usable_cores
from emotion.printable import printable
from emotion.records import Precision as PrecisionName
from emotion.store import ModelStore

MAX_PIXELS = DEFAULT_LIMITS.max_pixels
THREADS = usable_cores()


def _models(ctx: typer.Context) -> list[str]:
    """Complete a backbone's name from the store that the command line names."""
    try:
        records = ModelStore(Path(ctx.params.get("store") or CHECKOUT_STORE)).records
    except EmotionError:
        return []
    return list(dict.fromkeys(record.model for record in records))


Image = Annotated[
    Path,
    typer.Argument(
        help="A JPEG, PNG, WebP or BMP file.", exists=True, dir_okay=False, show_default=False
    ),
]
Model = Annotated[str, typer.Option(help="Backbone.", autocompletion=_models)]
Precision = Annotated[PrecisionName, typer.Option(help="The artifact's number format.")]
Models = Annotated[
    list[str],
    typer.Option(
        help="Backbones, repeated or comma-separated; none means all.",
        autocompletion=_models,
        show_default=False,
    ),
]
Precisions = Annotated[
    list[str],
    typer.Option(
        help="Precisions, repeated or comma-separated; none means all.", show_default=False
    ),
]
FacesOption = Annotated[
    Faces, typer.Option(help="The largest face, all, or the whole picture as the face.")
]
NoFaceOption = Annotated[
    NoFace, typer.Option(help="Where no face is found: fail, or take the whole picture.")
]
Detector = Annotated[
    DetectorName | None,
    typer.Option(
        envvar="EMOTION_DETECTOR",
        help="Finds the faces (default: compiled where the store has one, else caffe).",
        show_default=False,
    ),
]
STORE = str(CHECKOUT_STORE)
Store = Annotated[
    str, typer.Option(envvar="EMOTION_STORE", help="Directory of the model store, or its URL.")
]
DetectorDir = Annotated[
    Path | None,
    typer.Option(
        envvar="EMOTION_DETECTOR_DIR", help="Directory with the Caffe detector's two files."
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(envvar="EMOTION_DATA_DIR", help="Data directory; may have face_detector/."),
]
MaxPixels = Annotated[
    int,
    typer.Option(
        envvar="EMOTION_MAX_PIXELS", min=1, max=MOST_PIXELS, help="Most pixels of one picture."
    ),
]
Threads = Annotated[
    int,
    typer.Option(
        envvar="EMOTION_THREADS",
        min=1,
        help="Pictures computed at once.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def left_out(error: ArtifactUnavailableError) -> None:
    """Name what cannot run on standard error; the others do."""
    print(f"left out: {printable(str(error))}", file=sys.stderr)


def open_classifier(
    store: str,
    detector: DetectorName | None,
    detector_dir: Path | None,
    data_dir: Path | None,
    max_pixels: int,
    **options: Any,
) -> Classifier:
    """Return the classifier that the shared options describe."""
    return Classifier(
        store,
        detector=detector,
        detector_files=lambda: find_detector_files(detector_dir, data_dir),
        limits=DecodeLimits(max_pixels=max_pixels),
        **options,
    )
