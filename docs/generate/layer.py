"""One real layer, in float32 and in int8, read from the shipped artifacts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emotion.store import ModelStore
from training.operators import operators_of, plain

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """A convolution's weights and what its int8 form keeps of them."""

    name: str
    weights: Reals  # [out, height, width, in], of the float32 artifact
    quantized: Reals  # the same, the int8 artifact's integers
    scales: Reals  # [out]
    input: tuple[float, int]  # scale and zero point of the activations that enter
    output: tuple[float, int]

    @property
    def restored(self) -> Reals:
        """What the int8 weights stand for."""
        return self.quantized * self.scales[:, np.newaxis, np.newaxis, np.newaxis]

    @property
    def study_quantized(self) -> Reals:
        """The study's floor(128 x / a), a the largest magnitude of the tensor; not yet clipped."""
        return np.asarray(np.floor(128 * self.weights / np.abs(self.weights).max()))

    @property
    def study_restored(self) -> Reals:
        """What the study's integers stand for, once clipped to -128..127."""
        largest = np.abs(self.weights).max()
        return np.asarray(np.clip(self.study_quantized, -128, 127) * largest / 128)


def first_convolution(store: ModelStore, model: str) -> Layer:
    """Read the first convolution of a model from its float32 and its int8 artifact."""
    exact, _ = _first(store, model, "float32")
    small, details = _first(store, model, "int8")
    entering, weights, leaving = details
    return Layer(
        name=str(weights["name"]).split("/")[-2].removesuffix("_1"),
        weights=exact.astype(np.float64),
        quantized=small.astype(np.float64),
        scales=weights["quantization_parameters"]["scales"].astype(np.float64),
        input=entering["quantization"],
        output=leaving["quantization"],
    )


def _first(
    store: ModelStore, model: str, precision: str
) -> tuple[npt.NDArray[Any], list[dict[str, Any]]]:
    interpreter = plain(store.read(store.record(model, precision)))
    interpreter.allocate_tensors()
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    operator = next(op for op in operators_of(interpreter) if op["op_name"] == "CONV_2D")
    used = [tensors[operator[side][place]] for side, place in (("inputs", 0), ("inputs", 1))]
    details = [*used, tensors[operator["outputs"][0]]]
    return interpreter.get_tensor(details[1]["index"]).copy(), details
