"""Parameters of the fleet that contradict each other."""

import pytest

from flows.fleet.params import FleetParams


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"nodes": 2}, "nodes: 2 must be 1 with launcher local"),
        ({"endpoint": "a:0"}, "must be HOST:PORT"),
        ({"endpoint": "a:65536"}, "must be HOST:PORT"),
        ({"endpoint": "host"}, "endpoint: 'host' must be HOST:PORT"),
        ({"endpoint": ":29400"}, "must be HOST:PORT"),
        ({"launcher": "rendezvous"}, "launcher rendezvous needs an endpoint"),
        ({"launcher": "work_pool", "endpoint": "a:1"}, "needs the name of a work_pool"),
    ],
)
def test_fleet_params_contradiction_is_rejected(fields, message):
    with pytest.raises(ValueError, match=message):
        FleetParams(**fields)
