"""Builds the application: settings in, ASGI app out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi_swagger import patch_fastapi
from starlette.middleware import Middleware

from service.access import AccessMiddleware
from service.drain import hold_sigterm
from service.logs import configure_logs
from service.metrics import Metrics
from service.problems import add_problem_handlers
from service.routes import compare, health, metrics, models, predict
from service.runtime import Runtime
from service.schemas import Problem
from service.settings import Settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the service's ASGI app; settings come from the environment unless given."""
    settings = settings or Settings()
    configure_logs(settings.log_level)
    counted = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.drain = hold_sigterm(settings.drain_seconds)
        app.state.runtime = await run_in_threadpool(Runtime, settings, counted)
        yield
        await run_in_threadpool(app.state.runtime.engine.close)
        counted.close()

    app = FastAPI(
        title="Emotion service",
        summary="Which of seven emotions does a face show?",
        version="0.1.0",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        middleware=[
            Middleware(CorrelationIdMiddleware),
            Middleware(AccessMiddleware, metrics=counted),
        ],
    )
    app.state.metrics = counted
    for route in (predict, compare, models, health, metrics):
        app.include_router(route.router)
    patch_fastapi(app)  # /docs, from files of its own
    add_problem_handlers(app)
    app.openapi = lambda: _with_problem_schema(app)  # type: ignore[method-assign]
    return app


def _with_problem_schema(app: FastAPI) -> dict[str, Any]:
    """Complete the OpenAPI document: FastAPI adds the schemas of answers, but not of errors."""
    document = FastAPI.openapi(app)
    document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
    return document
