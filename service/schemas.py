"""What goes over the wire."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from emotion.answers import compare_answer, face_answer, predict_answer
from emotion.labels import EMOTIONS
from emotion.records import ArtifactRecord
from emotion.results import Comparison, FacePrediction, ImageFaces, Prediction
from service.engine import Timing

Probability = Annotated[float, Field(ge=0, le=1)]


class Box(BaseModel):
    """Pixels of the upright image, clipped to it."""

    x: int
    y: int
    width: int
    height: int


class ImageSize(BaseModel):
    """Pixels, after EXIF orientation."""

    width: int
    height: int


class FaceAnswer(BaseModel):
    """One face. Box and score are null where the whole image was taken as the face."""

    box: Box | None
    score: float | None = Field(description="the detector's, 0..1")
    emotion: str
    confidence: Probability
    probabilities: dict[str, Probability]

    @classmethod
    def of(cls, answer: FacePrediction, image: ImageFaces) -> "FaceAnswer":
        """Translate from the library."""
        return cls(**face_answer(answer, image))


class StageLatency(BaseModel):
    """Milliseconds spent in each stage on the server."""

    decode: float
    detect: float
    preprocess: float
    queue: float = Field(description="waiting for a thread")
    inference: float
    total: float = Field(description="from the complete upload to the answer")


class PredictAnswer(BaseModel):
    """What one artifact says about the faces of an image."""

    model: str
    precision: str
    version: str = Field(description="first 12 hex digits of the artifact's SHA-256")
    request_id: str | None
    image: ImageSize
    detector: str | None = Field(description="null where none ran")
    faces: list[FaceAnswer] = Field(description="largest first")
    latency_ms: StageLatency

    @classmethod
    def of(cls, prediction: Prediction, timing: Timing, request_id: str | None) -> "PredictAnswer":
        """Translate from the library."""
        return cls(request_id=request_id, **predict_answer(prediction, vars(timing)))


class ArtifactAnswer(BaseModel):
    """One artifact's answer in a comparison."""

    model: str
    precision: str
    version: str
    emotion: str
    confidence: Probability
    probabilities: dict[str, Probability]
    latency_ms: float = Field(description="of the network alone: median over the repeats")
    latency_spread_ms: tuple[float, float] = Field(
        description="10th and 90th percentile over the repeats"
    )
    bytes: int
    accuracy: float = Field(description="stored with the artifact; see /models for its protocol")
    agrees_with_float32: bool | None = Field(
        description="same top emotion as the model's float32; null where that was not compared"
    )
    largest_difference: float | None = Field(
        description="of any probability, to the model's float32"
    )


class ModelAgreement(BaseModel):
    """How far a model's smaller precisions are from its float32, on this image."""

    agreement: float = Field(description="share of the other precisions with the same top emotion")
    largest_difference: float = Field(description="of any probability of any of them")


class CompareLatency(BaseModel):
    """Milliseconds spent in each stage on the server; inference is each artifact's own."""

    decode: float
    detect: float
    preprocess: float
    queue: float
    total: float


class LeftOut(BaseModel):
    """An artifact that cannot run."""

    artifact: str = Field(description="model/precision")
    reason: str


class CompareAnswer(BaseModel):
    """What several artifacts say about one face."""

    request_id: str | None
    image: ImageSize
    detector: str | None = Field(description="null where none ran")
    box: Box | None
    repeats: int = Field(
        description="timed calls of each artifact: fewer than asked for where time was short"
    )
    artifacts: list[ArtifactAnswer]
    models: dict[str, ModelAgreement] = Field(description="those whose float32 was compared")
    left_out: list[LeftOut] = Field(description="artifacts that were wanted and cannot run")
    latency_ms: CompareLatency

    @classmethod
    def of(cls, comparison: Comparison, timing: Timing, request_id: str | None) -> "CompareAnswer":
        """Translate from the library."""
        return cls(request_id=request_id, **compare_answer(comparison, vars(timing)))


class ArtifactSummary(BaseModel):
    """One artifact of the store."""

    version: str
    record: ArtifactRecord


class ModelList(BaseModel):
    """The store's artifacts."""

    classes: tuple[str, ...] = EMOTIONS
    pipeline_fingerprint: str
    artifacts: list[ArtifactSummary]


class ModelDetail(ArtifactSummary):
    """One artifact with its model's card."""

    card: str = Field(description="Markdown")


class Live(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Whether requests can be served, and with what."""

    status: Literal["ready", "degraded", "draining", "unavailable"]
    detector: str = Field(description="used where a request names none")
    artifacts: list[str] = Field(description="loaded: model/precision@version")
    unavailable: dict[str, str] = Field(
        description="artifacts that cannot run, or only from memory because their file is gone "
        "or damaged, and why"
    )

    @property
    def takes_requests(self) -> bool:
        """Whether requests should come."""
        return self.status not in ("draining", "unavailable")


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = Field(description="stable name of the problem, as a URN")
    title: str
    status: int
    detail: str = Field(description="what was wrong, and what to do")
    request_id: str | None
