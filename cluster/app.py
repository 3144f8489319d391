"""The service's app inside a replica, under settings that may change while it serves."""

import asyncio
from collections.abc import Callable

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from service.settings import Settings


class CurrentApp:
    """An ASGI app that hands every request to the service under the newest settings."""

    def __init__(self, create: Callable[[Settings], FastAPI]) -> None:
        """Take what makes the service's app; nothing serves before ``follow``."""
        self._create = create
        self._serving: _Serving | None = None
        self._settings: Settings | None = None
        self._changing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or follow the server's start and end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if self._serving is None:
            raise RuntimeError("The replica was given no settings: set user_config, {} at least.")

        async def without_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                del MutableHeaders(scope=message)["x-request-id"]  # Ray Serve's proxy adds it
            await send(message)

        await self._serving.answer(scope, receive, without_id)

    async def follow(self, settings: Settings) -> None:
        """Start the service under these settings, switch to it, and end the one before.

        Both are in memory for a moment. Raises what the start raises; the one before then goes on.
        """
        async with self._changing:
            if settings == self._settings:
                return
            serving = _Serving(self._create(settings))
            await serving.begin()
            before, self._serving, self._settings = self._serving, serving, settings
            if before:
                await before.end()

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        if self._serving:
            await self._serving.end()
        await send({"type": "lifespan.shutdown.complete"})


class _Serving:
    """A started app, and how many requests it has under way."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._lifespan = app.router.lifespan_context(app)
        self._requests = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def begin(self) -> None:
        await self._lifespan.__aenter__()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._requests += 1
        self._idle.clear()
        try:
            await self._app(scope, receive, send)
        finally:
            self._requests -= 1
            if not self._requests:
                self._idle.set()

    async def end(self) -> None:
        await self._idle.wait()
        await self._lifespan.__aexit__(None, None, None)
