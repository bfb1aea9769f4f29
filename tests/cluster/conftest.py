"""A real Slurm cluster for the tests of this folder, in a temporary folder and on free ports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.slurm_cluster import Cluster, slurm_cluster
from tests.support.surroundings import Variables


@pytest.fixture(scope="session")
def running_cluster() -> Iterator[Cluster]:
    """Four nodes for the whole session; a module that shares one chain among its tests uses it."""
    with slurm_cluster(nodes=4) as cluster:
        yield cluster


@pytest.fixture
def cluster(running_cluster: Cluster, variables: Variables) -> Iterator[Cluster]:
    """Four idle nodes for one test; this process talks to them."""
    variables(SLURM_CONF=running_cluster.environment["SLURM_CONF"])
    running_cluster.tidy()
    yield running_cluster
    running_cluster.tidy()


@pytest.fixture(scope="module")
def accounted_cluster() -> Iterator[Cluster]:
    """Two nodes with an accounting database."""
    with slurm_cluster(nodes=2, accounting=True) as cluster:
        yield cluster
