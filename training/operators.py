"""What an artifact of the model store computes, operator by operator."""

from typing import Any

from ai_edge_litert.interpreter import Interpreter, OpResolverType

_ENDS = ("inputs", "outputs")


def plain(artifact: bytes) -> Any:
    """Load an artifact without delegates, which would hide operators behind one of their own."""
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return Interpreter(model_content=artifact, experimental_op_resolver_type=resolver)


def operators_of(interpreter: Any) -> list[dict[str, Any]]:
    """List an interpreter's operators in their order, each with op_name, inputs and outputs."""
    # LiteRT has no public list of operators; this one is as old as TensorFlow Lite.
    found: list[dict[str, Any]] = interpreter._get_ops_details()
    return found


def same_graph(one: bytes, other: bytes) -> bool:
    """Whether two artifacts do the same with other weights, and so in the same time.

    The same operators in the same order, on tensors of the same shapes and types.
    """
    return _signature(one) == _signature(other)


def _signature(artifact: bytes) -> list[tuple[str, list[Any]]]:
    interpreter = plain(artifact)
    details = interpreter.get_tensor_details()
    tensors = {t["index"]: (t["shape"].tolist(), t["dtype"]) for t in details}
    return [
        (operator["op_name"], [tensors.get(index) for key in _ENDS for index in operator[key]])
        for operator in operators_of(interpreter)
    ]
