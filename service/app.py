"""Builds the application: settings in, ASGI app out."""

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import Any

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi_swagger import patch_fastapi
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from service.access import AccessMiddleware
from service.clients import Clients, CountedOut, guards
from service.clock import watched_clock
from service.descriptors import descriptors_in_use, most_connections
from service.drain import hold_sigterm
from service.grpc_extra import grpc_server
from service.headers import SecurityHeaders
from service.logs import configure_logs
from service.metrics import Metrics
from service.oip.schemas import request_schemas
from service.openapi_examples import add_examples
from service.problems import NAMES, REFUSALS, add_problem_handlers
from service.reload import followed
from service.replacement import started
from service.request_ids import is_request_id
from service.routes import (
    compare,
    explain,
    fragments,
    health,
    metrics,
    models,
    page,
    predict,
    reports,
    shadow,
    swagger,
    v2,
)
from service.runtime import Runtime
from service.schemas import Problem
from service.settings import Settings
from service.tracing import Traces, tracer_provider


def create_app(
    settings: Settings | None = None,
    make_runtime: Callable[[Settings, Metrics], Runtime] = Runtime,
) -> FastAPI:
    """Return the service's ASGI app; settings come from the environment unless given.

    ``make_runtime`` may bring a runtime that computes elsewhere.
    """
    settings = settings or Settings()
    counted = Metrics(NAMES)
    configure_logs(settings.log_level, counted.log_line_lost)
    counted.look_for_killed_workers()
    tracing = tracer_provider()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        app.state.drain = drain = hold_sigterm(settings.drain_seconds, counted)
        app.state.runtime = await started(partial(make_runtime, settings, counted), drain)
        async with (
            followed(app.state.runtime.current, settings.reload_seconds),
            watched_clock(counted),
            _over_grpc(app, settings),
        ):
            # For the protocol below the app.
            grpc = settings.grpc_port is not None
            in_use = descriptors_in_use()  # by what is loaded by now
            most = partial(most_connections, settings.max_connections, in_use, with_grpc=grpc)
            if not gc.isenabled():  # as service/__main__.py starts
                gc.enable()
                gc.freeze()  # what is there stays: each full look at it would take 60 ms
            yield {"metrics": counted, "most_connections": most}
        await run_in_threadpool(app.state.runtime.close)
        counted.close()
        if tracing:
            await run_in_threadpool(tracing.shutdown)

    clients = Clients(settings)
    app = FastAPI(
        title="Emotion service",
        summary="Which of seven emotions does a face show?",
        version="0.1.0",
        lifespan=lifespan,
        redirect_slashes=False,  # it would send them to whatever host the request names
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        # FastAPI's own would tell of addresses and queries; service/tracing.py does not.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(
                CorrelationIdMiddleware,
                validator=is_request_id,
                update_request_header=False,  # nothing reads it there
            ),
            *([Middleware(Traces, provider=tracing)] if tracing else []),
            Middleware(AccessMiddleware, metrics=counted),
            Middleware(CountedOut, clients=clients),
            *_cross_origin(settings),
        ],
    )
    app.state.metrics = counted
    app.state.clients = clients
    guarded = guards(settings)
    for route in (predict, compare, explain, models, shadow, reports, fragments):
        app.include_router(route.router, dependencies=guarded, responses=REFUSALS)
    app.include_router(v2.router, dependencies=guarded)  # its errors have a form of their own
    app.include_router(v2.probes)
    app.include_router(metrics.router, dependencies=[] if settings.metrics_open else guarded)
    app.include_router(health.router)
    app.include_router(page.router)
    app.include_router(swagger.router)  # before the library's, which reads a file for each request
    app.mount("/web", page.FILES)
    patch_fastapi(app)  # /docs, from files of its own
    add_problem_handlers(app)
    app.openapi = lambda: _completed_openapi(app)  # type: ignore[method-assign]
    return app


def _over_grpc(app: FastAPI, settings: Settings) -> AbstractAsyncContextManager[None]:
    if settings.grpc_port is None:
        return nullcontext()
    state = app.state
    served: AbstractAsyncContextManager[None] = grpc_server().served(
        state.runtime, state.clients, state.drain, app.version
    )
    return served


def _cross_origin(settings: Settings) -> list[Middleware]:
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type", "X-API-Key", "X-Request-ID"),
            expose_headers=("Retry-After", "X-Request-ID"),
        )
    ]


def _completed_openapi(app: FastAPI) -> dict[str, Any]:
    """Add the errors' schema, which FastAPI leaves out, and examples to the OpenAPI document."""
    if app.openapi_schema:
        return app.openapi_schema
    document = FastAPI.openapi(app)  # which remembers it
    document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
    document["components"]["schemas"] |= request_schemas()
    add_examples(document)
    return document
