"""Ports that somebody else has: said before anything is loaded."""

import socket

from emotion.errors import EmotionError


class PortTakenError(EmotionError):
    """Nobody can listen on the port."""


def check_port(setting: str, host: str, port: int) -> None:
    """Raise PortTakenError, naming the setting, where the port cannot be bound.

    Workers will share it, but not with whom has it before them.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        why, *_ = str(error.strerror).partition(" (")
        raise PortTakenError(
            f"{setting}={port}: {why}. Choose another port, or end what has this one."
        ) from error
