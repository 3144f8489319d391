"""Decode, detect, preprocess, infer: the four steps in order, each timed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import BoundedSemaphore
from typing import Literal, TypeAlias, get_args

from emotion.arrays import Pixels
from emotion.assets import DetectorFiles, find_detector_files
from emotion.compare import Share, compared, in_turn
from emotion.decode import DEFAULT_LIMITS, DecodeLimits, decode
from emotion.detectors import DetectorName, Detectors
from emotion.errors import (
    ArtifactUnavailableError,
    NoFaceError,
    TooManyFacesError,
    UnknownFaceError,
)
from emotion.faces import Detector, Face
from emotion.files import ImageSource, image_bytes
from emotion.preprocess import equalise, face_crop, face_tensors
from emotion.registry import SPARE_BYTES, LoadedArtifact, Registry
from emotion.remote import open_store
from emotion.results import Comparison, FacePrediction, ImageFaces, Prediction
from emotion.stopwatch import Stopwatch
from emotion.store import ModelStore

Faces = Literal["largest", "all", "whole"]
NoFace = Literal["error", "whole"]
LeftOut: TypeAlias = Callable[[ArtifactUnavailableError], None]

CHECKOUT_STORE = Path(__file__).parent.parent / "model_store"


class Classifier:
    """Every artifact of a model store behind one face detector; safe from any thread."""

    def __init__(
        self,
        store: ModelStore | Path | str = CHECKOUT_STORE,
        *,
        detector: Detector | DetectorName | None = None,
        detector_files: Callable[[], DetectorFiles] = find_detector_files,
        limits: DecodeLimits = DEFAULT_LIMITS,
        interpreters: int = 1,
        spare_bytes: int = SPARE_BYTES,
        before: "Classifier | None" = None,
        has_free_core: Callable[[], bool] | None = None,
    ) -> None:
        """Open a store; artifacts load on first use.

        Args:
            store: the model store, its directory, or its URL, of which the channel
                ``production`` is kept in the user's cache; by default the one of this checkout.
            detector: used where a call names none; by default the store's compiled one, or
                the Caffe original where the store has none.
            detector_files: finds the Caffe network, when it is first needed.
            limits: what an image may be.
            interpreters: how many calls of one artifact may run at once; as many pictures are
                decoded at once, which takes ten times the memory of what is decoded.
            spare_bytes: memory for what that takes beside one interpreter of each artifact.
            before: what it has loaded and ``store`` still lists is shared, not loaded again, and a
                detector goes on asking its own ``has_free_core``.
            has_free_core: asked before each search for faces by the compiled detector, which
                takes a second core where it says so; none means a network computes on one.

        Raises:
            StoreError: no readable store there.
            The errors of Detectors.get, for the default detector.
        """
        self.store = store if isinstance(store, ModelStore) else open_store(store)
        self.registry: Registry = Registry(
            self.store, interpreters, before.registry if before else None, spare_bytes
        )
        self.detectors: Detectors = Detectors(
            self.store,
            detector_files,
            interpreters,
            before.detectors if before else None,
            has_free_core,
        )
        self.detector: Detector = (
            self.detectors.get(detector)
            if detector is None or isinstance(detector, str)
            else detector
        )
        self._limits = limits
        self._decoders = BoundedSemaphore(interpreters)

    def predict(
        self,
        image: ImageSource,
        model: str = "mobilenet",
        precision: str = "int8",
        *,
        faces: Faces = "largest",
        no_face: NoFace = "error",
        detector: DetectorName | None = None,
        check: Callable[[], object] | None = None,
    ) -> Prediction:
        """Tell which emotions an image's faces show.

        Args:
            image: an encoded image (JPEG, PNG, WebP, BMP) or the path of one.
            model: backbone, one of the store's.
            precision: float32, float16 or int8.
            faces: the ``largest`` face, ``all`` of them (largest first), or the ``whole``
                picture, for pictures that already are face crops (no detection runs).
            no_face: what to do where no face is found: ``error``, or take the ``whole`` picture.
            detector: finds the faces; None means the classifier's own.
            check: called before every run of the network; what it raises ends the work.

        Raises:
            UnknownArtifactError, ArtifactUnavailableError: see Registry.get, Detectors.get.
            DetectorMissingError: see Detectors.get.
            UnreadableFileError: the path is that of no file that can be read.
            UnsupportedFormatError, UnreadableImageError, ImageTooLargeError,
            ImageTooSmallError: see decode.
            NoFaceError: no face was found and ``no_face`` is ``error``.
            ValueError: ``faces``, ``no_face`` or ``detector`` is none of those named here.
            TypeError: ``image`` is neither bytes nor a path, such as an array.
        """
        artifact = self.registry.get(model, precision)
        seen = self.look(image, faces=faces, no_face=no_face, detector=detector)
        watch = Stopwatch(dict(seen.milliseconds))
        with watch.stage("preprocess"):
            tensors = face_tensors(seen.pixels, artifact.record.input_size)
        with watch.stage("inference", artifact.record.name):
            rows = artifact.run(tensors, check)
        answers = tuple(FacePrediction(f, row) for f, row in zip(seen.faces, rows, strict=True))
        return Prediction(artifact.record, seen, answers, watch.milliseconds)

    def compare(
        self,
        image: ImageSource,
        models: Sequence[str] | str = (),
        precisions: Sequence[str] | str = (),
        *,
        repeats: int = 1,
        until: float | None = None,
        faces: Literal["largest", "whole"] = "largest",
        face: int = 0,
        no_face: NoFace = "error",
        detector: DetectorName | None = None,
        check: Callable[[], object] | None = None,
        left_out: LeftOut | None = None,
        share: Share = in_turn,
    ) -> Comparison:
        """Show one face to several artifacts; the image is decoded and searched once.

        Args:
            image: as for ``predict``.
            models: backbones to compare, or the name of one; none means all of the store's.
            precisions: precisions to compare, or one; none means all.
            repeats: timed calls of each artifact, of which the median is reported.
            until: by ``time.perf_counter()``, when it should be done: there are fewer repeats where
                they would take longer, one at least.
            faces: as for ``predict``.
            face: another face than the largest: its place in the answer to faces="all".
            no_face: as for ``predict``.
            detector: as for ``predict``.
            check: called before every run of a network; what it raises ends the work.
            left_out: see ``load``.
            share: runs the artifacts, which may be beside each other; by default in turn.

        Raises:
            UnknownFaceError: the image has fewer faces.
            ValueError: ``repeats`` is less than 1.
            The errors of ``predict``.
        """
        if repeats < 1:
            raise ValueError(f"repeats is at least 1, not {repeats}.")
        _one_of("faces", faces, ("largest", "whole"))
        chosen, missing = self._load(models, precisions, left_out)
        seen = self.look(image, faces=faces, face=face, no_face=no_face, detector=detector)
        reasons = {name: str(error) for name, error in missing.items()}
        rows, made = compared(seen, chosen, repeats, until, check, share)
        return Comparison(seen, rows, made, reasons)

    def look(
        self,
        image: ImageSource,
        *,
        faces: Faces = "largest",
        face: int = 0,
        no_face: NoFace = "error",
        detector: DetectorName | None = None,
    ) -> ImageFaces:
        """Decode an image, find its faces and bring them into the backbones' common form.

        The arguments are those of ``compare``, and so are the errors.
        """
        _one_of("faces", faces, get_args(Faces))
        _one_of("no_face", no_face, get_args(NoFace))
        finder = self.detector if detector is None else self.detectors.get(detector)
        watch = Stopwatch()
        with self._decoders, watch.stage("decode"):
            pixels = decode(image_bytes(image), self._limits)
        with watch.stage("detect"):
            found = _find(finder, pixels, faces, face, no_face, self._limits.max_faces)
        with watch.stage("preprocess"):
            crops = tuple(face_crop(pixels, face.box if face else None) for face in found)
            equalised = tuple(equalise(crop) for crop in crops)
        height, width = pixels.shape[:2]
        ran = None if faces == "whole" else finder.name
        return ImageFaces(width, height, found, crops, equalised, ran, watch.milliseconds)

    def load(
        self,
        models: Sequence[str] | str = (),
        precisions: Sequence[str] | str = (),
        left_out: LeftOut | None = None,
    ) -> list[LoadedArtifact]:
        """Load what ``compare`` would take.

        ``left_out`` is told of each artifact that cannot run, which is then left out, unless
        none can; without it the first one's ArtifactUnavailableError is raised.
        """
        loaded, _ = self._load(models, precisions, left_out)
        return loaded

    def _load(
        self,
        models: Sequence[str] | str,
        precisions: Sequence[str] | str,
        left_out: LeftOut | None,
    ) -> tuple[list[LoadedArtifact], dict[str, ArtifactUnavailableError]]:
        """Load, and tell by name why others cannot run."""
        loaded, missing = [], {}
        for model, precision in self.choose(models, precisions):
            try:
                loaded.append(self.registry.get(model, precision))
            except ArtifactUnavailableError as error:
                if left_out is None:
                    raise
                missing[f"{model}/{precision}"] = error
                left_out(error)
        if missing and not loaded:
            raise list(missing.values())[-1]
        return loaded, missing

    def choose(
        self, models: Sequence[str] | str, precisions: Sequence[str] | str
    ) -> list[tuple[str, str]]:
        """List the (model, precision) pairs that ``compare`` would take.

        Where only precisions are named, a model that lacks one of them is taken in the others.
        """
        models = (models,) if isinstance(models, str) else models
        precisions = (precisions,) if isinstance(precisions, str) else precisions
        known = [(r.model, r.precision) for r in self.store.records]
        if models:
            pairs = [
                (model, precision)
                for model in models
                for precision in (precisions or [p for m, p in known if m == model] or ["float32"])
            ]
        else:
            nowhere = [p for p in precisions if p not in {p for _, p in known}]
            pairs = [(known[0][0] if known else "any model", p) for p in nowhere]
            pairs += [(m, p) for m, p in known if p in precisions or not precisions]
        return list(dict.fromkeys(pairs))


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} is one of {known}, not {value!r}.")


def _find(
    detector: Detector, pixels: Pixels, faces: Faces, face: int, no_face: NoFace, most: int
) -> tuple[Face | None, ...]:
    found: list[Face] | list[None] = [None] if faces == "whole" else detector.detect(pixels)
    if not found and no_face == "whole":
        found = [None]
    if not found:
        raise NoFaceError(
            "No face was found. If the picture already is a face crop, set faces to whole; "
            "otherwise send one with a face that is upright and at least 1/10 of its height."
        )
    if faces == "all" and len(found) > most:
        raise TooManyFacesError(f"{len(found)} faces are more than {most}: crop the picture.")
    if faces != "all" and not 0 <= face < len(found):
        raise UnknownFaceError(
            f"There is no face {face}: the picture has {len(found)}, counted from 0, the largest."
        )
    return tuple(found) if faces == "all" else (found[face],)
