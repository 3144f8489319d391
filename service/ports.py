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
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        errors = [_error_of(family, address) for family, _, _, _, address in found]
    except socket.gaierror as error:
        errors = [error]
    for problem in filter(None, errors):
        if problem.errno == errno.EADDRINUSE:
            raise PortTakenError(
                f"{setting}={port}: {problem.strerror}. Choose another port, or end what has this "
                "one."
            ) from problem
    if (last := errors[-1]) is not None and all(errors):
        raise PortTakenError(f"EMOTION_HOST={host}, {setting}={port}: {last.strerror}.") from last


def _error_of(family: int, address: Any) -> OSError | None:
    """Try to bind an address; return why it cannot be."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None
