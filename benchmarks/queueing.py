"""A queue before several servers, first come, first served, simulated.

Arrivals are a Poisson process (many independent clients); service times are drawn from what was
measured, so nothing is assumed of their shape. Deterministic: the same seed, the same answer.
"""

import heapq

import numpy as np
import numpy.typing as npt

Seconds = npt.NDArray[np.float64]
REQUESTS = 100_000
_SEED = 0
_STEPS = 9  # of a bisection: the load to 0.2 %


def response_times(rate: float, services: Seconds, servers: int) -> Seconds:
    """Return how long each of ``REQUESTS`` requests waits and is served, in seconds.

    Args:
        rate: requests a second.
        services: service times to draw from, in seconds.
        servers: requests served at once.
    """
    random = np.random.default_rng(_SEED)
    arrivals = np.cumsum(random.exponential(1.0, REQUESTS)) / rate
    drawn = random.choice(services, REQUESTS)
    free = [0.0] * servers
    times = np.empty(REQUESTS)
    for n, (arrival, service) in enumerate(zip(arrivals.tolist(), drawn.tolist(), strict=True)):
        end = max(arrival, free[0]) + service
        heapq.heapreplace(free, end)
        times[n] = end - arrival
    return times


def percentile(rate: float, services: Seconds, servers: int, percent: float = 99) -> float:
    """Return this percentile of the response times, in seconds."""
    return float(np.percentile(response_times(rate, services, servers), percent))


def most_load(services: Seconds, servers: int, p99: float) -> float:
    """Return the greatest share of the servers' capacity, 0 to 1, at which p99 is kept.

    Raises:
        ValueError: it is not kept without any queue either.
    """
    alone = float(np.percentile(services, 99))
    if alone > p99:
        raise ValueError(
            f"a request alone already takes {alone:.3f} s at p99, so {p99:g} s cannot be promised: "
            "allow more, or choose a faster artifact"
        )
    capacity = servers / float(services.mean())
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        kept = percentile(middle * capacity, services, servers) <= p99
        low, high = (middle, high) if kept else (low, middle)
    return low
