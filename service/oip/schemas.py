"""The protocol's JSON objects. Keys and parameters that are not listed here are ignored."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from emotion.classifier import Faces, NoFace
from emotion.detectors import DetectorName
from emotion.labels import EMOTIONS

MAX_DIMENSIONS = 8
MAX_TENSORS = 16

# Failing fast, so that a million wrong elements do not make a million error records.
Shape = Annotated[
    list[Annotated[int, Field(ge=0, lt=2**63)]], Field(fail_fast=True, max_length=MAX_DIMENSIONS)
]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class InferError(BaseModel):
    """What every error of the protocol looks like."""

    error: str


class ServerLive(BaseModel):
    """Answers as long as the process does."""

    live: bool = True


class ServerReady(BaseModel):
    """Whether requests can be served."""

    live: bool = True
    ready: bool


class ModelReady(BaseModel):
    """Whether one model can answer."""

    name: str
    ready: bool = True


class ServerMetadata(BaseModel):
    """The server."""

    name: str = "emotion-service"
    version: str
    extensions: list[str] = ["binary_tensor_data", "classification"]


class TensorMetadata(BaseModel):
    """One input or output; a dimension of -1 varies."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """One model: a backbone, at one of its versions."""

    name: str
    versions: list[str] = Field(description="precisions, and the content versions they stand for")
    platform: str = "litert_tflite"
    inputs: list[TensorMetadata] = Field(description="alternatives: a request sends one of them")
    outputs: list[TensorMetadata]
    parameters: dict[str, str] = Field(description="version, default_version, classes")


class InputParameters(_Strict):
    """Parameters of an input."""

    binary_data_size: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="bytes of this tensor behind the JSON object"
    )
    shared_memory_region: Any = Field(default=None, description="not served")


class RequestInput(_Strict):
    """An input tensor; its values are in ``data``, or binary behind the JSON object."""

    name: str
    shape: Shape
    datatype: str
    parameters: InputParameters | None = None
    data: list[Any] | None = Field(
        default=None, description="row-major, flat or nested; images as base64 strings"
    )


class OutputParameters(_Strict):
    """Parameters of a requested output."""

    binary_data: bool | None = Field(default=None, description="answer binary")
    classification: Annotated[int, Field(ge=1, le=len(EMOTIONS))] | None = Field(
        default=None, description="answer this many `value:index:label`, the most probable first"
    )
    shared_memory_region: Any = Field(default=None, description="not served")


class RequestOutput(_Strict):
    """An output that is wanted."""

    name: str
    parameters: OutputParameters | None = None


class RequestParameters(_Strict):
    """Parameters of a request: those of /predict, and the default form of the outputs."""

    binary_data_output: bool = False
    faces: Faces = "largest"
    no_face: NoFace = "error"
    detector: DetectorName | None = None


class InferRequest(_Strict):
    """An inference request's JSON object."""

    id: str | None = None
    parameters: RequestParameters | None = None
    inputs: Annotated[list[RequestInput], Field(fail_fast=True, max_length=MAX_TENSORS)] = Field(
        description="exactly one", json_schema_extra={"minItems": 1, "maxItems": 1}
    )
    outputs: (
        Annotated[list[RequestOutput], Field(fail_fast=True, max_length=MAX_TENSORS)] | None
    ) = Field(default=None, description="none means all")


class ResponseOutput(BaseModel):
    """An output tensor; its values are in ``data``, or binary behind the JSON object."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, int] | None = None
    data: list[Any] | None = None


class InferResponse(BaseModel):
    """An inference response's JSON object."""

    model_name: str
    model_version: str = Field(description="first 12 hex digits of the artifact's SHA-256")
    id: str | None = Field(default=None, description="the request's")
    parameters: dict[str, str] = Field(description="precision, and the detector that ran")
    outputs: list[ResponseOutput]


def request_schemas() -> dict[str, Any]:
    """Return the request's JSON schemas for OpenAPI's components."""
    template = "#/components/schemas/{model}"
    _, found = models_json_schema([(InferRequest, "validation")], ref_template=template)
    schemas: dict[str, Any] = found["$defs"]
    return schemas
