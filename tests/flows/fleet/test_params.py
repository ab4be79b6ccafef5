"""Parameters of the fleet that contradict each other."""

import pytest

from flows.fleet.params import FleetParams


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"nodes": 0}, "nodes, cpus and memory_gb must be at least 1"),
        ({"gpus": -1}, "gpus at least 0"),
        ({"nodes": 2}, "launcher local is a single node, but nodes is 2"),
        ({"endpoint": "host"}, "endpoint: 'host' must be HOST:PORT"),
        ({"endpoint": ":29400"}, "must be HOST:PORT"),
        ({"launcher": "rendezvous"}, "launcher rendezvous needs an endpoint"),
        ({"launcher": "work_pool", "endpoint": "a:1"}, "needs the name of a work_pool"),
    ],
)
def test_fleet_params_contradiction_is_rejected(fields, message):
    with pytest.raises(ValueError, match=message):
        FleetParams(**fields)
