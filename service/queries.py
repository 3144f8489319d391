"""Query parameters that several calls share."""

from typing import Literal

from pydantic import BaseModel, Field

from emotion.classifier import NoFace
from emotion.detectors import DetectorName


class SearchQuery(BaseModel):
    """How the faces of an image are found."""

    model_config = {"extra": "forbid"}

    no_face: NoFace = Field(
        default="error", description="where no face is found: 422, or take the whole picture"
    )
    detector: DetectorName | None = Field(
        default=None, description="finds the faces (default: the service's setting)"
    )


class FaceQuery(SearchQuery):
    """Which one face."""

    faces: Literal["largest", "whole"] = Field(
        default="largest", description="the largest face, or the whole picture"
    )
    face: int = Field(
        default=0,
        ge=0,
        description="another face than the largest: its place in /predict's answer to faces=all",
    )


class ArtifactQuery(BaseModel):
    """Which one artifact."""

    model: str = Field(default="mobilenet", description="a backbone of /models")
    precision: str = Field(default="int8", description="float32, float16 or int8")
