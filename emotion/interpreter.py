"""The one place that talks to LiteRT."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter as LiteRtInterpreter

from emotion.arrays import Floats, Pixels
from emotion.errors import ArtifactUnavailableError
from emotion.mapped import MappedModel
from emotion.records import TensorSpec

# Eight images at once take 0.8 to 1.0 of the time of one by one, by precision and backbone
# (benchmarks/results/batching.json); more bring little and take memory.
MOST_AT_ONCE = 8


class Interpreter:
    """One loaded artifact. Not thread-safe (LiteRT is not): one call at a time."""

    def __init__(self, model: bytes | MappedModel, threads: int = 1) -> None:
        """Load an artifact.

        Args:
            model: the ``.tflite`` file's content. Never a path into the store: what ran through
                the checksum is then what runs, even if the file changes later.
            threads: CPU threads of one call.

        Raises:
            ValueError: the content is not a model LiteRT can run.
        """
        try:
            if isinstance(model, bytes):
                self._load(threads, model_content=model)
            else:
                with model.loading() as path:
                    self._load(threads, model_path=path)
            (self._input,) = self._litert.get_input_details()
            (self._output,) = self._litert.get_output_details()
            self._images, self._most = 1, MOST_AT_ONCE
        except RuntimeError as error:
            raise ValueError(f"not a model LiteRT can run: {error}") from error

    def _load(self, threads: int, **source: object) -> None:
        self._litert = LiteRtInterpreter(**source, num_threads=threads)
        self._litert.allocate_tensors()

    @property
    def input(self) -> TensorSpec:
        """What the graph takes: uint8 pixels [1, size, size, 3]."""
        return _spec(self._input)

    @property
    def output(self) -> TensorSpec:
        """What the graph answers: float32 [1, ...], for a classifier [1, 7]."""
        return _spec(self._output)

    def run(self, tensors: Pixels, check: Callable[[], object] | None = None) -> Floats:
        """Compute uint8 tensors [n, size, size, 3] to float32 [n, ...], several at a time.

        Each answer is that of its image alone, bit for bit. ``check`` is called before each time.
        """
        answers = np.empty((len(tensors), *self._output["shape"][1:]), np.float32)
        start = 0
        while start < len(tensors):
            if check:
                check()
            stop = start + self._take(len(tensors) - start)
            self._litert.set_tensor(self._input["index"], tensors[start:stop])
            self._litert.invoke()
            answers[start:stop] = self._litert.get_tensor(self._output["index"])
            start = stop
        return answers

    def _take(self, images: int) -> int:
        """Make the graph take so many images, or as many as it can; returns how many."""
        images = min(images, self._most)
        if images != self._images:
            try:
                self._resize(images)
            except RuntimeError:  # it was exported for one image alone
                self._most = images = 1
                self._resize(images)
            self._images = images
        return images

    def _resize(self, images: int) -> None:
        # 0.1 ms: the weights stay packed.
        shape = (images, *self._input["shape"][1:])
        self._litert.resize_tensor_input(self._input["index"], shape)
        self._litert.allocate_tensors()


def load_interpreter(
    name: str,
    model: bytes | MappedModel,
    takes: TensorSpec,
    answers: TensorSpec,
    threads: int = 1,
) -> Interpreter:
    """Load an artifact of the store and warm it; see Interpreter.

    Raises:
        ArtifactUnavailableError: it cannot run, or its tensors are not the given ones.
    """
    try:
        interpreter = Interpreter(model, threads)
        if (interpreter.input, interpreter.output) != (takes, answers):
            raise ArtifactUnavailableError(
                f"{name}: its tensors are not those the manifest describes: publish it again."
            )
        interpreter.run(np.zeros(interpreter.input.shape, np.uint8))  # the first call is slow
    except (ValueError, RuntimeError) as error:
        raise ArtifactUnavailableError(f"{name} cannot be run: {error}") from error
    return interpreter


def _spec(detail: dict[str, Any]) -> TensorSpec:
    scale, zero_point = detail["quantization"]
    return TensorSpec(
        shape=tuple(detail["shape"].tolist()),
        dtype=np.dtype(detail["dtype"]).name,
        scale=float(scale),
        zero_point=int(zero_point),
    )
