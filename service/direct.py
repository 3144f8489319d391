"""Calls an endpoint without FastAPI's search for its parameters: 0.2 of 1.9 ms of HTTP."""

from collections.abc import Callable, Coroutine
from typing import Any, get_type_hints

from fastapi import BackgroundTasks, Request, Response
from pydantic import BaseModel, ValidationError

from service.clients import admitted
from service.runtime import Runtime
from service.shedding import SheddingRoute
from service.upload import read_image


class DirectRoute(SheddingRoute):
    """A route of an endpoint that takes query, image, runtime, request and after, so named.

    Whoever asks is admitted, then the body is read, then the endpoint called, as by FastAPI;
    requests whose query it refuses go FastAPI's whole way. Of the dependencies with which a router
    is included it knows ``service.clients.guards`` alone.
    """

    def handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the short way, which knows the long one."""
        whole_way = super().handler()
        query_model: type[BaseModel] = get_type_hints(self.endpoint)["query"]

        async def handle(request: Request) -> Response:
            try:
                query = query_model.model_validate(dict(request.query_params))
            except ValidationError:
                return await whole_way(request)
            await admitted(request)
            image = await read_image(request)
            runtime: Runtime = request.app.state.runtime
            after = BackgroundTasks()
            answer: BaseModel = await self.endpoint(
                query=query, image=image, runtime=runtime, request=request, after=after
            )
            return Response(
                answer.model_dump_json(), media_type="application/json", background=after
            )

        return handle
