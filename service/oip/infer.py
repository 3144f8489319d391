"""What an inference request means: pictures or ready tensors through one artifact."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import TypeAlias

import numpy as np

from emotion import Classifier
from emotion.errors import EmotionError
from emotion.records import ArtifactRecord
from emotion.results import FacePrediction, Prediction
from emotion.stopwatch import Stopwatch
from service.engine import Check
from service.oip.errors import BadInferenceError
from service.oip.model import IMAGE, PIXELS, find, pixels_shape
from service.oip.outputs import chosen_outputs, rows_of, wanted_outputs
from service.oip.schemas import (
    InferRequest,
    InferResponse,
    RequestInput,
    RequestParameters,
)
from service.oip.tensors import Array, read_bytes, read_pixels
from service.shadow import Answered

Input: TypeAlias = tuple[RequestInput, memoryview | None]  # and its values, where they are binary
Read: TypeAlias = Callable[[int], tuple[InferRequest, list[Input]]]
"""Reads a request off the wire: given how many values it may have, raises BadInferenceError."""


@dataclass(frozen=True)
class Inferred:
    """An answer, and what is to be counted of it."""

    artifact: ArtifactRecord
    response: InferResponse  # without its outputs
    outputs: list[tuple[str, Array, bool]]  # name, values, and whether they were asked for binary
    milliseconds: tuple[dict[str, float], ...]  # per stage, one for each picture
    faces: tuple[tuple[str, float], ...]  # emotion and confidence
    answers: tuple[Answered, ...]  # one for each picture


@dataclass(frozen=True)
class _Answers:
    """Rows of every output, and how they came about."""

    artifact: ArtifactRecord
    outputs: dict[str, Array]
    milliseconds: tuple[dict[str, float], ...]
    pictures: tuple[Answered, ...]
    detector: str | None = None


def answer(
    classifier: Classifier,
    model: str,
    version: str | None,
    read: Read,
    max_batch: int,
    check: Check,
) -> Inferred:
    """Answer the request that ``read`` reads, of at most ``max_batch`` pictures or tensors.

    See ``find`` for the version. ``check()`` is called before each picture; what it raises ends
    the work.

    Raises:
        UnknownArtifactError: no such model or version.
        BadInferenceError: not a request that this model takes.
        The errors of Classifier.predict, with the index of the image at fault.
    """
    record = find(classifier.store, model, version)
    request, inputs = read(max_batch * prod(record.input.shape))
    tensor, raw = _only(inputs)
    _check(tensor, record, max_batch)
    wanted = wanted_outputs(request, tensor.name)
    if tensor.name == IMAGE:
        answers = _from_images(classifier, record, read_bytes(tensor, raw), request, check)
    else:
        answers = _from_pixels(classifier, record, read_pixels(tensor, raw))
    response = InferResponse(
        model_name=answers.artifact.model,
        model_version=answers.artifact.version,
        id=request.id,
        parameters={
            "precision": answers.artifact.precision,
            "server_timing": _server_timing(answers.milliseconds),
        }
        | ({"detector": answers.detector} if answers.detector else {}),
        outputs=[],
    )
    return Inferred(
        artifact=answers.artifact,
        response=response,
        outputs=list(chosen_outputs(request, wanted, answers.outputs)),
        milliseconds=answers.milliseconds,
        faces=tuple(
            (label.decode(), float(row.max()))
            for label, row in zip(
                answers.outputs["emotion"], answers.outputs["probabilities"], strict=True
            )
        ),
        answers=answers.pictures,
    )


def _server_timing(pictures: Sequence[dict[str, float]]) -> str:
    """Write the stages' milliseconds, of all pictures, as the header Server-Timing has them.

    A string, since the protocol's parameters over gRPC know no fractions.
    """
    spent = defaultdict[str, float](float)
    for stage, milliseconds in chain.from_iterable(picture.items() for picture in pictures):
        spent[stage] += milliseconds
    return ", ".join(f"{stage};dur={milliseconds:.2f}" for stage, milliseconds in spent.items())


def _only(inputs: list[Input]) -> Input:
    names = [tensor.name for tensor, _ in inputs]
    if len(names) != 1 or names[0] not in (IMAGE, PIXELS):
        shown = ", ".join(names)[:100] or "none"
        raise BadInferenceError(
            f"Send exactly one input, `{IMAGE}` or `{PIXELS}`. The inputs were: {shown}."
        )
    parameters = inputs[0][0].parameters
    if parameters and parameters.shared_memory_region is not None:
        raise BadInferenceError("Shared memory is not served: send the tensor itself.")
    return inputs[0]


def _check(tensor: RequestInput, record: ArtifactRecord, most: int) -> None:
    image = tensor.name == IMAGE
    datatype, shape = ("BYTES", [-1]) if image else ("UINT8", pixels_shape(record))
    if tensor.datatype != datatype:
        raise BadInferenceError(
            f"{tensor.name} has the datatype {datatype}, not {tensor.datatype[:20]}."
        )
    given = tensor.shape[1:]
    if not tensor.shape or (given != shape[1:] and not (image and given == [1])):
        raise BadInferenceError(f"{tensor.name} has the shape {shape}, not {tensor.shape}.")
    if not 1 <= tensor.shape[0] <= most:
        raise BadInferenceError(
            f"{tensor.name} takes 1 to {most} at once, not {tensor.shape[0]}: split the request."
        )


def _from_images(
    classifier: Classifier,
    record: ArtifactRecord,
    images: list[bytes],
    request: InferRequest,
    check: Check,
) -> _Answers:
    options = request.parameters or RequestParameters()
    classifier.registry.get(record.model, record.precision)  # its errors are no image's
    predictions = []
    for index, image in enumerate(images):
        check()
        try:
            prediction = classifier.predict(
                image,
                record.model,
                record.precision,
                faces=options.faces,
                no_face=options.no_face,
                detector=options.detector,
            )
        except EmotionError as error:
            raise type(error)(f"{IMAGE}[{index}]: {error}") from error
        predictions.append(prediction)
    rows = [(index, p, face) for index, p in enumerate(predictions) for face in p.faces]
    outputs = rows_of(np.stack([face.probabilities for _, _, face in rows]))
    outputs["box"] = np.array([_box(p, face) for _, p, face in rows], np.int32)
    outputs["image_index"] = np.array([index for index, _, _ in rows], np.int32)
    return _Answers(
        predictions[0].artifact,
        outputs,
        tuple(p.milliseconds for p in predictions),
        tuple(Answered.of(p) for p in predictions),
        predictions[0].image.detector,
    )


def _from_pixels(classifier: Classifier, record: ArtifactRecord, pixels: Array) -> _Answers:
    artifact = classifier.registry.get(record.model, record.precision)
    watch = Stopwatch()
    with watch.stage("inference", record.name):
        rows = artifact.run(pixels)
    pictures = tuple(
        Answered(artifact.record, (tensor,), (row,))
        for tensor, row in zip(pixels, rows, strict=True)
    )
    return _Answers(artifact.record, rows_of(rows), (watch.milliseconds,), pictures)


def _box(prediction: Prediction, face: FacePrediction) -> tuple[int, int, int, int]:
    """X, y, width, height in the upright picture; all of it where it was taken as the face."""
    image = prediction.image
    if face.face is None:
        return 0, 0, image.width, image.height
    box = face.face.box.clipped(image.width, image.height)
    return box.x, box.y, box.width, box.height
