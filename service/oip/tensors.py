"""Tensors between the wire and NumPy: JSON lists, or little-endian bytes in row-major order."""

import base64
import struct
from collections.abc import Iterable
from itertools import chain
from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from emotion.arrays import Pixels
from service.oip.errors import BadInferenceError
from service.oip.schemas import RequestInput

Array: TypeAlias = npt.NDArray[Any]
_DATATYPES = {"f": "FP32", "i": "INT32", "O": "BYTES"}  # by NumPy's kind: what we answer with
_BLANKS = b" \t\r\n\v\f"
_LENGTH = struct.Struct("<I")  # before each element of BYTES


def read_bytes(tensor: RequestInput, raw: memoryview | None) -> list[bytes]:
    """Return the elements of a BYTES tensor: as they are in binary, base64 in JSON.

    Raises:
        BadInferenceError: the values do not fit the tensor's shape, or are no such strings.
    """
    count = prod(tensor.shape)
    if raw is not None:
        return _split(tensor.name, raw, count)
    elements = _flat(tensor, count)
    return [_from_base64(f"{tensor.name}[{i}]", value) for i, value in enumerate(elements)]


def read_pixels(tensor: RequestInput, raw: memoryview | None) -> Pixels:
    """Return a UINT8 tensor.

    Raises:
        BadInferenceError: the values do not fit the tensor's shape, or are no integers 0..255.
    """
    count = prod(tensor.shape)
    if raw is None:
        values = _flat(tensor, count)
        if not all(type(value) is int for value in values):  # True is 1 for bytes()
            raise BadInferenceError(f"{tensor.name}: UINT8 takes integers from 0 to 255.")
        try:
            raw = memoryview(bytes(values))
        except ValueError as error:
            raise BadInferenceError(
                f"{tensor.name}: UINT8 takes integers from 0 to 255."
            ) from error
    if len(raw) != count:
        raise BadInferenceError(
            f"{tensor.name}: a UINT8 tensor of shape {tensor.shape} has {count} bytes, "
            f"{len(raw)} were sent."
        )
    return np.frombuffer(raw, np.uint8).reshape(tensor.shape)


def datatype_of(array: Array) -> str:
    """Return the protocol's name of an array's type."""
    return _DATATYPES[array.dtype.kind]


def to_binary(array: Array) -> bytes:
    """Write float32, int32 or, for BYTES, objects of type bytes."""
    if array.dtype.kind == "O":
        return join(array.flat)
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def join(elements: Iterable[bytes]) -> bytes:
    """Write the elements of a BYTES tensor."""
    return b"".join(_LENGTH.pack(len(element)) + element for element in elements)


def to_json(array: Array) -> list[Any]:
    """Write the same as a flat list; floats so that they read back as the same float32."""
    if array.dtype.kind == "O":
        return [element.decode() for element in array.flat]
    flat: list[Any] = array.ravel().tolist()
    return flat


def text_array(text: list[str], shape: tuple[int, ...]) -> Array:
    """Return text as a BYTES tensor of that shape."""
    array = np.empty(len(text), np.object_)
    array[:] = [element.encode() for element in text]
    return array.reshape(shape)


def _split(name: str, raw: memoryview, count: int) -> list[bytes]:
    elements: list[bytes] = []
    while raw and len(elements) <= count:
        if len(raw) < _LENGTH.size:
            raise BadInferenceError(f"{name}[{len(elements)}]: its length needs 4 bytes.")
        (length,) = _LENGTH.unpack_from(raw)
        raw = raw[_LENGTH.size :]
        if length > len(raw):
            raise BadInferenceError(
                f"{name}[{len(elements)}] says it has {length} bytes, {len(raw)} are there."
            )
        elements.append(bytes(raw[:length]))
        raw = raw[length:]
    if raw or len(elements) != count:
        many = "more" if len(elements) > count or raw else len(elements)
        raise BadInferenceError(
            f"{name}: the shape says {count} elements, the binary data hold {many}."
        )
    return elements


def _flat(tensor: RequestInput, count: int) -> list[Any]:
    """Flatten JSON values; nested lists must have the tensor's shape."""
    values = tensor.data
    if values is None:
        raise BadInferenceError(f"{tensor.name} has neither `data` nor `binary_data_size`.")
    shape = [len(values)]
    while any(isinstance(value, list) for value in values):
        lengths = {len(value) if isinstance(value, list) else -1 for value in values}
        if len(lengths) != 1 or len(shape) == len(tensor.shape):
            raise BadInferenceError(f"{tensor.name}: its nested lists are not a tensor.")
        shape.append(lengths.pop())
        values = list(chain.from_iterable(values))
    if shape not in ([count], tensor.shape):
        raise BadInferenceError(
            f"{tensor.name}: the shape is {tensor.shape}, that is {count} values; the data have "
            f"the shape {shape}."
        )
    return values


def _from_base64(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise BadInferenceError(f"{name}: in JSON, BYTES takes strings with base64.")
    try:
        return base64.b64decode(value.encode("ascii").translate(None, _BLANKS), validate=True)
    except ValueError as error:
        raise BadInferenceError(
            f"{name} is not base64: encode the image's bytes, or send them with the binary "
            "tensor extension."
        ) from error
