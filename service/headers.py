"""What every answer tells browsers."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
DOCS_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)


def secure(headers: MutableHeaders, path: str) -> None:
    """Add what an answer does not say by itself."""
    if path == "/docs":
        headers.setdefault("Content-Security-Policy", DOCS_POLICY)
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    if "json" in headers.get("content-type", ""):  # answers are about people: for no cache
        headers.setdefault("Cache-Control", "no-store")


class SecurityHeaders:
    """Adds the headers to each response of an app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer back with the headers."""

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                secure(MutableHeaders(scope=message), scope["path"])
            await send(message)

        await self._app(scope, receive, secured if scope["type"] == "http" else send)
