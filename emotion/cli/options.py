"""Options that several commands share, each declared once."""

import functools
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
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
from emotion.records import PRECISIONS
from emotion.records import Precision as PrecisionName
from emotion.store import ModelStore

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
        help="Precisions, repeated or comma-separated; none means all.",
        autocompletion=lambda: list(PRECISIONS),
        show_default=False,
    ),
]
FacesOption = Annotated[
    Faces, typer.Option(help="The largest face, all, or the whole picture as the face.")
]
NoFaceOption = Annotated[
    NoFace, typer.Option(help="Where no face is found: fail, or take the whole picture.")
]
STORE = str(CHECKOUT_STORE)
Store = Annotated[
    str, typer.Option(envvar="EMOTION_STORE", help="Directory of the model store, or its URL.")
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


@dataclass(frozen=True)
class Setup:
    """What every command that answers pictures asks about the classifier and its own output."""

    detector: Annotated[
        DetectorName | None,
        typer.Option(
            envvar="EMOTION_DETECTOR",
            help="Finds the faces (default: compiled where the store has one, else caffe).",
            show_default=False,
        ),
    ] = None
    store: Store = STORE
    detector_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="EMOTION_DETECTOR_DIR", help="Directory with the Caffe detector's two files."
        ),
    ] = None
    data_dir: Annotated[
        Path | None,
        typer.Option(envvar="EMOTION_DATA_DIR", help="Data directory; may have face_detector/."),
    ] = None
    max_pixels: Annotated[
        int,
        typer.Option(
            envvar="EMOTION_MAX_PIXELS", min=1, max=MOST_PIXELS, help="Most pixels of one picture."
        ),
    ] = DEFAULT_LIMITS.max_pixels
    as_json: Json = False

    def classifier(self, interpreters: int = 1) -> Classifier:
        """Return the classifier described."""
        return Classifier(
            self.store,
            detector=self.detector,
            detector_files=lambda: find_detector_files(self.detector_dir, self.data_dir),
            limits=DecodeLimits(max_pixels=self.max_pixels),
            interpreters=interpreters,
        )


def with_setup(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command with a parameter ``setup`` the fields of Setup as options of its own."""
    shared = inspect.signature(Setup).parameters.values()
    own = [p for p in inspect.signature(command).parameters.values() if p.name != "setup"]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        setup = Setup(**{option.name: given.pop(option.name) for option in shared})
        command(**given, setup=setup)

    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(kind=p.KEYWORD_ONLY) for p in (*own, *shared)]
    )
    return run
