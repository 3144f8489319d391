"""Refuses what there is no room to compute, before anything else is spent on it."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from service.problems import overloaded
from service.runtime import Runtime
from service.upload import linger_if_closing


class SheddingRoute(APIRoute):
    """A route whose requests the engine computes, or which refuses them at once.

    In a storm most requests are refused, and what that costs is missing to the others: no key is
    looked up for it and no parameter read.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler, with the refusal before it."""
        handle = super().get_route_handler()

        async def handle_or_refuse(request: Request) -> Response:
            runtime: Runtime = request.app.state.runtime
            if runtime.engine.has_room:
                return await handle(request)
            await linger_if_closing(request, request.stream())
            return overloaded(request)

        return handle_or_refuse
