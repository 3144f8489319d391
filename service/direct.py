"""Calls an endpoint without FastAPI's search for its parameters, a tenth of what HTTP took."""

from collections.abc import Callable, Coroutine
from typing import Any, get_type_hints

from fastapi import BackgroundTasks, Request, Response
from pydantic import BaseModel, ValidationError

from service.clients import admitted
from service.runtime import Runtime
from service.shedding import SheddingRoute
from service.upload import read_image


class DirectRoute(SheddingRoute):
    """A route of an endpoint that takes ``(query, image, runtime, request, after)``.

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
            answer: BaseModel = await self.endpoint(query, image, runtime, request, after)
            return Response(
                answer.model_dump_json(), media_type="application/json", background=after
            )

        return handle
