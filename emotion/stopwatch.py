"""How long the stages of a piece of work took."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeAlias

Observer: TypeAlias = Callable[[str, str], AbstractContextManager[object]]

observer: ContextVar[Observer] = ContextVar("observer", default=lambda stage, of: nullcontext())
"""Entered around each stage, with its name and the artifact's where one runs: for traces."""


@dataclass
class Stopwatch:
    """Adds up milliseconds per stage."""

    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, of: str = "") -> Iterator[None]:
        """Add the time of a ``with`` block to a stage, which may be ``of`` an artifact."""
        with observer.get()(name, of):
            start = time.perf_counter()
            yield
            spent = 1000 * (time.perf_counter() - start)
        self.milliseconds[name] = self.milliseconds.get(name, 0.0) + spent
