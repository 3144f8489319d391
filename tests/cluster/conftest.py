"""One real Ray cluster for all tests here: a head and two workers on this machine."""

from collections.abc import Iterator

import pytest
from ray.cluster_utils import Cluster

from tests.cluster.nodes import ray_cluster


@pytest.fixture(scope="package")  # or it would go on beside all other tests
def nodes() -> Iterator[Cluster]:
    """The cluster, to which this process is connected."""
    with ray_cluster(workers=2, cpus=4) as cluster:
        yield cluster
