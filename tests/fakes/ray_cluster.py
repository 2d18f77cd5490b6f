"""A Ray cluster on the loopback of this machine, each of its nodes with a graphics card of its own, as it claims."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.fakes.backend_process import REPOSITORY

ON_LOOPBACK = {"node_ip_address": "127.0.0.1", "num_cpus": 1, "num_gpus": 1, "object_store_memory": 80 << 20}

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="Ray has clusters of several machines on Linux alone")


class LoopbackCluster:
    """``address``: for ``--ray-address``."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster(
            initialize_head=True, head_node_args={**ON_LOOPBACK, "include_dashboard": False, "dashboard_port": 0}
        )
        self.address = str(self._cluster.address)

    def add_node(self) -> Any:
        """One more; it is there when this returns."""
        return self._cluster.add_node(**ON_LOOPBACK)

    def kill_node(self, node: Any) -> None:
        """As if its power had gone."""
        self._cluster.remove_node(node, allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()


@contextmanager
def loopback_cluster() -> Iterator[LoopbackCluster]:
    """With its head as the one node."""
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    with pytest.MonkeyPatch.context() as patch:
        # Its nodes inherit it. Ray reports to nobody, and stays on the address that it is given.
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        # By default workers make way for everything else, which on a busy machine is for ever.
        patch.setenv("RAY_worker_niceness", "0")
        cluster = LoopbackCluster()
        try:
            yield cluster
        finally:
            cluster.close()
