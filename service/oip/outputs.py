"""What a request asks for of the answers: which outputs, in which form, as classes or values."""

from collections.abc import Iterator

import numpy as np

from emotion.labels import EMOTIONS
from service.oip.errors import BadInferenceError
from service.oip.model import IMAGE
from service.oip.schemas import InferRequest, OutputParameters
from service.oip.tensors import Array, text_array


def wanted_outputs(request: InferRequest, given: str) -> list[tuple[str, OutputParameters]]:
    """Name the outputs that are asked for; all that the given input has where none are.

    Raises:
        BadInferenceError: an output that this input does not have, twice, or in no form it has.
    """
    all_of_them = ["probabilities", "emotion"] + ["box", "image_index"] * (given == IMAGE)
    if not request.outputs:
        return [(name, OutputParameters()) for name in all_of_them]
    wanted = [(o.name, o.parameters or OutputParameters()) for o in request.outputs]
    names = [name for name, _ in wanted]
    for name, parameters in wanted:
        if name not in all_of_them:
            known = ", ".join(all_of_them)
            raise BadInferenceError(
                f"There is no output {name[:100]} for the input {given}. There are: {known}."
            )
        if names.count(name) > 1:
            raise BadInferenceError(f"The output {name} is asked for more than once.")
        if parameters.shared_memory_region is not None:
            raise BadInferenceError("Shared memory is not served: take the output itself.")
        if parameters.classification and name != "probabilities":
            raise BadInferenceError("Only the output probabilities can be classified.")
    return wanted


def rows_of(probabilities: Array) -> dict[str, Array]:
    """Return the outputs that any input gives."""
    emotions = [EMOTIONS[index] for index in probabilities.argmax(axis=1)]
    return {
        "probabilities": probabilities,
        "emotion": text_array(emotions, (len(probabilities),)),
    }


def chosen_outputs(
    request: InferRequest, wanted: list[tuple[str, OutputParameters]], outputs: dict[str, Array]
) -> Iterator[tuple[str, Array, bool]]:
    """Pick what is wanted: name, values, and whether they go out binary."""
    binary = bool(request.parameters and request.parameters.binary_data_output)
    for name, parameters in wanted:
        array = outputs[name]
        if parameters.classification:
            array = _classes(array, parameters.classification)
        yield name, array, binary if parameters.binary_data is None else parameters.binary_data


def _classes(probabilities: Array, count: int) -> Array:
    """Name the most probable classes, as the classification extension writes them."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    text = [
        f"{row[index]:.6f}:{index}:{EMOTIONS[index]}"
        for row, best in zip(probabilities, order, strict=True)
        for index in best
    ]
    return text_array(text, order.shape)
