"""What /explain answers."""

import base64

import cv2
from pydantic import BaseModel, Field

from emotion.answers import rounded
from emotion.arrays import Pixels
from emotion.explain import PATCH, Explanation
from service.engine import Timing
from service.schemas import FaceAnswer, ImageSize, StageLatency


class Crop(BaseModel):
    """The face as the network gets it: data URLs of grey PNG pictures of 128x128 pixels."""

    before_clahe: str
    after_clahe: str


class OcclusionMap(BaseModel):
    """How far the emotion's probability falls when one place of the crop is hidden.

    After Zeiler and Fergus (2014), section 4.2. The places' centres form an even raster over the
    crop, and what hides them is a grey square.
    """

    patch: float = Field(default=PATCH, description="side of the square, as a share of the crop's")
    drops: list[list[float]] = Field(
        description="-1..1, rows from the top, each from the left; above 0 where the artifact "
        "finds the emotion, below 0 where it finds something else"
    )


class ExplainAnswer(BaseModel):
    """What one artifact looks at in one face."""

    model: str
    precision: str
    version: str = Field(description="first 12 hex digits of the artifact's SHA-256")
    request_id: str | None
    image: ImageSize
    detector: str | None = Field(description="null where none ran")
    face: FaceAnswer
    crop: Crop
    occlusion: OcclusionMap = Field(description="of the emotion that `face` names")
    latency_ms: StageLatency

    @classmethod
    def of(cls, explained: Explanation, timing: Timing, request_id: str | None) -> "ExplainAnswer":
        """Translate from the library."""
        image, artifact = explained.image, explained.artifact
        return cls(
            model=artifact.model,
            precision=artifact.precision,
            version=artifact.version,
            request_id=request_id,
            image=ImageSize(width=image.width, height=image.height),
            detector=image.detector,
            face=FaceAnswer.of(explained.prediction, image),
            crop=Crop(
                before_clahe=_data_url(image.crops[0]), after_clahe=_data_url(image.pixels[0])
            ),
            occlusion=OcclusionMap(drops=explained.drops.astype(float).round(5).tolist()),
            latency_ms=StageLatency(**rounded(explained.milliseconds, vars(timing))),
        )


def _data_url(pixels: Pixels) -> str:
    return (
        "data:image/png;base64,"
        + base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()
    )
