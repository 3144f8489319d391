"""Property tests: whatever the bytes, an inference request is understood or refused."""

import base64
import json
import struct

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emotion.labels import EMOTIONS
from service.oip.errors import BadInferenceError
from service.oip.messages import HEADER, compose, parse
from service.oip.schemas import InferResponse, RequestInput
from service.oip.tensors import read_bytes, read_pixels, text_array, to_binary

LIMIT = 100_000
DIGITS = st.text("0123456789-+_ .eE٣²", max_size=30)
SIZES = st.one_of(st.integers(-2, 40), st.integers(), st.just(2**63), st.just(10**400))
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 300), st.integers(), st.floats(), st.text(max_size=9)
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=5), max_leaves=20)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=15,
)


def mostly(likely: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(likely, likely, likely, JSON)


TENSORS = st.fixed_dictionaries(
    {},
    optional={
        "name": mostly(st.sampled_from(["image", "pixels", "", "box"])),
        "shape": mostly(
            st.one_of(st.lists(SIZES, max_size=5), st.just([1]), st.just([1, 2, 2, 3]))
        ),
        "datatype": mostly(st.sampled_from(["BYTES", "UINT8", "FP32", "bytes"])),
        "parameters": mostly(
            st.fixed_dictionaries({}, optional={"binary_data_size": mostly(SIZES)})
        ),
        "data": mostly(st.lists(VALUES, max_size=12)),
    },
)
REQUESTS = st.fixed_dictionaries(
    {"inputs": mostly(st.lists(TENSORS, min_size=1, max_size=2))},
    optional={
        "id": mostly(st.text(max_size=8)),
        "parameters": mostly(
            st.fixed_dictionaries(
                {},
                optional={
                    "faces": mostly(st.sampled_from(["largest", "all", "whole"])),
                    "no_face": mostly(st.sampled_from(["whole", "error"])),
                    "binary_data_output": mostly(st.booleans()),
                },
            )
        ),
        "outputs": mostly(
            st.lists(
                st.fixed_dictionaries(
                    {"name": mostly(st.sampled_from(["probabilities", "emotion", "box"]))},
                    optional={
                        "parameters": mostly(
                            st.fixed_dictionaries({}, optional={"classification": mostly(SIZES)})
                        )
                    },
                ),
                max_size=3,
            )
        ),
    },
)


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes, str | None]:
    """A body that is nearly a request, and a header that is nearly its JSON object's length."""
    head = draw(st.one_of(REQUESTS.map(lambda r: json.dumps(r).encode()), st.binary(max_size=60)))
    body = head + draw(st.one_of(st.just(b""), st.binary(max_size=40)))
    header = draw(st.one_of(st.none(), st.just(str(len(head))), st.just(str(len(head))), DIGITS))
    return body, header


def understood(body: bytes, header: str | None) -> None:
    _, inputs = parse(body, header, LIMIT)
    for tensor, raw in inputs:
        for read in (read_bytes, read_pixels):
            try:
                values = read(tensor, raw)
            except BadInferenceError:
                continue
            size = values.size if isinstance(values, np.ndarray) else len(values)
            assert size == np.prod(tensor.shape, dtype=object)


@given(messages())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_body_is_understood_or_refused(message: tuple[bytes, str | None]) -> None:
    try:
        understood(*message)
    except BadInferenceError as error:
        assert 10 < len(str(error)) < 600
        assert str(error).endswith(".")


def binary_message(elements: list[bytes]) -> tuple[bytes, int]:
    raw = b"".join(struct.pack("<I", len(e)) + e for e in elements)
    tensor = {
        "name": "image",
        "datatype": "BYTES",
        "shape": [len(elements)],
        "parameters": {"binary_data_size": len(raw)},
    }
    head = json.dumps({"inputs": [tensor]}).encode()
    return head + raw, len(head)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_bytes_travel_unchanged(elements: list[bytes]) -> None:
    body, length = binary_message(elements)
    _, [(tensor, raw)] = parse(body, str(length), LIMIT)
    assert read_bytes(tensor, raw) == elements
    text = [base64.b64encode(element).decode() for element in elements]
    for data in (text, [[word] for word in text]):
        shape = [len(text), 1][: 1 + isinstance(data[0], list)]
        same = RequestInput(name="image", datatype="BYTES", shape=shape, data=data)
        assert read_bytes(same, None) == elements


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5), st.data())
def test_truncated_binary_data_are_refused(elements: list[bytes], data: st.DataObject) -> None:
    body, length = binary_message(elements)
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(BadInferenceError):
        parse(body[:cut], str(length), LIMIT)
    with pytest.raises(BadInferenceError):
        parse(body + b"x", str(length), LIMIT)
    lie = data.draw(st.integers(0, len(body) + 5).filter(lambda n: n != length))
    with pytest.raises(BadInferenceError):
        understood(body, str(lie))


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5), st.data())
def test_lying_lengths_of_elements_are_refused(elements: list[bytes], data: st.DataObject) -> None:
    raw = bytearray().join(struct.pack("<I", len(e)) + e for e in elements)
    index = data.draw(st.integers(0, len(elements) - 1))
    place = sum(4 + len(e) for e in elements[:index])
    lie = data.draw(st.integers(len(raw), 2**32 - 1))
    raw[place : place + 4] = struct.pack("<I", lie)
    tensor = RequestInput(name="image", datatype="BYTES", shape=[len(elements)])
    with pytest.raises(BadInferenceError, match=rf"image\[{index}\] says it has {lie} bytes"):
        read_bytes(tensor, memoryview(raw))


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.data())
def test_pixels_travel_unchanged_in_every_form(shape: list[int], data: st.DataObject) -> None:
    count = int(np.prod(shape))
    array = np.frombuffer(data.draw(st.binary(min_size=count, max_size=count)), np.uint8)
    array = array.reshape(shape)
    for values in (array.tolist(), array.ravel().tolist()):
        tensor = RequestInput(name="pixels", datatype="UINT8", shape=shape, data=values)
        assert np.array_equal(read_pixels(tensor, None), array)
    assert np.array_equal(read_pixels(tensor, memoryview(array.tobytes())), array)
    with pytest.raises(BadInferenceError):
        read_pixels(tensor, memoryview(array.tobytes() + b"x"))


@pytest.mark.parametrize(
    "data",
    [[1, 2], [1, 2, 3, 256], [1, 2, 3, -1], [1, 2, 3, 4.0], [1, 2, 3, True], [1, 2, 3, None],
     [1, 2, 3, "4"], [[1, 2], [3]], [[1, 2, 3, 4]], [[[1, 2], [3, 4]]], [[1], [2], [3], [4]],
     [1, 2, 3, float("nan")], [1, [2, 3, 4]], [[], []], []],
)  # fmt: skip
def test_what_is_no_2x2_tensor_is_refused(data: list[object]) -> None:
    tensor = RequestInput(name="pixels", datatype="UINT8", shape=[2, 2], data=data)
    with pytest.raises(BadInferenceError, match=r"^pixels: "):
        read_pixels(tensor, None)


@given(st.lists(st.floats(0, 1, width=32), min_size=7, max_size=7), st.booleans())
def test_answers_read_back_bit_for_bit(row: list[float], binary: bool) -> None:
    array = np.array([row], np.float32)
    response = InferResponse(model_name="m", model_version="v", parameters={}, outputs=[])
    labels = text_array(list(EMOTIONS), (7,))
    message = compose(response, [("p", array, binary), ("labels", labels, not binary)])
    assert message.json_length is not None
    head = json.loads(message.body[: message.json_length])
    first, second = head["outputs"]
    rest = message.body[message.json_length :]
    if binary:
        assert first["parameters"] == {"binary_data_size": 28}
        assert np.frombuffer(rest, "<f4").tobytes() == array.tobytes()
        assert second["data"] == list(EMOTIONS)
    else:
        assert np.array(first["data"], np.float32).tobytes() == array.tobytes()
        assert rest == to_binary(labels)


def test_too_many_values_are_refused_unparsed() -> None:
    body = b'{"inputs": [{"data": [' + b"1," * (LIMIT + 1001) + b"1]}]}"
    with pytest.raises(BadInferenceError, match="more than 100000 values"):
        parse(body, None, LIMIT)


@given(messages())
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_live_service_answers_no_body_with_its_own_mistake(
    http: httpx.Client, message: tuple[bytes, str | None]
) -> None:
    body, header = message
    headers = {} if header is None else {HEADER: header.strip().encode()}
    response = http.post("/v2/models/mobilenet/infer", content=body, headers=headers)
    assert 400 <= response.status_code < 500, response.text
    assert set(response.json()) == {"error"}
