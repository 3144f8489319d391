"""HTTP bodies to inference requests and back: a JSON object, then the binary tensors."""

from dataclasses import dataclass

from pydantic import ValidationError

from service.oip.errors import BadInferenceError
from service.oip.schemas import (
    InferRequest,
    InferResponse,
    RequestInput,
    ResponseOutput,
)
from service.oip.tensors import Array, datatype_of, to_binary, to_json

HEADER = "Inference-Header-Content-Length"
_MAX_DIGITS = 12
_MAX_OTHER_COMMAS = 1000


@dataclass(frozen=True)
class Message:
    """A body, and the length of its JSON object where tensors follow it."""

    body: bytes
    json_length: int | None


def parse(
    body: bytes, header: str | None, most_values: int
) -> tuple[InferRequest, list[tuple[RequestInput, memoryview | None]]]:
    """Read a request and find each input's binary data.

    Args:
        body: the HTTP body.
        header: the header Inference-Header-Content-Length, if there is one.
        most_values: how many values the JSON object may have in its lists.

    Raises:
        BadInferenceError: not a request of the protocol.
    """
    length = len(body) if header is None else _json_length(header, len(body))
    # The JSON parser holds Python's lock until its end, and a value takes 20 times its text.
    if body.count(b",", 0, length) > most_values + _MAX_OTHER_COMMAS:
        raise BadInferenceError(
            f"The JSON object has more than {most_values} values: send fewer tensors at once."
        )
    try:
        request = InferRequest.model_validate_json(body[:length])
    except ValidationError as error:
        raise BadInferenceError.at(error) from error
    rest = memoryview(body)[length:]
    found: list[tuple[RequestInput, memoryview | None]] = []
    for tensor in request.inputs:
        raw = None
        size = tensor.parameters.binary_data_size if tensor.parameters else None
        if size is not None:
            raw, rest = _take(tensor, size, rest)
        found.append((tensor, raw))
    if rest:
        raise BadInferenceError(
            f"{len(rest)} bytes follow that belong to no input: check {HEADER} and each input's "
            "binary_data_size."
        )
    return request, found


def compose(response: InferResponse, tensors: list[tuple[str, Array, bool]]) -> Message:
    """Write a response with its outputs: name, values, and whether they go out binary."""
    behind = []
    for name, array, binary in tensors:
        output = ResponseOutput(name=name, datatype=datatype_of(array), shape=list(array.shape))
        if binary:
            behind.append(to_binary(array))
            output.parameters = {"binary_data_size": len(behind[-1])}
        else:
            output.data = to_json(array)
        response.outputs.append(output)
    head = response.model_dump_json(exclude_none=True).encode()
    return Message(b"".join((head, *behind)), len(head) if behind else None)


def _json_length(header: str, whole: int) -> int:
    digits = header.strip()
    # int() alone also takes signs, underscores and other scripts' digits.
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        raise BadInferenceError(f"{HEADER} must be the JSON object's length in bytes.")
    if int(digits) > whole:
        raise BadInferenceError(f"{HEADER} is {digits}, but the whole body has {whole} bytes.")
    return int(digits)


def _take(tensor: RequestInput, size: int, rest: memoryview) -> tuple[memoryview, memoryview]:
    if tensor.data is not None:
        raise BadInferenceError(f"{tensor.name[:100]} has both `data` and `binary_data_size`.")
    if size > len(rest):
        raise BadInferenceError(
            f"{tensor.name[:100]} says binary_data_size {size}, but {len(rest)} bytes are left: "
            f"check {HEADER}."
        )
    return rest[:size], rest[size:]
