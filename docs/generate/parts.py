"""What an artifact's bytes are: weights, biases, scales, and the graph that holds them."""

from dataclasses import dataclass
from typing import Any

from ai_edge_litert.schema_py_generated import ModelT, TensorType

from emotion.records import ArtifactRecord
from emotion.store import ModelStore

_WEIGHTS = (TensorType.FLOAT32, TensorType.FLOAT16, TensorType.INT8)
_SCALE_BYTES, _ZERO_POINT_BYTES = 4, 8  # float32 and int64, for each channel


@dataclass(frozen=True)
class Parts:
    """Bytes of an artifact's file; together they are the file."""

    weights: int
    biases: int  # in int32; in float precisions they are of the weights' type, and among them
    scales: int  # and zero points
    graph: int  # operators, tensors' names and shapes, padding


def parts(store: ModelStore, record: ArtifactRecord) -> Parts:
    """Take an artifact's file apart."""
    model: Any = ModelT.InitFromPackedBuf(store.read(record))
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    shared = {tensor.buffer: tensor.type for tensor in tensors}
    held = [(kind, _bytes(model.buffers[buffer])) for buffer, kind in shared.items()]
    weights = sum(size for kind, size in held if kind in _WEIGHTS)
    biases = sum(size for kind, size in held if kind not in _WEIGHTS)
    scales = sum(
        _SCALE_BYTES * _length(tensor.quantization.scale)
        + _ZERO_POINT_BYTES * _length(tensor.quantization.zeroPoint)
        for tensor in tensors
        if tensor.quantization is not None
    )
    return Parts(weights, biases, scales, record.bytes - weights - biases - scales)


def _bytes(buffer: Any) -> int:
    return _length(buffer.data) or buffer.size


def _length(values: Any) -> int:
    return 0 if values is None else len(values)
