"""gRPC messages to inference requests and back."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from google.protobuf.message import DecodeError
from pydantic import BaseModel, ValidationError
from tritonclient.grpc import service_pb2 as pb

from service.oip.errors import BadInferenceError
from service.oip.infer import Inferred, Input
from service.oip.schemas import (
    MAX_DIMENSIONS,
    MAX_TENSORS,
    InferRequest,
    InputParameters,
    ModelMetadata,
    OutputParameters,
    RequestParameters,
)
from service.oip.tensors import datatype_of, join, to_binary

_MAX_FIELDS = 10_000
_VARINT_BITS = 64


def decode(kind: Any, message: bytes) -> Any:
    """Read a message of that kind.

    Raises:
        BadInferenceError: it is none, or has so many parts that reading it takes far more memory
            than its bytes.
    """
    try:
        _count(memoryview(message), kind.DESCRIPTOR, _MAX_FIELDS)
        return kind.FromString(message)
    except (DecodeError, IndexError) as error:
        raise BadInferenceError(f"The message is not a {kind.__name__}.") from error


def read(message: Any, most_values: int) -> tuple[InferRequest, list[Input]]:
    """Translate a ModelInferRequest, and find each input's values.

    Raises:
        BadInferenceError: not a request of the protocol.
    """
    try:
        request = InferRequest.model_validate(
            {
                "id": message.id or None,
                "parameters": _parameters(message.parameters, RequestParameters),
                "inputs": [
                    {
                        "name": tensor.name,
                        "datatype": tensor.datatype,
                        "shape": list(islice(tensor.shape, MAX_DIMENSIONS + 1)),
                        "parameters": _parameters(tensor.parameters, InputParameters),
                    }
                    for tensor in islice(message.inputs, MAX_TENSORS + 1)
                ],
                "outputs": [
                    {
                        "name": output.name,
                        "parameters": _parameters(output.parameters, OutputParameters),
                    }
                    for output in islice(message.outputs, MAX_TENSORS + 1)
                ],
            }
        )
    except ValidationError as error:
        raise BadInferenceError.at(error) from error
    raw = list(islice(message.raw_input_contents, MAX_TENSORS + 1))
    if raw and len(raw) != len(message.inputs):
        raise BadInferenceError(
            f"raw_input_contents has {len(raw)} elements for {len(message.inputs)} inputs: send "
            "one for each, or none."
        )
    if raw and any(tensor.HasField("contents") for tensor in message.inputs):
        raise BadInferenceError("Send raw_input_contents or each input's contents, not both.")
    values = raw or [_typed(tensor, most_values) for tensor in message.inputs]
    return request, [(t, memoryview(v)) for t, v in zip(request.inputs, values, strict=True)]


def write(inferred: Inferred) -> Any:
    """Return a ModelInferResponse; its outputs' values are raw."""
    response = inferred.response
    return pb.ModelInferResponse(
        model_name=response.model_name,
        model_version=response.model_version,
        id=response.id or "",
        parameters={
            name: pb.InferParameter(string_param=value)
            for name, value in response.parameters.items()
        },
        outputs=[
            {"name": name, "datatype": datatype_of(array), "shape": array.shape}
            for name, array, _ in inferred.outputs
        ],
        raw_output_contents=[to_binary(array) for _, array, _ in inferred.outputs],
    )


def described(metadata: ModelMetadata) -> Any:
    """Return a ModelMetadataResponse, which has no place for the parameters."""
    return pb.ModelMetadataResponse(**metadata.model_dump(exclude={"parameters"}))


def _parameters(given: Mapping[str, Any], known: type[BaseModel]) -> dict[str, object]:
    """Take those that are known; others are ignored, as in JSON."""
    values = {name: given[name] for name in known.model_fields if name in given}
    return {
        name: getattr(value, value.WhichOneof("parameter_choice") or "bool_param")
        for name, value in values.items()
    }


def _typed(tensor: Any, most_values: int) -> bytes:
    """Return the values that an input itself holds as raw_input_contents would hold them."""
    if tensor.datatype == "BYTES":
        return join(tensor.contents.bytes_contents)
    numbers = tensor.contents.uint_contents
    if len(numbers) > most_values:
        raise BadInferenceError(f"More than {most_values} values: send fewer tensors at once.")
    try:
        return bytes(numbers)
    except ValueError as error:
        raise BadInferenceError(
            f"{tensor.name[:100]}: UINT8 takes integers from 0 to 255."
        ) from error


def _count(data: memoryview, kind: Any, left: int) -> int:
    """Return how many of ``left`` fields remain after those of a message and of its parts."""
    at = 0
    while at < len(data):
        left -= 1
        if left < 0:
            raise BadInferenceError(
                f"The message has more than {_MAX_FIELDS} fields: send raw_input_contents, and "
                "fewer tensors at once."
            )
        tag, at = _varint(data, at)
        size = {1: 8, 5: 4}.get(tag & 7, 0)
        if tag & 7 in (0, 2):
            number, at = _varint(data, at)
            size = number if tag & 7 == 2 else 0
        part = kind.fields_by_number.get(tag >> 3)
        if tag & 7 == 2 and part is not None and part.message_type is not None:
            left = _count(data[at : at + size], part.message_type, left)
        at += size
    return left


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Read a number, 7 bits a byte; raises IndexError where it has no end."""
    number = shift = 0
    while data[at] & 0x80 and shift < _VARINT_BITS:
        number |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return number | data[at] << shift, at + 1
