"""What every answer tells browsers."""

from typing import TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]  # names in lower case

_POLICY, _CACHE, _TYPE = b"content-security-policy", b"cache-control", b"content-type"
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (_POLICY, b"default-src 'none'; frame-ancestors 'none'"),
)
_DOCS_POLICY = (
    b"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)


def secure(headers: RawHeaders, path: str) -> None:
    """Add to the headers of an answer what they do not say."""
    said = dict(headers)
    if path == "/docs" and _POLICY not in said:
        headers.append((_POLICY, _DOCS_POLICY))
        said[_POLICY] = _DOCS_POLICY
    if b"json" in said.get(_TYPE, b"") and _CACHE not in said:
        headers.append((_CACHE, b"no-store"))  # answers are about people
    headers += [pair for pair in _HEADERS if pair[0] not in said]


class SecurityHeaders:
    """Adds the headers to each response of an app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer back with the headers."""

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                secure(message["headers"], scope["path"])
            await send(message)

        await self._app(scope, receive, secured if scope["type"] == "http" else send)
