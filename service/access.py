"""One log line and one count for every request."""

import time
from http import HTTPStatus

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.metrics import Metrics

ARTIFACTS = "artifacts"  # where a route leaves, in the request's scope, the records it asks
PROBLEM = "problem"  # and where its answer leaves the name of what was wrong
INTERNAL_ERROR = "internal-error"  # that of what nobody foresaw
MAX_PATH = 200  # characters of a path in the log
_log = structlog.get_logger("access")


class AccessMiddleware:
    """Logs each request's method, path, status, duration, its problem and the API key's id.

    No query, no body, no address.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and record how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            scope[PROBLEM] = INTERNAL_ERROR
            raise
        finally:
            seconds = time.perf_counter() - start
            route = getattr(scope.get("route"), "path", "unmatched")
            asked = scope.get(ARTIFACTS, ())
            self._metrics.request(scope["method"], route, status, seconds, asked)
            _log.info(
                "request",
                method=scope["method"],
                path=scope["path"][:MAX_PATH],
                status=status,
                milliseconds=round(1000 * seconds, 2),
                **{name: scope[name] for name in ("api_key", PROBLEM) if scope.get(name)},
            )
