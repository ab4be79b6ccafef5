"""The pack worker imports no other stage, so its code digest does not depend on other stages."""

from flows.runtime.code_digest import CodeBase, package_root


def test_worker_import_closure_contains_no_other_stage():
    closure = CodeBase(package_root()).closure("data_pipelines.packing.worker")
    assert "data_pipelines.packing.packer" in closure
    other_stages = ("data_pipelines.sources", "data_pipelines.stages", "data_pipelines.catalog")
    assert [name for name in closure if name.startswith(other_stages)] == []
