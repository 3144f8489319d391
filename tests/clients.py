"""Clients that keep a live service busy while a test does something to it."""

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.server import ROOT

Request = dict[str, Any]


@dataclass
class Traffic:
    """What the clients have seen so far."""

    responses: list[httpx.Response] = field(default_factory=list)
    errors: list[httpx.TransportError] = field(default_factory=list)

    def await_more(self, count: int = 10, seconds: float = 30) -> None:
        """Wait until ``count`` more requests were answered."""
        aim = len(self.responses) + count
        eventually(lambda: len(self.responses) >= aim, seconds)


@contextmanager
def traffic(url: str, requests: Sequence[Request], clients: int = 6) -> Iterator[Traffic]:
    """Send the requests in turn, over and over, from several clients while the block runs."""
    seen, leave = Traffic(), threading.Event()

    def work(first: int) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            for request in itertools.islice(itertools.cycle(requests), first, None):
                if leave.is_set():
                    return
                try:
                    seen.responses.append(client.request("POST", **request))
                except httpx.TransportError as error:
                    seen.errors.append(error)
                    time.sleep(0.05)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        leave.set()
        for thread in threads:
            thread.join(60)


def cpu_seconds(pid: int) -> float:
    """What a process has computed: unlike the time that passed, not the neighbours' doing."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def eventually(holds: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something holds; fail where it does not within so many seconds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)


def refused_start(**environment: str) -> str:
    """Start a service that has to refuse to start, and return its one line of why."""
    done = subprocess.run(
        [sys.executable, "-m", "service"],
        env=os.environ | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def is_ready(url: str) -> bool:
    """Whether a service answers there that takes requests."""
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False
