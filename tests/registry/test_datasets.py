"""The data versions of a model, with the versions that were trained on them."""

import dataclasses

import pytest

from registry.errors import UnknownVersion
from tests.registry.factories import dataset


def test_data_versions_are_listed_with_their_versions_the_last_first(registry, submit):
    for name, data_version in (("a", "d1"), ("b", "d2"), ("c", "d1")):
        record = dataset(data_version=data_version, mixture={"examples": len(name)})
        registry.register("m", dataclasses.replace(submit(name), dataset=record))
    registry.register("m", dataclasses.replace(submit("without"), dataset=None))
    registry.register("n", dataclasses.replace(submit("d"), dataset=dataset(data_version="d3")))
    listed = registry.datasets("m")
    shown = [(d.record.data_version, d.num_versions, d.newest_version) for d in listed]
    assert shown == [("d2", 1, 2), ("d1", 2, 3)]
    assert listed[0].record.mixture == {"examples": 1}
    assert [d.record.data_version for d in registry.datasets("m", limit=1)] == ["d2"]
    with pytest.raises(UnknownVersion, match="unknown model 'x'"):
        registry.datasets("x")
