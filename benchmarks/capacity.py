"""From requests a second to pods, cores, memory, machines and money, and what breaks on the way.

    python -m benchmarks.capacity --rps 200 --model mobilenet --precision int8 --p99 0.1

What is assumed, and not measured here, is an option; all of them are printed. docs/capacity.md.
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from typing import Any

from benchmarks.breaking import limits
from benchmarks.costs import Request, core_seconds, result, spread
from benchmarks.plan import Assumptions, Plan, Pod
from emotion.errors import EmotionError


def parse(arguments: Sequence[str] | None = None) -> Plan:
    """Make a plan from command-line options; none needs to be given."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rps", type=above_zero, default=200.0, help="requests a second at peak (200)"
    )
    for record in (Request, Assumptions):
        for one in fields(record):
            text = f"{one.metadata.get('help', '')} ({one.default})".strip()
            name = f"--{one.name.replace('_', '-')}"
            parser.add_argument(name, type=_type(one), default=one.default, help=text)
    options = vars(parser.parse_args(arguments))
    request = Request(**{one.name: options[one.name] for one in fields(Request)})
    given = Assumptions(**{one.name: options[one.name] for one in fields(Assumptions)})
    return Plan(options["rps"], Pod(request, given))


def above_zero(text: str) -> float:
    """Read a number that is more than zero, and one: neither infinite nor not a number."""
    number = float(text)
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return number


def _whole(text: str) -> int:
    above_zero(text)
    return int(text)


def _free(text: str) -> float:
    return 0.0 if text in {"0", "0.0"} else above_zero(text)


def _type(one: Field[Any]) -> Callable[[str], object]:
    if isinstance(one.default, str):
        return str
    if isinstance(one.default, int):
        return _whole
    return _free if one.name.startswith(("price_", "system_")) else above_zero


def main() -> int:
    """Print the plan, what it assumes, and what breaks until there."""
    plan = parse()
    pod, given = plan.pod, plan.pod.given
    try:
        print(f"one request   {1000 * core_seconds(pod.request):.1f} ms of a core, {spread()}")
        print(f"one pod       {pod.rate:.0f} requests/s, its threads {pod.load:.0%} busy")
        machines = plan.machines
    except (EmotionError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"pods          {plan.pods}: {plan.cores} cores, {plan.gigabytes:.0f} GB")
    print(f"machines      {machines}")
    print(f"money         {plan.month:,.0f} a month, {plan.million:.2f} a million requests")
    print("\nOn the way there breaks, in this order:")
    for limit in limits(pod):
        if limit.rps <= plan.rps:
            print(f"  at {limit.rps:11,.0f}/s  {limit.what}: {limit.sum}. Then: {limit.then}")
    print(f"\nMeasured on {result('bench')['machine']}, {result('bench')['date']}. Assumed:")
    for one in fields(given):
        name, value = one.name.replace("_", "-"), getattr(given, one.name)
        print(f"  --{name:24} {value:<10g} {one.metadata['help']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
