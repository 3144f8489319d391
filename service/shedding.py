"""Refuses what there is no room to compute, before anything else is spent on it."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope, Send

from service.problems import overloaded
from service.runtime import Runtime
from service.upload import goes_on, linger


class SheddingRoute(APIRoute):
    """A route whose requests the engine computes, or which refuses them at once.

    In a storm most requests are refused, and what that costs is missing to the others: no key is
    looked up for it and no parameter read.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return ``handler``, with the refusal before it."""
        handle = self.handler()

        async def handle_or_refuse(request: Request) -> Response:
            runtime: Runtime = request.app.state.runtime
            if runtime.engine.has_room:
                return await handle(request)
            refusal = overloaded(request)
            if goes_on(request) and _is_bounded(request, runtime.settings.max_body_bytes):
                return refusal  # the body is read and dropped after it
            return _Last(request, refusal)

        return handle_or_refuse

    def handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request there is room for: FastAPI's own."""
        return super().get_route_handler()


def _is_bounded(request: Request, most: int) -> bool:
    chunked = "transfer-encoding" in request.headers
    return not chunked and int(request.headers.get("content-length", "0")) <= most


class _Last(Response):
    """An answer with which the connection ends: sent at once, and closed a little later."""

    def __init__(self, request: Request, answer: Response) -> None:
        super().__init__()
        self._request, self._answer = request, answer
        answer.headers["Connection"] = "close"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_open(message: Message) -> None:
            is_body = message["type"] == "http.response.body"
            await send({**message, "more_body": True} if is_body else message)

        await self._answer(scope, receive, send_open)
        await linger(self._request, self._request.stream())
        await send({"type": "http.response.body", "body": b"", "more_body": False})
