"""tritonclient's gRPC client, and what serves it, beside KServe's client in one process.

Both packages' messages have the protocol's names, and one registry of messages takes a name once.
"""

from unittest.mock import patch

from google.protobuf import descriptor_pool

_own = descriptor_pool.DescriptorPool()
with patch.object(descriptor_pool, "Default", lambda: _own):
    import tritonclient.grpc as triton
    from tritonclient.grpc import service_pb2 as messages

    from service.oip import protobuf

__all__ = ["messages", "protobuf", "triton"]
