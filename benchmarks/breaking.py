"""What is not enough any more as requests grow, each limit computed from its numbers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.costs import core_seconds, figure, result, services
from benchmarks.plan import Pod
from benchmarks.queueing import most_load
from benchmarks.server import ROOT
from emotion.classifier import CHECKOUT_STORE
from emotion.store import ModelStore
from service.settings import Settings


@dataclass(frozen=True)
class Limit:
    """One thing that is enough up to so many requests a second."""

    rps: float
    what: str
    sum: str  # where the number is from
    then: str


def limits(pod: Pod) -> list[Limit]:
    """Return every limit, the first to break first."""
    found = (*_machine(pod), *_proxy(pod), *_cluster(pod))
    return sorted(found, key=lambda limit: limit.rps)


def _setting(file: str, pattern: str) -> int:
    match = re.search(pattern, (ROOT / "deploy" / file).read_text())
    assert match is not None, f"deploy/{file} has no {pattern}"
    return int(match[1])


def _machine(pod: Pod) -> Iterator[Limit]:
    given, cost = pod.given, core_seconds(pod.request)
    alone = most_load(services(pod.request), 1, given.p99)
    yield Limit(
        alone / cost,
        "one thread",
        f"{1000 * cost:.1f} ms a request, {alone:.0%} busy for p99",
        "a thread for each core",
    )
    yield Limit(
        pod.rate,
        "one pod",
        f"{given.threads} threads, {pod.load:.0%} busy for p99",
        "more pods behind a proxy or a Service",
    )
    python = figure("HTTP around")
    yield Limit(
        1000 / python,
        "one process, however many threads",
        f"estimated: {python:.2f} ms a request is what HTTP takes around its work, taken for "
        "Python's own time, one at a time",
        "pods of a few threads, or EMOTION_WORKERS",
    )
    yield Limit(
        pod.each_machine * pod.rate,
        "one machine",
        f"{pod.each_machine} pods on {given.machine_cores:g} cores and {given.machine_gb:g} GB",
        "several machines: Kubernetes, its autoscaler and a zone to spare",
    )


def _proxy(pod: Pod) -> Iterator[Limit]:
    given = pod.given
    slots = _setting("haproxy/haproxy.cfg", r"server-template replica (\d+)")
    yield Limit(
        slots * pod.rate,
        "the proxy's places",
        f"{slots} replicas in deploy/haproxy/haproxy.cfg",
        "a larger server-template, or a Service",
    )
    most = _setting("kubernetes/production/autoscaler.yaml", r"maxReplicas: (\d+)")
    yield Limit(
        most * pod.rate,
        "the autoscaler",
        f"{most} replicas in deploy/kubernetes/production/autoscaler.yaml",
        "a larger maxReplicas, as this plan says",
    )
    open_ = _setting("haproxy/haproxy.cfg", r"maxconn (\d+)")
    held = pod.upload_seconds + given.p99
    yield Limit(
        open_ / held,
        "one proxy's connections",
        f"{open_} open, each for {held:.2f} s of upload and answer",
        "a larger maxconn, then several proxies",
    )
    handshakes = given.proxy_cores * given.tls_per_core
    yield Limit(
        handshakes * given.requests_per_connection,
        "one proxy's TLS",
        f"{given.proxy_cores:g} cores of {given.tls_per_core:g} handshakes/s, "
        f"{given.requests_per_connection:g} requests a connection: assumed, since "
        "deploy/haproxy/haproxy.cfg speaks plain HTTP",
        "clients that keep connections, then several proxies behind one address",
    )
    yield Limit(
        given.link_gbit * 1e6 / 8 / given.picture_kb,
        "one proxy's link",
        f"{given.link_gbit:g} Gbit/s of {given.picture_kb:g} kB pictures",
        "several proxies, or smaller pictures: the detector looks at 300x300",
    )


def _cluster(pod: Pod) -> Iterator[Limit]:
    given, measured = pod.given, result("capacity")
    share = (given.zones - 1) / given.zones if given.zones > 1 else 1.0
    each = pod.rate * share  # with a zone to spare
    yield Limit(
        given.prometheus_series / measured["series"] * each,
        "one Prometheus",
        f"{measured['series']} series a pod, {given.prometheus_series:,.0f} in all",
        "one for each cluster, and recording rules summed over pods above them",
    )
    store = sum(record.bytes for record in ModelStore(CHECKOUT_STORE).records)
    pods = given.publish_seconds * given.link_gbit * 1e9 / 8 / store
    yield Limit(
        pods * each,
        "one registry, when a store is published",
        f"{store / 1e6:.0f} MB a pod in {given.publish_seconds:g} s at {given.link_gbit:g} Gbit/s",
        "only the artifacts that are served, a cache in each zone, node by node",
    )
    reload = float(Settings.model_fields["reload_seconds"].default)
    pollers = int(given.store_gets * reload)
    yield Limit(
        pollers * each,
        "one bucket's prefix, polled",
        f"{pollers:,} pods of one worker, each a GET of the channel in {reload:g} s; S3's "
        f"guidelines promise {given.store_gets:,.0f}/s a prefix",
        "a larger EMOTION_RELOAD_SECONDS, or a bucket or prefix for each cluster",
    )
    yield Limit(
        given.log_gb_day * 1e9 / 86400 / measured["log_bytes_per_request"],
        "the log system",
        f"{measured['log_bytes_per_request']} B a request, {given.log_gb_day:g} GB a day",
        "EMOTION_LOG_LEVEL=WARNING, or a sample at the collector",
    )
    yield Limit(
        given.cluster_nodes * pod.each_machine * each,
        "one cluster",
        f"{given.cluster_nodes:g} machines of {pod.each_machine} pods, a zone to spare",
        "several clusters, each a cell of its own: pods share nothing",
    )
    yield Limit(
        given.region_gbit * 1e6 / 8 / given.picture_kb,
        "one region's links",
        f"{given.region_gbit:g} Gbit/s of {given.picture_kb:g} kB pictures",
        "several regions behind one name, the nearest one answers",
    )
