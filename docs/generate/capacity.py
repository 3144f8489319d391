"""The tables of docs/capacity.md."""

from functools import cache

from benchmarks.breaking import limits
from benchmarks.capacity import parse
from benchmarks.costs import core_seconds, quiet, result, spread
from benchmarks.plan import Plan, Pod
from emotion.classifier import CHECKOUT_STORE
from emotion.store import ModelStore
from training.tables import markdown_table

_P99 = 0.5  # seconds, which the slowest artifact can keep
STEPS = (1, 10, 100, 1_000, 10_000, 1_000_000)


@cache
def _pod() -> Pod:
    return parse([]).pod


def steps() -> str:
    """What each step needs, and what broke since the one before."""
    pod = _pod()
    plans = [Plan(rps, pod) for rps in STEPS]
    broken = limits(pod)
    rows, before = [], 0.0
    for plan in plans:
        new = [limit.what for limit in broken if before < limit.rps <= plan.rps]
        rows.append(
            (
                f"{plan.rps:,}",
                f"{plan.pods:,}",
                f"{plan.cores:,}",
                f"{plan.gigabytes:,.0f} GB",
                f"{plan.machines:,}",
                f"{plan.month:,.0f}",
                f"{plan.million:.2f}",
                ", ".join(new) or "nothing",
            )
        )
        before = plan.rps
    head = (
        "requests/s",
        "pods",
        "cores",
        "memory",
        "machines",
        "money a month",
        "a million requests",
    )
    table = markdown_table((*head, "limits passed, in order"), rows)
    cost = 1000 * core_seconds(pod.request)
    return (
        f"{pod.request.model}/{pod.request.precision}, {cost:.1f} ms of a core a request, "
        f"{spread()}; p99 within {pod.given.p99:g} s: a pod of {pod.given.threads} threads takes "
        f"{pod.rate:.0f} requests/s, {pod.load:.0%} busy.\n\n{table}"
    )


def breaks() -> str:
    """Every limit, in the order in which they break."""
    rows = [(f"{limit.rps:,.0f}", limit.what, limit.sum, limit.then) for limit in limits(_pod())]
    return markdown_table(("requests/s", "is not enough any more", "since", "then"), rows)


def artifacts() -> str:
    """What a thousand requests a second need of each artifact of the store."""
    rows = []
    for record in ModelStore(CHECKOUT_STORE).records:
        name = ["--model", record.model, "--precision", record.precision]
        cost = core_seconds(parse(name).pod.request)
        plan = parse([*name, "--rps", "1000", "--p99", str(_P99)])
        rows.append(
            (
                record.name,
                f"{1000 * cost:.1f} ms",
                f"{plan.pod.rate:.0f}",
                f"{plan.cores:,}",
                f"{plan.gigabytes:,.0f} GB",
                f"{plan.machines:,}",
                f"{plan.month:,.0f}",
                f"{plan.million:.2f}",
            )
        )
    head = ("artifact", "core a request", "requests/s a pod", "cores", "memory", "machines")
    table = markdown_table((*head, "money a month", "a million requests"), rows)
    said = f"p99 within {_P99:g} s for each of them, on one machine in each zone at least."
    return f"{said}\n\n{table}"


def prediction() -> str:
    """The model against the load test."""
    report = result("capacity")
    rows = [
        (
            f"{point['share']:.0%}",
            f"{point['requests_per_second']:.1f}",
            f"{point['predicted_p50_ms']:.0f} / {point['measured_p50_ms']:.0f}",
            f"{point['predicted_p99_ms']:.0f} / {point['measured_p99_ms']:.0f}",
            f"{point['predicted_p99_ms'] / point['measured_p99_ms'] - 1:+.0%}",
            f"{point['requests']} / {point['errors']}",
        )
        for point in report["points"]
    ]
    head = ("load", "requests/s", "p50 predicted / measured, ms", "p99 predicted / measured, ms")
    table = markdown_table((*head, "error at p99", "requests / failed"), rows)
    busy = report["load_per_core_before"]
    said = "The machine was quiet before."
    if not quiet():
        said = (
            f"**A trial run, not a measurement:** {busy:.1f} processes a core were running before. "
            "Run `make capacity` on a quiet machine."
        )
    where = f"{report['machine']}, {report['date']}"
    saturation = f"{report['saturation_per_second']:.1f} requests/s"
    return f"On {where}; {saturation} saturated it in the middle round. {said}\n\n{table}"


BLOCKS = {"steps": steps, "breaks": breaks, "every": artifacts, "prediction": prediction}
