"""Ports that somebody else has: said before any model is loaded."""

import errno
import socket
from typing import Any

from emotion.errors import EmotionError


class PortTakenError(EmotionError):
    """Nobody can listen there."""


def check_port(setting: str, host: str, port: int) -> None:
    """Raise PortTakenError where no address of the host can be bound, or one is in use.

    Workers will share the port, but not with whom has it before them.

    Args:
        setting: the port's, for the message.
        host: a name or an address.
        port: the number.
    """
    failed: OSError | None = None
    bound = 0
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            try:
                _bind(socket.socket(family, kind, protocol), address)
                bound += 1
            except OSError as error:
                failed = error
                if error.errno == errno.EADDRINUSE:
                    raise PortTakenError(
                        f"{setting}={port}: {error.strerror}. Choose another port, or end what has "
                        "this one."
                    ) from error
    except socket.gaierror as error:
        failed = error
    if not bound and failed is not None:
        raise PortTakenError(
            f"EMOTION_HOST={host}, {setting}={port}: {failed.strerror}."
        ) from failed


def _bind(probe: socket.socket, address: Any) -> None:
    with probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if probe.family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind(address)
