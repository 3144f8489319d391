"""What the model store's manifest says about each artifact."""

from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from emotion.labels import EMOTIONS
from emotion.preprocess import PIPELINE

SCHEMA_VERSION = 2
"""Counts changes that an older release cannot read."""
Precision = Literal["float32", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")


def file_name(model: str, precision: Precision, sha256: str) -> str:
    """Where an artifact lies in the store: another content has another name."""
    return f"{model}/{precision}-{sha256[:12]}.tflite"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorSpec(_Record):
    """Shape and type of an artifact's input or output; ``scale`` is 0 where not quantized."""

    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0


class TrainingRun(_Record):
    """What is needed to make the artifact again."""

    git_commit: str
    seed: int
    data_fingerprint: str
    recipe: dict[str, Any]


class Metrics(_Record):
    """Measured on the artifact itself; ``protocol`` says on which images."""

    protocol: str
    images: int
    accuracy: float = Field(ge=0, le=1)
    accuracy_low: float = Field(ge=0, le=1, description="lower end of the 95 % Wilson interval")
    accuracy_high: float = Field(ge=0, le=1, description="upper end of the 95 % Wilson interval")
    macro_f1: float = Field(ge=0, le=1)
    recall: dict[str, float]
    calibration_error: float = Field(ge=0, le=1, description="expected calibration error, 15 bins")


class Latency(_Record):
    """Milliseconds of one call of the network alone, warm, one image, one thread."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    machine: str
    date: str


class ArtifactRecord(_Record):
    """One artifact as the manifest lists it."""

    model: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    precision: Precision
    file: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*/[a-z0-9]+-[0-9a-f]{12}\.tflite$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int
    pipeline_fingerprint: str
    input: TensorSpec
    output: TensorSpec
    training: TrainingRun
    metrics: Metrics
    latency: Latency

    @property
    def name(self) -> str:
        """Model and precision, as in ``mobilenet/int8``."""
        return f"{self.model}/{self.precision}"

    @property
    def version(self) -> str:
        """First 12 hex digits of the content's SHA-256."""
        return self.sha256[:12]

    @property
    def input_size(self) -> int:
        """Side of the square input in pixels."""
        return self.input.shape[1]


class Agreement(_Record):
    """How a detector compares with the Caffe original, over the same images.

    Only faces of a score of at least 0.5 count. A box is false where it covers no true face.
    """

    images: int
    faces: int = Field(description="that Caffe found")
    lost: int = Field(description="of them, without a box of an IoU of at least 0.5")
    added: int = Field(description="boxes that Caffe does not have")
    mean_iou: float = Field(ge=0, le=1, description="of the found ones' boxes with Caffe's")
    false_boxes: int
    caffe_false_boxes: int
    same_emotion: float | None = Field(
        ge=0, le=1, description="share of the found faces; null where no classifier was at hand"
    )
    classifier: str | None = Field(description="that told the emotions: model/precision@version")

    @property
    def lost_share(self) -> float:
        """Lost faces by faces, 0..1."""
        return self.lost / max(self.faces, 1)


class DetectorRecord(_Record):
    """One compiled face detector as the manifest lists it."""

    precision: Precision
    file: str = Field(pattern=r"^detector/[a-z0-9]+-[0-9a-f]{12}\.tflite$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int
    input: TensorSpec
    output: TensorSpec
    source_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the Caffe weights")
    git_commit: str
    agreement: Agreement
    latency: Latency = Field(description="of a whole detection in a 512x512 photo")
    caffe_p50_ms: float = Field(gt=0, description="of the same by Caffe, alternating in one run")

    @property
    def name(self) -> str:
        """What answers call the detector."""
        return f"res10-ssd-litert-{self.precision}"

    @property
    def version(self) -> str:
        """First 12 hex digits of the content's SHA-256."""
        return self.sha256[:12]


class Manifest(_Record):
    """The store's table of contents."""

    schema_version: int = SCHEMA_VERSION
    classes: tuple[str, ...] = EMOTIONS
    pipeline: dict[str, Any] = Field(default_factory=lambda: asdict(PIPELINE))
    artifacts: tuple[ArtifactRecord, ...] = ()
    detectors: tuple[DetectorRecord, ...] = ()
