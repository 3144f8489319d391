"""Who asks, and how much one may: API keys, requests at once, requests a minute."""

import hashlib
import hmac
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from starlette.types import ASGIApp, Receive, Scope, Send

from emotion.errors import EmotionError
from service.settings import Settings
from service.upload import linger

KEY_HEADER = "X-API-Key"
MAX_CLIENTS = 10_000  # remembered at once
_ADMITTED = "admitted_client"  # where a request's scope says whom it counts for


class UnauthorizedError(EmotionError):
    """The request carries no API key that is known."""


class TooManyRequestsError(EmotionError):
    """The client asks for more than it may have."""

    def __init__(self, message: str, retry_after: float = 1) -> None:
        super().__init__(message)
        self.retry_after = math.ceil(retry_after)


class Allowance:
    """Tokens that refill steadily, for each client; by a clock that nobody can set."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Allow ``per_minute`` requests a minute, all at once or spread over it."""
        self._per_minute = per_minute
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, at that time

    def take(self, client: str) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        now = self._clock()
        tokens, then = self._left.pop(client, (float(self._per_minute), now))
        tokens = min(self._per_minute, tokens + (now - then) * self._per_minute / 60)
        allowed = tokens >= 1
        self._left[client] = (tokens - allowed, now)
        if len(self._left) > MAX_CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) * 60 / self._per_minute


class Clients:
    """Lets requests in, or says why not."""

    def __init__(self, settings: Settings) -> None:
        """Take keys and limits from the settings."""
        pairs = [key.partition(":") for key in settings.api_keys or ()]
        self._keys = [(name, bytes.fromhex(digest)) for name, _, digest in pairs]
        self._at_once = settings.client_requests
        per_minute = settings.client_requests_per_minute
        self._allowance = Allowance(per_minute) if per_minute else None
        self._under_way: Counter[str] = Counter()

    def key_id(self, key: str | None) -> str | None:
        """Tell whose key this is, or None where no keys are asked for.

        Raises:
            UnauthorizedError: nobody's.
        """
        if not self._keys:
            return None
        digest = hashlib.sha256((key or "").encode()).digest()
        owner = None
        for name, known in self._keys:  # all of them, whichever it is: the time tells nothing
            if hmac.compare_digest(digest, known):
                owner = name
        if owner is None or not key:  # an empty one has a hash too
            raise UnauthorizedError(
                "This service asks for an API key, and "
                + ("this one is not known" if key else "none was sent")
                + ": send yours as `Authorization: Bearer <key>` or `X-API-Key: <key>`."
            )
        return owner

    def admit(
        self, authorization: str | None, api_key: str | None, host: str | None
    ) -> tuple[str | None, str]:
        """Count a request in; returns its key's id and the client, for ``leave``.

        Args:
            authorization: the header of that name.
            api_key: the header X-API-Key.
            host: the address that asks.

        Raises:
            UnauthorizedError, TooManyRequestsError: as ``key_id`` and ``enter``.
        """
        scheme, bearer = get_authorization_scheme_param(authorization)
        key = self.key_id(bearer if scheme.lower() == "bearer" else api_key)
        client = key or network_of(host or "unknown")
        self.enter(client)
        return key, client

    def enter(self, client: str) -> None:
        """Count a request in; raises TooManyRequestsError where the client has too many."""
        if self._at_once and self._under_way[client] >= self._at_once:
            raise TooManyRequestsError(
                f"You have {self._at_once} requests under way, which is the limit: wait for one."
            )
        if self._allowance and (seconds := self._allowance.take(client)):
            raise TooManyRequestsError(
                "You have sent as many requests as you may for now: send it again in "
                f"{math.ceil(seconds)} seconds.",
                seconds,
            )
        self._under_way[client] += 1

    def leave(self, client: str) -> None:
        """Count a request out."""
        self._under_way[client] -= 1
        if not self._under_way[client]:
            del self._under_way[client]


class CountedOut:
    """Counts a request out when it is answered or its client gone.

    A dependency with a ``yield`` would do, for a tenth of what HTTP adds to a request.
    """

    def __init__(self, app: ASGIApp, clients: Clients) -> None:
        self._app = app
        self._clients = clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        try:
            await self._app(scope, receive, send)
        finally:
            if _ADMITTED in scope:
                self._clients.leave(scope[_ADMITTED])


def guards(settings: Settings) -> list[Any]:
    """Return the dependencies of every route but the probes, for ``include_router``.

    The schemes only tell OpenAPI how keys are sent, where there are keys.
    """
    schemes = (HTTPBearer(auto_error=False), APIKeyHeader(name=KEY_HEADER, auto_error=False))
    described = [Depends(scheme) for scheme in schemes] if settings.api_keys else []
    return [Depends(admitted), *described]


async def admitted(request: Request) -> None:
    """Let a request in before its body is read; ``CountedOut`` counts it out again."""
    clients: Clients = request.app.state.clients
    try:
        key, client = clients.admit(
            request.headers.get("authorization"),
            request.headers.get(KEY_HEADER),
            request.client.host if request.client else None,
        )
    except EmotionError:
        await linger(request, request.stream())
        raise
    request.scope["api_key"] = key  # for the log
    request.scope[_ADMITTED] = client


@lru_cache(MAX_CLIENTS)
def network_of(host: str) -> str:
    """Name a client by its IPv4 address or IPv6 network: whoever has one of those has all of it."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    if address.ipv4_mapped:  # as a socket that takes both names them
        return str(address.ipv4_mapped)
    return str(ip_network(f"{host}/64", strict=False))
