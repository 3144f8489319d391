"""The pods, cores, memory, machines and money that so many requests a second need.

Money is for whole machines, as they are let; proxies are not in it. Every number is measured
(benchmarks.costs), a setting of the manifests, or an assumption. A pod has a queue of its own, as
behind a Service that picks pods at random; a proxy that picks the least busy one does better.
"""

from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from typing import Any

from benchmarks.costs import Request, core_seconds, result, services
from benchmarks.queueing import most_load
from benchmarks.worst_case import memory_limit
from emotion.decode import DEFAULT_LIMITS
from service.settings import Settings

HOURS = 730  # of a month
SECONDS = HOURS * 3600
# of a pod, as the manifests and docker-compose.yml set them
BOUNDS = {"max_uploads": 16, "max_waiting": 16, "max_body_bytes": 10_000_000}


def _option(default: float, text: str) -> Any:
    """Declare a field that is an option of the command too."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Assumptions:
    """What is asked for, and what no measurement here tells."""

    p99: float = _option(0.1, "seconds that 99 of 100 requests may take in the service")
    threads: int = _option(2, "of a pod, a core each")
    zones: int = _option(3, "to spread over; one may fail at peak")
    machine_cores: float = _option(16.0, "of one machine")
    machine_gb: float = _option(64.0, "of one machine")
    system_cores: float = _option(1.0, "of each machine, for everything else on it")
    price_core_hour: float = _option(0.04, "in your currency")
    price_gb_hour: float = _option(0.005, "of memory, likewise")
    price_egress_gb: float = _option(0.08, "of answers, likewise")
    picture_kb: float = _option(61.4, "of one upload; examples/astronaut.jpg has 61.4")
    uplink_mbit: float = _option(10.0, "a second, of one client")
    proxy_cores: float = _option(4.0, "of one proxy")
    tls_per_core: float = _option(2000.0, "new TLS connections a second")
    requests_per_connection: float = _option(1.0, "that a client sends before it leaves")
    link_gbit: float = _option(10.0, "a second, of one proxy or one registry")
    publish_seconds: float = _option(300.0, "in which every pod should have a new store")
    store_gets: float = _option(5500.0, "a second, of one prefix of S3: what its guidelines say")
    prometheus_series: float = _option(5000000.0, "that one Prometheus holds")
    log_gb_day: float = _option(1000.0, "that your log system takes")
    cluster_nodes: float = _option(5000.0, "of one cluster: what Kubernetes is tested with")
    region_gbit: float = _option(1000.0, "a second, into one region")


@dataclass(frozen=True)
class Pod:
    """One process in one container."""

    request: Request
    given: Assumptions

    @cached_property
    def load(self) -> float:
        """Share of the threads' time that may be busy, for p99 to be kept."""
        return most_load(services(self.request), self.given.threads, self.given.p99)

    @cached_property
    def rate(self) -> float:
        """Requests a second, by its cores or by the uploads that may arrive at once."""
        busy = self.load * self.given.threads / core_seconds(self.request)
        return min(busy, BOUNDS["max_uploads"] / self.upload_seconds)

    @property
    def upload_seconds(self) -> float:
        """How long one picture arrives."""
        return self.given.picture_kb * 8 / 1000 / self.given.uplink_mbit

    @property
    def bytes(self) -> int:
        """The limit of its memory, as the manifests set it."""
        own = {"threads": self.given.threads, "max_pixels": DEFAULT_LIMITS.max_pixels}
        return memory_limit(Settings.model_validate(own | BOUNDS))

    @property
    def each_machine(self) -> int:
        """How many fit onto one machine; raises ValueError where none does."""
        cores = (self.given.machine_cores - self.given.system_cores) / self.given.threads
        fit = int(min(cores, self.given.machine_gb * 1e9 / self.bytes))
        if fit < 1:
            raise ValueError(
                f"A pod of {self.given.threads} cores and {self.bytes / 1e9:.1f} GB does not fit "
                "on a machine: see --machine-cores, --machine-gb and --system-cores."
            )
        return fit


@dataclass(frozen=True)
class Plan:
    """What so many requests a second need."""

    rps: float
    pod: Pod

    @property
    def pods(self) -> int:
        """Enough when one zone has failed."""
        zones = self.pod.given.zones
        needed = ceil(self.rps / self.pod.rate)
        return needed if zones < 2 else max(2, ceil(needed * zones / (zones - 1)))

    @property
    def cores(self) -> int:
        """Of all pods."""
        return self.pods * self.pod.given.threads

    @property
    def gigabytes(self) -> float:
        """Of all pods, their limits."""
        return self.pods * self.pod.bytes / 1e9

    @property
    def machines(self) -> int:
        """On which the pods fit, one in each zone at least."""
        return max(ceil(self.pods / self.pod.each_machine), min(self.pods, self.pod.given.zones))

    @property
    def month(self) -> float:
        """Money for these machines and for the answers, all month at this rate."""
        given = self.pod.given
        machine = (
            given.machine_cores * given.price_core_hour + given.machine_gb * given.price_gb_hour
        )
        hourly = self.machines * machine
        answers: float = self.rps * SECONDS * result("capacity")["answer_bytes"] / 1e9
        return hourly * HOURS + answers * given.price_egress_gb

    @property
    def million(self) -> float:
        """Money for a million requests."""
        return self.month / (self.rps * SECONDS) * 1e6
