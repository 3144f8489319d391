"""Errors to RFC 9457 problem documents: the one place where error classes meet status codes."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from asgi_correlation_id import correlation_id
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from emotion import errors
from service.access import INTERNAL_ERROR, PROBLEM
from service.clients import TooManyRequestsError, UnauthorizedError
from service.engine import AT_ITS_LIMIT, AbandonedError, DeadlineError, OverloadedError
from service.headers import secure
from service.logs import Seldom
from service.oip.errors import BadInferenceError
from service.oip.schemas import InferError
from service.openapi_examples import problem_examples
from service.schemas import Problem
from service.upload import (
    BadUploadError,
    BodyTooLargeError,
    UnsupportedBodyError,
    UploadTimeoutError,
    awaits_leave,
)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1
CLIENT_CLOSED_REQUEST = 499  # nginx's code, for the log
_log = structlog.get_logger(__name__)  # or it would have the name of who warns
_warnings = Seldom()


@dataclass(frozen=True)
class _Kind:
    status: int
    name: str
    title: str
    detail: str | None = None  # in place of the error's own, which is for the log


KINDS: dict[type[errors.EmotionError], _Kind] = {
    BadUploadError: _Kind(400, "bad-upload", "Not exactly one image in the request"),
    BadInferenceError: _Kind(400, "bad-inference", "Not an inference request for this model"),
    errors.UnreadableImageError: _Kind(400, "unreadable-image", "The image cannot be decoded"),
    errors.ImageTooSmallError: _Kind(400, "image-too-small", "The image has too few pixels"),
    UnauthorizedError: _Kind(401, "unauthorized", "No API key that is known"),
    errors.UnknownArtifactError: _Kind(404, "unknown-artifact", "No such model or precision"),
    errors.UnknownReportError: _Kind(404, "unknown-report", "No such file among the reports"),
    UploadTimeoutError: _Kind(408, "upload-timeout", "The request body came too slowly"),
    BodyTooLargeError: _Kind(413, "body-too-large", "The request body has too many bytes"),
    errors.ImageTooLargeError: _Kind(413, "image-too-large", "The image has too many pixels"),
    UnsupportedBodyError: _Kind(415, "unsupported-body", "The content type is not served"),
    errors.UnsupportedFormatError: _Kind(415, "unsupported-format", "Not a served image format"),
    errors.NoFaceError: _Kind(422, "no-face", "No face was found"),
    errors.UnknownFaceError: _Kind(422, "unknown-face", "The image has fewer faces"),
    errors.TooManyFacesError: _Kind(422, "too-many-faces", "The image shows too many faces"),
    TooManyRequestsError: _Kind(429, "too-many-requests", "This client asks too much"),
    errors.ArtifactUnavailableError: _Kind(503, "artifact-unavailable", "The artifact cannot run"),
    errors.DetectorMissingError: _Kind(
        503,
        "detector-missing",
        "The detector cannot run",
        "The Caffe detector's files are not on the server: ask for detector=compiled, or tell "
        "whoever runs the service, whose log says where they were looked for.",
    ),
    OverloadedError: _Kind(503, "overloaded", "Too many requests at once"),
    DeadlineError: _Kind(504, "deadline-passed", "No answer in time"),
}
_COME_BACK = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_RETRY_AFTER = {
    "Retry-After": {"description": "seconds to wait for", "schema": {"type": "integer"}}
}
_BODY_UNREAD = (401, 408, 413, 429)  # perhaps: what follows may not be the next request
_INVALID = _Kind(422, "invalid-parameter", "A parameter is not valid")
NOT_SERVED = _Kind(501, "not-served", "No such call")
INTERNAL = _Kind(500, INTERNAL_ERROR, "The service made a mistake")
NAMES = tuple(kind.name for kind in (*KINDS.values(), _INVALID, NOT_SERVED, INTERNAL))
"""Of all problems, but for those of HTTP alone, such as not-found."""
BUG = "This is a bug: report it with the request id, it is in the service's log."


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of the app with a problem document."""
    app.add_exception_handler(errors.EmotionError, _on_emotion_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    for gone in (ClientDisconnect, AbandonedError):
        app.add_exception_handler(gone, _on_disconnect)
    app.add_exception_handler(Exception, _on_bug)


def problem_responses(*kinds: type[errors.EmotionError]) -> dict[int | str, dict[str, Any]]:
    """Describe errors for OpenAPI; invalid parameters are always among them."""
    described = [*(KINDS[kind] for kind in kinds), _INVALID]
    responses: dict[int | str, dict[str, Any]] = {}
    for status in sorted({kind.status for kind in described}):
        titles = {kind.name: kind.title for kind in described if kind.status == status}
        responses[status] = {
            "description": " ".join(f"`{name}`: {title}." for name, title in titles.items()),
            **({"headers": _RETRY_AFTER} if status in _COME_BACK else {}),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": problem_examples(titles),
                }
            },
        }
    return responses


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: response
    for status, response in problem_responses(UnauthorizedError, TooManyRequestsError).items()
    if status in (401, 429)
}
"""Of every route that is not open."""


def refusal_of_connection() -> bytes:
    """Return a whole HTTP/1.1 answer, for where no request has been read."""
    kind = KINDS[OverloadedError]
    detail = "Too many connections are open: connect again later."
    body = _problem(kind, detail, None).model_dump_json().encode()
    head = (
        f"HTTP/1.1 {kind.status} Service Unavailable\r\nContent-Type: {MEDIA_TYPE}\r\n"
        f"Retry-After: {RETRY_AFTER_SECONDS}\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def explained(error: Exception) -> tuple[_Kind, str]:
    """Return an error's kind, and what its sender is told; the log gets what is no fault of his."""
    kind = next((KINDS[cls] for cls in type(error).__mro__ if cls in KINDS), INTERNAL)
    if kind.status >= 500:
        _log.warning("refused", problem=kind.name, detail=str(error))
    return kind, kind.detail or str(error)


async def _on_emotion_error(request: Request, error: Exception) -> JSONResponse:
    kind, detail = explained(error)
    headers = {}
    if kind.status in _COME_BACK:
        headers["Retry-After"] = str(getattr(error, "retry_after", RETRY_AFTER_SECONDS))
    if kind.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if kind.status in _BODY_UNREAD:
        headers["Connection"] = "close"
    return _answer(request, kind, detail, headers)


def overloaded(request: Request) -> JSONResponse:
    """Refuse a request for which there is no room."""
    _warnings.warn(_log, "overloaded")
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return _answer(request, KINDS[OverloadedError], AT_ITS_LIMIT, headers)


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (registered for nothing else)
    details = [f"{e['loc'][-1]}: {_wrong(e)}" for e in error.errors()]
    return _answer(request, _INVALID, "; ".join(details) + ".")


def _wrong(error: dict[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "there is no such parameter, see /docs for those there are"
    return str(error["msg"]).removeprefix("Value error, ")


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for nothing else)
    title = HTTPStatus(error.status_code).phrase
    kind = _Kind(error.status_code, title.lower().replace(" ", "-"), title)
    headers = dict(error.headers or {})
    allowed = f" It takes {headers['Allow']}." if "Allow" in headers else ""
    detail = f"{request.method} {request.url.path}: {title}.{allowed} See /docs for what is served."
    return _answer(request, kind, detail, headers)


async def _on_disconnect(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)  # nobody is there to read it


async def _on_bug(request: Request, error: Exception) -> JSONResponse:
    answer = _answer(request, INTERNAL, BUG)
    answer.headers["X-Request-ID"] = correlation_id.get() or ""
    secure(answer.raw_headers, request.url.path)  # it passes by the middleware that does so
    return answer


def _answer(
    request: Request, kind: _Kind, detail: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    request.app.state.metrics.problem(kind.name)
    request.scope[PROBLEM] = kind.name
    if awaits_leave(request):  # it may never send the body: what comes next would be taken for it
        headers = {**(headers or {}), "Connection": "close"}
    if f"{request.url.path}/".startswith("/v2/"):  # the protocol has its own form of errors
        return JSONResponse(InferError(error=detail).model_dump(), kind.status, headers)
    problem = _problem(kind, detail, correlation_id.get())
    return JSONResponse(problem.model_dump(), kind.status, headers, MEDIA_TYPE)


def _problem(kind: _Kind, detail: str, request_id: str | None) -> Problem:
    return Problem(
        type=f"urn:problem-type:emotion:{kind.name}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        request_id=request_id,
    )
