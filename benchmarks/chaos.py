"""Every fault at random, for minutes, against a live service of two workers under mixed load.

Each must leave its log line and its metric. Nothing else may be lost than what a killed worker had
under way, and nobody may get a 5xx but the one who came when all file descriptors were used up.
Every round ends with SIGTERM under load, and the next begins with a new process.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.arrivals import ACCEPTED
from benchmarks.faults import FAULTS, JUMPS, LOADED, Fault, Place
from benchmarks.server import serving
from benchmarks.soak import mix
from benchmarks.stores import copy_store
from benchmarks.wire import Client
from emotion.machine import machine

CLIENTS, PATIENCE_SECONDS, DEADLINE_SECONDS = 6, 400, 300  # on however busy a machine
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@dataclass
class ChaosReport:
    """What was done, and what came of it."""

    seconds: float
    seed: int
    rounds: int = 0  # each a service that was started, and ended by SIGTERM
    faults: dict[str, int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)  # faults that this machine cannot have
    answers: dict[str, int] = field(default_factory=dict)
    lost_to_killed_workers: int = 0
    refused_for_descriptors: int = 0
    broken: list[str] = field(default_factory=list)  # promises
    resident_bytes: list[int] = field(default_factory=list)  # of all workers, as rounds end
    machine: str = field(default_factory=machine)
    date: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat())


def _name(record: dict[str, str]) -> str:
    return f"{record['model']}/{record['precision']}"


class Load:
    """Clients who always wait for an answer, in a thread of their own."""

    def __init__(self, url: str) -> None:
        self.seen: list[tuple[float, str]] = []  # when an answer came, and what it was
        self._url = url
        artifacts = httpx.get(f"{url}/models").json()["artifacts"]
        self._requests = mix([a["record"] for a in artifacts if _name(a["record"]) in LOADED])
        self.stopped = False

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Send while the block runs."""
        thread = threading.Thread(target=lambda: asyncio.run(self._all()))
        thread.start()
        try:
            yield self
        finally:
            self.stopped = True
            thread.join()

    async def _all(self) -> None:
        async with Client(self._url, seconds=2 * DEADLINE_SECONDS) as client:
            await asyncio.gather(*(self._one(client, number) for number in range(CLIENTS)))

    async def _one(self, client: Client, number: int) -> None:
        while not self.stopped:
            status = (await client.ask(self._requests[number % len(self._requests)])).status
            self.seen.append((time.monotonic(), status))
            number += CLIENTS + 1
            if not status.isdigit():
                await asyncio.sleep(0.05)


def sample(url: str, metric: str, labels: dict[str, str]) -> float:
    """Add up a metric's samples that have these labels."""
    families = text_string_to_metric_families(
        httpx.get(f"{url}/metrics", timeout=PATIENCE_SECONDS).text
    )
    samples = [s for family in families for s in family.samples if s.name == metric]
    return sum(s.value for s in samples if labels.items() <= s.labels.items())


def came_about(holds: Callable[[], bool]) -> bool:
    """Wait for something, for some minutes at most; a scrape that fails is tried again."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        with suppress(httpx.TransportError):
            if holds():
                return True
        time.sleep(0.2)
    return False


def inject(name: str, fault: Fault, place: Place, load: Load, report: ChaosReport) -> None:
    """Do and undo one fault, and judge what was said and answered meanwhile."""
    url, log = place.server.url, place.server.log
    if not fault.metric.endswith("_total"):  # it tells of now: each worker forgets the fault before
        came_about(lambda: sample(url, fault.metric, fault.labels) == 0)
    before = sample(url, fault.metric, fault.labels)
    position, first = log.stat().st_size, len(load.seen)

    def said() -> bool:
        with log.open() as file:
            file.seek(position)
            return fault.line in file.read()

    def told() -> bool:
        return said() and sample(url, fault.metric, fault.labels) > before

    with fault.inject(place):
        answered = fault.afterwards or came_about(told)
    if not (answered and came_about(told if fault.afterwards else lambda: True)):
        report.broken.append(f"{name}: no log line {fault.line!r} or no {fault.metric}")
    if not came_about(
        lambda: httpx.get(f"{url}/readyz", timeout=PATIENCE_SECONDS).json()["status"] == "ready"
    ):
        report.broken.append(f"{name}: not ready afterwards")
    time.sleep(0.5)
    seen = Counter(status for _, status in load.seen[first:])
    lost = sum(count for status, count in seen.items() if not status.isdigit())
    if fault.loses:
        report.lost_to_killed_workers += lost
    report.refused_for_descriptors += seen["503"] if "503" in fault.statuses else 0
    if lost > (CLIENTS if fault.loses else 0):
        report.broken.append(f"{name}: {lost} requests lost, {dict(seen)}")
    wrong = {s for s in seen if s.isdigit()} - ACCEPTED - fault.statuses
    if wrong:
        report.broken.append(f"{name}: {dict(seen)}")


def _round(place: Place, chosen: list[str], until: float, report: ChaosReport) -> None:
    server = place.server
    with Load(server.url).running() as load:
        for name in chosen:
            if time.monotonic() > until:
                break
            inject(name, FAULTS[name], place, load, report)
            report.faults[name] = report.faults.get(name, 0) + 1
        report.resident_bytes.append(sum(map(_resident, place.workers())))
        first = len(load.seen)
        if server.stop(PATIENCE_SECONDS) not in (0, -15):
            report.broken.append(f"SIGTERM: ended with {server.process.returncode}")
        load.stopped = True
    after = Counter(status for _, status in load.seen[first:])
    if {status for status in after if status.isdigit()} - ACCEPTED:
        report.broken.append(f"SIGTERM: {dict(after)}")
    answers = Counter(report.answers) + Counter(status for _, status in load.seen[:first])
    report.answers = dict(answers)
    if "Traceback" in server.log.read_text():
        report.broken.append("a traceback in the log")


def _resident(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def chaos(minutes: float, seed: int = 0) -> ChaosReport:
    """Inject faults in a random order, all of them equally often, for so many minutes."""
    order = random.Random(seed)
    began = time.monotonic()
    report = ChaosReport(0, seed)
    names = [name for name in FAULTS if FAKETIME or name != "clock jumped"]
    report.left_out = sorted(FAULTS.keys() - names)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        clock = place / "clock"
        clock.write_text(JUMPS[0])
        if FAKETIME:
            os.environ |= {
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME_TIMESTAMP_FILE": str(clock),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        store = copy_store(place / "store")
        until = began + 60 * minutes
        while time.monotonic() < until:
            report.rounds += 1
            log = place / f"{report.rounds}.jsonl"
            with serving(
                log,
                store=store,
                preload=",".join(LOADED),
                workers=2,
                reload_seconds=0.5,
                deadline_seconds=DEADLINE_SECONDS,
                drain_seconds=1,
            ) as server:
                chosen = order.sample(names, len(names))
                _round(Place(server, store, clock, order), chosen, until, report)
    for name in ("LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE", "FAKETIME_CACHE_DURATION"):
        os.environ.pop(name, None)
    report.seconds = round(time.monotonic() - began)
    return report


def main() -> int:
    """Run, print and write the report; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    report = chaos(options.minutes, options.seed)
    text = json.dumps(asdict(report), indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
