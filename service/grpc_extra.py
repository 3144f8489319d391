"""gRPC and the protocol's stubs are an extra: nothing needs them where no port is set."""

import os
from types import ModuleType

from emotion.errors import EmotionError


class NoGrpcError(EmotionError):
    """A port for gRPC is set, but what serves it is not installed."""


def grpc_server() -> ModuleType:
    """Import ``service.grpc_server``; raises NoGrpcError without the extra."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # or clients could fill standard error
    try:
        from service import grpc_server
    except (ImportError, RuntimeError) as error:  # tritonclient raises the second
        raise NoGrpcError(
            "EMOTION_GRPC_PORT needs the extra grpc: pip install 'emotion-service[grpc]'."
        ) from error
    return grpc_server
