"""The Open Inference Protocol over gRPC: other wires, the same answers, limits and counts."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import grpc
import structlog
from asgi_correlation_id import correlation_id
from grpc import StatusCode
from tritonclient.grpc import service_pb2 as pb

from emotion import Classifier
from emotion.errors import ArtifactUnavailableError, EmotionError, UnknownArtifactError
from emotion.records import ArtifactRecord
from service.access import PROBLEM
from service.clients import KEY_HEADER, Clients
from service.descriptors import descriptors_in_use, most_connections
from service.drain import Drain
from service.engine import Check, at_once
from service.oip import protobuf
from service.oip.errors import BadInferenceError
from service.oip.infer import Inferred, answer
from service.oip.model import describe, find, load
from service.oip.schemas import ServerMetadata
from service.problems import BUG, CLIENT_CLOSED_REQUEST, INTERNAL, NOT_SERVED, explained
from service.request_ids import is_request_id
from service.routes.health import readiness
from service.runtime import Runtime
from service.upload import in_time

_SERVICE = f"/{pb.DESCRIPTOR.services_by_name['GRPCInferenceService'].full_name}/"
_CODES = {  # those of problems; what else is a sender's fault is an invalid argument
    401: StatusCode.UNAUTHENTICATED,
    404: StatusCode.NOT_FOUND,
    408: StatusCode.DEADLINE_EXCEEDED,
    429: StatusCode.RESOURCE_EXHAUSTED,
    500: StatusCode.INTERNAL,
    501: StatusCode.UNIMPLEMENTED,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}
_PROBES = {"ServerLive", "ServerReady"}  # for all to ask, as /livez and /readyz
_PROBE_SECONDS = 2  # for their empty message to arrive, since no key and no limit keeps them out
_HANDSHAKE_SECONDS = 30
_IDLE_SECONDS = 300
_asked: ContextVar[list[ArtifactRecord]] = ContextVar("asked")  # by this call: none or one
_log = structlog.get_logger("access")


@asynccontextmanager
async def served(
    runtime: Runtime, clients: Clients, drain: Drain, version: str
) -> AsyncIterator[None]:
    """Serve gRPC until the ports close or the block ends, then finish the calls under way.

    Raises:
        RuntimeError: the port is taken.
    """
    settings = runtime.settings
    most = settings.max_uploads + at_once(settings.threads) + settings.max_waiting
    connections = most_connections(settings.max_connections, descriptors_in_use(), with_grpc=True)
    server = grpc.aio.server(
        maximum_concurrent_rpcs=most,
        options=[
            ("grpc.max_receive_message_length", settings.max_body_bytes),
            ("grpc.max_concurrent_streams", 2 * most),  # more wait at the client
            ("grpc.max_allowed_incoming_connections", connections),
            ("grpc.server_handshake_timeout_ms", 1000 * _HANDSHAKE_SECONDS),
            ("grpc.max_connection_idle_ms", 1000 * _IDLE_SECONDS),
            # A few bytes can be gigabytes when decompressed, which nothing bounds.
            ("grpc.compression_enabled_algorithms_bitset", 1),
            ("grpc.per_message_decompression", 0),
            # Workers share the port; where there is one, a port that is taken is an error.
            ("grpc.so_reuseport", int(settings.workers > 1)),
        ],
    )
    server.add_generic_rpc_handlers((_Service(runtime, clients, drain, version),))
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    server.add_insecure_port(f"{host}:{settings.grpc_port}")
    await server.start()
    stopped = asyncio.create_task(_stop(server, drain.closing, settings.grace_seconds))
    try:
        yield
    finally:
        drain.closing.set()
        await stopped


async def _stop(server: Any, closing: asyncio.Event, grace_seconds: float) -> None:
    """Wait for ``closing``: HTTP and gRPC finish beside each other, not one after the other."""
    await closing.wait()
    await server.stop(grace_seconds)


class _NotServedError(Exception):
    pass


class _Service:
    """Finds what answers a call.

    Messages are bytes to gRPC, so that they are taken in once a call is let in, and understood in
    the engine's threads.
    """

    def __init__(self, runtime: Runtime, clients: Clients, drain: Drain, version: str) -> None:
        self._runtime = runtime
        self._clients = clients
        self._drain = drain
        self._version = version
        self._calls: dict[str, Callable[[bytes], Awaitable[Any]]] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ServerMetadata": self._server_metadata,
            "ModelReady": self._model_ready,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._model_infer,
        }

    def service(self, details: Any) -> Any:
        """Return the handler of a call; gRPC asks for it."""
        return grpc.stream_unary_rpc_method_handler(partial(self._answer, details.method))

    async def _answer(self, path: str, messages: AsyncIterator[bytes], context: Any) -> bytes:
        """Answer one call, count it and log it, with the status it would have over HTTP."""
        start = time.perf_counter()
        given = dict(context.invocation_metadata()).get("x-request-id", "")
        correlation_id.set(given if is_request_id(given) else uuid4().hex)
        context.set_trailing_metadata((("x-request-id", correlation_id.get()),))
        asked: list[ArtifactRecord] = []
        _asked.set(asked)
        name = path.removeprefix(_SERVICE)
        known = path == _SERVICE + name and name in self._calls
        status = HTTPStatus.OK.value
        logged = {}
        try:
            with nullcontext() if known and name in _PROBES else self._admitted(context) as key:
                logged = {"api_key": key} if key else {}
                if not known:
                    raise _NotServedError(f"Not served. There are: {', '.join(self._calls)}.")
                answer = await self._calls[name](await self._received(name, messages))
                return bytes(answer.SerializeToString())
        except asyncio.CancelledError:
            status = CLIENT_CLOSED_REQUEST
            raise
        except Exception as error:
            kind, said = _told(error)
            status = kind.status
            self._runtime.metrics.problem(kind.name)
            logged[PROBLEM] = kind.name
            await context.abort(_CODES.get(status, StatusCode.INVALID_ARGUMENT), said)
            raise
        finally:
            seconds = time.perf_counter() - start
            route = path if known else "unmatched"
            self._runtime.metrics.request("gRPC", route, status, seconds, asked)
            _log.info(
                "request",
                method="gRPC",
                path=path,
                status=status,
                milliseconds=round(1000 * seconds, 2),
                **logged,
            )

    @contextmanager
    def _admitted(self, context: Any) -> Iterator[str | None]:
        """Count a call in and out; gives its key's id."""
        sent = dict(context.invocation_metadata())
        key, client = self._clients.admit(
            sent.get("authorization"), sent.get(KEY_HEADER.lower()), _host(context)
        )
        try:
            yield key
        finally:
            self._clients.leave(client)

    async def _received(self, name: str, messages: AsyncIterator[bytes]) -> bytes:
        infers = name == "ModelInfer"
        if infers:
            self._runtime.engine.check_room()
        async with (
            self._runtime.uploads if infers else nullcontext(),
            in_time(_PROBE_SECONDS if name in _PROBES else self._runtime.settings.upload_seconds),
        ):
            async for message in messages:
                return message
        most = self._runtime.settings.max_body_bytes  # with more, gRPC has told the sender
        raise BadInferenceError(f"The call ended without a message of at most {most} bytes.")

    async def _server_live(self, message: bytes) -> Any:
        return pb.ServerLiveResponse(live=True)

    async def _server_ready(self, message: bytes) -> Any:
        ready = readiness(self._runtime, self._drain)
        return pb.ServerReadyResponse(ready=ready.takes_requests)

    async def _server_metadata(self, message: bytes) -> Any:
        return pb.ServerMetadataResponse(**ServerMetadata(version=self._version).model_dump())

    async def _model_ready(self, message: bytes) -> Any:
        asked = protobuf.decode(pb.ModelReadyRequest, message)
        registry = self._runtime.classifier.registry
        try:
            await load(registry, self._runtime.engine, asked.name, asked.version or None)
        except (UnknownArtifactError, ArtifactUnavailableError):
            # It is an answer too, as for HTTP clients.
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    async def _model_metadata(self, message: bytes) -> Any:
        asked = protobuf.decode(pb.ModelMetadataRequest, message)
        store = self._runtime.classifier.store
        return protobuf.described(describe(store, asked.name, asked.version or None))

    async def _model_infer(self, message: bytes) -> Any:
        most = self._runtime.settings.max_batch

        def work(classifier: Classifier, check: Check) -> tuple[Inferred, Any]:
            asked = protobuf.decode(pb.ModelInferRequest, message)
            model, version = asked.model_name, asked.model_version or None
            _asked.get().append(find(classifier.store, model, version))
            read = partial(protobuf.read, asked)
            inferred = answer(classifier, model, version, read, most, check)
            return inferred, protobuf.write(inferred)

        (inferred, response), timing = await self._runtime.compute(work)
        self._runtime.metrics.inferred(
            inferred.artifact, inferred.milliseconds, inferred.faces, timing
        )
        if shadow := self._runtime.shadow:
            # Once this task waits, which is for the answer to be sent.
            later = asyncio.get_running_loop().call_soon
            later(shadow.offer, inferred.answers, self._runtime.classifier.store)
        return response


def _told(error: Exception) -> tuple[Any, str]:
    """Return an error's kind, and what the caller is told."""
    if isinstance(error, EmotionError):
        return explained(error)
    if isinstance(error, _NotServedError):
        return NOT_SERVED, str(error)
    _log.exception("a call failed")
    return INTERNAL, BUG


def _host(context: Any) -> str | None:
    """Return the address of a peer such as ``ipv4:127.0.0.1:4711`` or ``ipv6:%5B::1%5D:4711``."""
    kind, _, address = unquote(context.peer()).partition(":")
    return address.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else None
