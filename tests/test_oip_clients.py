"""Clients of the Open Inference Protocol that others wrote, unchanged, at a live service."""

import asyncio
import base64
import re
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import InferResponse, RequestedOutput
from tritonclient.utils import InferenceServerException

from emotion import EMOTIONS, Classifier
from emotion.classifier import CHECKOUT_STORE
from emotion.preprocess import face_tensor
from emotion.records import ArtifactRecord
from emotion.store import ModelStore
from tests.conftest import Server

RECORDS = ModelStore(CHECKOUT_STORE).records
by_name = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
either_form = pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as connected:
        yield connected


def image_array(*images: bytes, binary: bool) -> np.ndarray:
    """As a BYTES tensor: JSON has no bytes, so there they are base64."""
    array = np.empty(len(images), np.object_)
    array[:] = [image if binary else base64.b64encode(image) for image in images]
    return array


def pixel_array(classifier: Classifier, record: ArtifactRecord, *images: bytes) -> np.ndarray:
    faces = [classifier.look(image).pixels[0] for image in images]
    return np.stack([face_tensor(face, record.input_size) for face in faces])


def triton_input(name: str, array: np.ndarray, binary: bool) -> triton.InferInput:
    datatype = "BYTES" if array.dtype == np.object_ else "UINT8"
    tensor = triton.InferInput(name, list(array.shape), datatype)
    return tensor.set_data_from_numpy(array, binary_data=binary)


def triton_outputs(*names: str, **options: object) -> list[triton.InferRequestedOutput]:
    return [triton.InferRequestedOutput(name, **options) for name in names]


@by_name
@either_form
def test_tritonclient_gets_the_librarys_answer_bit_for_bit(
    client: triton.InferenceServerClient,
    classifier: Classifier,
    photo: bytes,
    record: ArtifactRecord,
    binary: bool,
) -> None:
    expected = classifier.predict(photo, record.model, record.precision)
    image = triton_input("image", image_array(photo, binary=binary), binary)
    pixels = triton_input("pixels", pixel_array(classifier, record, photo), binary)
    for tensor in (image, pixels):
        for version in (record.precision, record.version):
            result = client.infer(
                record.model,
                [tensor],
                model_version=version,
                outputs=triton_outputs("probabilities", "emotion", binary_data=binary),
                request_id="mine",
            )
            probabilities = result.as_numpy("probabilities")
            assert probabilities.dtype == np.float32
            assert probabilities.tobytes() == expected.faces[0].probabilities.tobytes()
            assert probabilities.shape == (1, 7)
            (emotion,) = result.as_numpy("emotion")
            assert (emotion.decode() if binary else emotion) == expected.emotion
            answer = result.get_response()
            assert answer["id"] == "mine"
            assert answer["model_name"] == record.model
            assert answer["model_version"] == record.version
            assert answer["parameters"]["precision"] == record.precision


def test_tritonclient_learns_what_there_is(
    client: triton.InferenceServerClient, classifier: Classifier
) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert not client.is_model_ready("mobilnet")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data", "classification"]
    for record in classifier.store.records:
        assert client.is_model_ready(record.model)
        for version in (record.precision, record.version):
            assert client.is_model_ready(record.model, version)
            described = client.get_model_metadata(record.model, version)
            assert {record.precision, record.version} <= set(described["versions"])
            assert described["parameters"]["version"] == record.version
            assert described["parameters"]["classes"] == ",".join(EMOTIONS)
            shapes = {tensor["name"]: tensor["shape"] for tensor in described["inputs"]}
            assert shapes == {"image": [-1], "pixels": [-1, *record.input.shape[1:]]}
    described = client.get_model_metadata("mobilenet")
    assert described["parameters"]["default_version"] == "int8"


def test_the_default_version_and_all_outputs(
    client: triton.InferenceServerClient, classifier: Classifier, photo: bytes
) -> None:
    result = client.infer(
        "mobilenet", [triton_input("image", image_array(photo, binary=True), True)]
    )
    expected = classifier.predict(photo, "mobilenet", "int8")
    face = expected.faces[0].face
    assert face is not None
    box = face.box.clipped(512, 512)
    assert result.as_numpy("box").tolist() == [[box.x, box.y, box.width, box.height]]
    assert result.as_numpy("image_index").tolist() == [0]
    answer = result.get_response()
    assert answer["model_version"] == expected.artifact.version
    assert answer["parameters"]["detector"] == expected.image.detector
    timing = answer["parameters"]["server_timing"]
    spent = {stage: float(ms) for stage, ms in re.findall(r"(\w+);dur=(\d+\.\d\d)", timing)}
    assert list(spent) == ["decode", "detect", "preprocess", "inference"]
    assert all(ms > 0 for ms in spent.values())
    assert "id" not in answer
    assert all("binary_data_size" in output["parameters"] for output in answer["outputs"])
    described = client.get_model_metadata("mobilenet")["outputs"]
    for output, promised in zip(answer["outputs"], described, strict=True):
        assert (output["name"], output["datatype"]) == (promised["name"], promised["datatype"])
        assert len(output["shape"]) == len(promised["shape"])
        assert all(
            want in (-1, got) for got, want in zip(output["shape"], promised["shape"], strict=True)
        )


def test_a_batch_keeps_its_order_and_counts_faces(
    client: triton.InferenceServerClient,
    classifier: Classifier,
    photo: bytes,
    collage: bytes,
    no_face_photo: bytes,
) -> None:
    images = (collage, photo, no_face_photo)
    result = client.infer(
        "mobilenet",
        [triton_input("image", image_array(*images, binary=True), True)],
        parameters={"faces": "all", "no_face": "whole"},
    )
    expected = [
        classifier.predict(image, "mobilenet", "int8", faces="all", no_face="whole")
        for image in images
    ]
    rows = [face.probabilities for prediction in expected for face in prediction.faces]
    assert result.as_numpy("image_index").tolist() == [0, 0, 0, 1, 2]
    assert np.array_equal(result.as_numpy("probabilities"), np.stack(rows))
    size = [expected[2].image.width, expected[2].image.height]
    assert result.as_numpy("box")[4].tolist() == [0, 0, *size]


def test_whole_pictures_and_the_other_detector(
    client: triton.InferenceServerClient, classifier: Classifier, photo: bytes
) -> None:
    image = triton_input("image", image_array(photo, binary=True), True)
    whole = client.infer("mobilenet", [image], parameters={"faces": "whole"})
    assert whole.as_numpy("box").tolist() == [[0, 0, 512, 512]]
    assert "detector" not in whole.get_response()["parameters"]
    caffe = client.infer("mobilenet", [image], parameters={"detector": "caffe"})
    expected = classifier.predict(photo, detector="caffe")
    assert caffe.get_response()["parameters"]["detector"] == expected.image.detector
    assert np.array_equal(caffe.as_numpy("probabilities")[0], expected.faces[0].probabilities)


def test_tritonclient_classifies(
    client: triton.InferenceServerClient, classifier: Classifier, collage: bytes
) -> None:
    result = client.infer(
        "mobilenet",
        [triton_input("image", image_array(collage, binary=True), True)],
        outputs=triton_outputs("probabilities", class_count=3),
        parameters={"faces": "all"},
    )
    expected = classifier.predict(collage, faces="all")
    answer = result.as_numpy("probabilities")
    assert answer.shape == (3, 3)
    for row, face in zip(answer, expected.faces, strict=True):
        values, indices, labels = zip(*(e.decode().split(":") for e in row), strict=True)
        assert np.allclose(sorted(face.probabilities)[:3:-1], [float(v) for v in values], atol=1e-6)
        assert labels == tuple(EMOTIONS[int(index)] for index in indices)
        assert labels[0] == face.emotion


def test_tritonclient_understands_errors(
    client: triton.InferenceServerClient, photo: bytes, no_face_photo: bytes
) -> None:
    images = image_array(photo, no_face_photo, binary=True)
    with pytest.raises(InferenceServerException, match=r"image\[1\]: No face was found.*whole"):
        client.infer("mobilenet", [triton_input("image", images, True)])
    with pytest.raises(InferenceServerException, match="There is no model mobilnet"):
        client.get_model_metadata("mobilnet")
    with pytest.raises(InferenceServerException, match="There is no version int4 of mobilenet"):
        client.infer("mobilenet", [triton_input("image", images, True)], model_version="int4")
    with pytest.raises(InferenceServerException, match="encoding gzip is not served"):
        client.infer(
            "mobilenet",
            [triton_input("image", images, True)],
            request_compression_algorithm="gzip",
        )


async def kserve_infer(
    server: Server, record: ArtifactRecord, array: np.ndarray, name: str, binary: bool
) -> InferResponse:
    datatype = "BYTES" if array.dtype == np.object_ else "UINT8"
    tensor = InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    outputs = [RequestedOutput("probabilities", {"binary_data": binary})]
    request = InferRequest(record.model, [tensor], "mine", request_outputs=outputs)
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_server_live(server.url)
        assert await client.is_server_ready(server.url)
        assert await client.is_model_ready(server.url, record.model)
        model = f"{record.model}/versions/{record.precision}"
        answer = await client.infer(server.url, request, model_name=model)
    assert isinstance(answer, InferResponse)
    return answer


@by_name
@either_form
def test_kserve_gets_the_librarys_answer_bit_for_bit(
    server: Server, classifier: Classifier, photo: bytes, record: ArtifactRecord, binary: bool
) -> None:
    expected = classifier.predict(photo, record.model, record.precision)
    arrays = {
        "image": image_array(photo, binary=binary),
        "pixels": pixel_array(classifier, record, photo),
    }
    for name, array in arrays.items():
        answer = asyncio.run(kserve_infer(server, record, array, name, binary))
        assert answer.id == "mine"
        (output,) = answer.outputs
        assert output.datatype == "FP32"
        got = output.as_numpy().astype(np.float32)
        assert got.tobytes() == expected.faces[0].probabilities.tobytes()


def test_kserve_understands_errors(server: Server) -> None:
    async def ask() -> None:
        async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
            assert not await client.is_model_ready(server.url, "mobilnet")
            await client.infer(server.url, {"inputs": []}, model_name="mobilenet")

    with pytest.raises(httpx.HTTPStatusError, match="Send exactly one input"):
        asyncio.run(ask())
