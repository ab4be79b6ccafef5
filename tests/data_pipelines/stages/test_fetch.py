"""Stage fetch: from a folder and over HTTP, with interrupted, resumed and modified downloads."""

import hashlib
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from data_pipelines.errors import SourceError
from data_pipelines.params import FetchParams
from data_pipelines.sources import download
from data_pipelines.stages import fetch
from tests.data_pipelines.stages.file_server import serve

CATALOG = """
cot/a:
  mixture: cot
  format: cot_tsv
  files: [cot/*_train.tsv]
  url: URL/published
  licence: Apache-2.0
  terms: open
cot/b:
  mixture: cot
  format: cot_tsv
  files: [other/b_train.tsv]
  additional_files: {lists/l.txt: URL/lists}
  url: URL/b
  licence: research only
  terms: non-commercial
"""
LARGE = b"".join(b"question %d\tanswer\twhy\n" % i for i in range(200_000))
SMALL = b"q\ta\tr\n"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "FIRST_RETRY_DELAY_S", 0.01)
    with serve() as server:
        yield server


@pytest.fixture
def params(server, tmp_path):
    """Params with a catalog whose URLs are those of `server`, and the hashes of its files."""
    path = tmp_path / "catalog.yaml"
    path.write_text(CATALOG.replace("URL", server.url))
    server.files = {
        "/published/x_train.tsv": LARGE,
        "/published/y_train.tsv": SMALL,
        "/b/b_train.tsv": SMALL,
        "/lists/l.txt": b"list",
    }
    files = {"cot/x_train.tsv": LARGE, "cot/y_train.tsv": SMALL, "other/b_train.tsv": SMALL}
    path.with_suffix(".sha256").write_text(
        "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    )
    return FetchParams(sources=("cot/*",), catalog=str(path), retries=3)


def read_raw(tmp_path, name):
    return (tmp_path / "data/raw" / name).read_bytes()


def test_fetch_without_a_root_downloads_from_the_published_urls(params, tmp_path):
    fetch.run(params, tmp_path)
    assert read_raw(tmp_path, "cot/x_train.tsv") == LARGE
    assert read_raw(tmp_path, "lists/l.txt") == b"list"
    assert not (tmp_path / fetch.DOWNLOADS).exists()


def test_fetch_root_that_is_a_url_is_downloaded(params, server, tmp_path):
    server.files = {f"/mirror/cot/{n}_train.tsv": SMALL for n in "xy"}
    fetch.run(
        replace(params, sources=("cot/a",), root=f"{server.url}/mirror/", verify=False), tmp_path
    )
    assert read_raw(tmp_path, "cot/y_train.tsv") == SMALL


def test_fetch_root_of_another_fsspec_filesystem_is_downloaded(params, tmp_path):
    store = fsspec.filesystem("memory")
    for name in "xy":
        store.pipe(f"/bucket/cot/{name}_train.tsv", SMALL)
    fetch.run(replace(params, sources=("cot/a",), root="memory://bucket", verify=False), tmp_path)
    assert read_raw(tmp_path, "cot/x_train.tsv") == SMALL
    with pytest.raises(SourceError, match=r"cot/a: no file matches"):
        fetch.run(
            replace(params, sources=("cot/a",), root="memory://bucket/cot", verify=False), tmp_path
        )


@pytest.mark.parametrize("supports_ranges", [True, False])
def test_fetch_retries_after_a_broken_connection(params, server, tmp_path, supports_ranges):
    server.supports_ranges = supports_ranges
    server.break_after_bytes, server.num_breaks = 3_000_000, 2
    fetch.run(params, tmp_path)
    assert read_raw(tmp_path, "cot/x_train.tsv") == LARGE
    assert server.num_breaks == 0


def test_fetch_retries_while_the_server_is_unavailable(params, server, tmp_path):
    server.num_refusals = 2
    fetch.run(params, tmp_path)
    assert read_raw(tmp_path, "cot/x_train.tsv") == LARGE


def test_fetch_resumes_an_interrupted_download_in_the_next_run(params, server, tmp_path):
    server.break_after_bytes, server.num_breaks = 3_000_000, 99
    with pytest.raises(SourceError, match=r"download failed after 1 attempts .*again to resume"):
        fetch.run(replace(params, retries=0), tmp_path)
    (partial,) = (tmp_path / fetch.DOWNLOADS).rglob("x_train.tsv.part")
    received_bytes = partial.stat().st_size
    assert received_bytes > 1_000_000
    assert not (tmp_path / "data/raw").exists()
    server.num_breaks, server.sent_bytes = 0, 0
    fetch.run(params, tmp_path)
    assert read_raw(tmp_path, "cot/x_train.tsv") == LARGE
    assert server.sent_bytes < len(LARGE) - received_bytes + 100_000


def test_fetch_restarts_a_download_whose_remote_file_was_modified(params, server, tmp_path):
    server.break_after_bytes, server.num_breaks = 3_000_000, 99
    with pytest.raises(SourceError):
        fetch.run(replace(params, retries=0), tmp_path)
    server.num_breaks = 0
    modified = LARGE.replace(b"question", b"Question")
    server.files["/published/x_train.tsv"] = modified
    with pytest.raises(SourceError, match=r"x_train\.tsv has sha256 .*, but the catalog has"):
        fetch.run(params, tmp_path)
    fetch.run(replace(params, verify=False), tmp_path)
    assert read_raw(tmp_path, "cot/x_train.tsv") == modified


def test_fetch_missing_remote_file_fails(params, server, tmp_path):
    del server.files["/published/y_train.tsv"]
    with pytest.raises(SourceError, match=r"published/y_train\.tsv does not exist"):
        fetch.run(params, tmp_path)


def test_fetch_without_a_server_fails_after_all_attempts(params, tmp_path):
    unreachable = replace(params, root="http://127.0.0.1:1", retries=1, verify=False)
    with pytest.raises(SourceError, match="download failed after 2 attempts"):
        fetch.run(unreachable, tmp_path)


def test_fetch_skips_sources_under_other_terms_with_a_warning(params, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        fetch.run(replace(params, licences=("open",)), tmp_path)
    assert not (tmp_path / "data/raw/other").exists()
    reason = "its licence is research only (non-commercial), which data_pipelines.fetch.licences"
    assert f"source cot/b is left out: {reason} does not accept" in caplog.text
    with pytest.raises(SourceError, match="licences excludes every source: cot/b"):
        fetch.run(replace(params, sources=("cot/b",), licences=("open",)), tmp_path)


def test_fetch_source_without_url_requires_a_root(tmp_path):
    with pytest.raises(
        SourceError, match=r"text/plain has no published address; set data_pipelines\.fetch\.root"
    ):
        fetch.run(FetchParams(sources=("text/plain",)), tmp_path)


# Fetching from a folder --------------------------------------------------------------------------


@pytest.fixture
def folder_params(params, tmp_path):
    """Params whose root is a folder with the files that `server` serves."""
    root = tmp_path / "files"
    for name, data in {
        "cot/x_train.tsv": LARGE,
        "cot/y_train.tsv": SMALL,
        "other/b_train.tsv": SMALL,
        "lists/l.txt": b"list",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return replace(params, root=str(root))


def test_fetch_copies_files_from_a_folder(folder_params, tmp_path):
    fetch.run(folder_params, tmp_path)
    assert read_raw(tmp_path, "cot/x_train.tsv") == LARGE


def test_fetch_rejects_a_truncated_file_and_preserves_the_earlier_result(folder_params, tmp_path):
    fetch.run(folder_params, tmp_path)
    (Path(folder_params.root) / "cot/x_train.tsv").write_bytes(LARGE[:100])
    with pytest.raises(SourceError, match=r"x_train\.tsv has sha256 .*, but the catalog has"):
        fetch.run(folder_params, tmp_path)
    assert read_raw(tmp_path, "cot/x_train.tsv") == LARGE


def without_root(root, params):
    return replace(params, root=str(root / "nowhere"))


def without_a_hashed_file(root, params):
    (root / "cot/y_train.tsv").unlink()
    return params


def with_an_empty_file(root, params):
    (root / "cot/y_train.tsv").write_bytes(b"")
    return replace(params, verify=False)


def without_an_additional_file(root, params):
    (root / "lists/l.txt").unlink()
    return params


def without_any_file_of_a_named_source(root, params):
    (root / "other/b_train.tsv").unlink()
    return replace(params, verify=False, sources=("cot/b",))


def with_malformed_hashes(root, params):
    Path(params.catalog).with_suffix(".sha256").write_text("hello\n")
    return params


def with_an_unknown_source(root, params):
    return replace(params, sources=("cot/aa",))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_root, "nowhere' is not a folder"),
        (without_a_hashed_file, r"y_train\.tsv is missing, but the catalog has its hash"),
        (with_an_empty_file, r"y_train\.tsv is empty"),
        (without_an_additional_file, r"cot/b: no file matches 'lists/l\.txt'"),
        (without_any_file_of_a_named_source, r"cot/b: no file matches 'other/b_train\.tsv'"),
        (with_malformed_hashes, "line 1: not a line of sha256sum"),
        (with_an_unknown_source, "no source matches 'cot/aa'; did you mean 'cot/a'"),
    ],
)
def test_fetch_from_a_damaged_folder_fails(folder_params, tmp_path, damage, message):
    with pytest.raises(SourceError, match=message):
        fetch.run(damage(Path(folder_params.root), folder_params), tmp_path)


@pytest.mark.parametrize(
    ("missing", "file"), [("other", "other/b_train.tsv"), ("lists", "lists/l.txt")]
)
def test_fetch_unverified_folder_without_files_of_a_pattern_omits_the_source(
    folder_params, tmp_path, caplog, missing, file
):
    shutil.rmtree(Path(folder_params.root) / missing)
    with caplog.at_level(logging.WARNING):
        fetch.run(replace(folder_params, verify=False), tmp_path)
    assert read_raw(tmp_path, "cot/x_train.tsv") == LARGE
    reason = f"no file matches {file} below {folder_params.root}"
    assert f"source cot/b is left out: {reason}" in caplog.text
    manifest = json.loads(read_raw(tmp_path, "manifest.json"))
    assert list(manifest["sources"]) == ["cot/a"]
    assert manifest["sources"]["cot/a"]["present_files"] == ["cot/x_train.tsv", "cot/y_train.tsv"]
    assert manifest["sources"]["cot/a"]["truncated_files"] == []
    assert manifest["omitted_sources"] == {"cot/b": {"reason": reason, "similar_files": []}}


def test_fetch_omitted_source_names_all_missing_files(folder_params, tmp_path):
    for folder in ("other", "lists"):
        shutil.rmtree(Path(folder_params.root) / folder)
    fetch.run(replace(folder_params, verify=False), tmp_path)
    omitted = json.loads(read_raw(tmp_path, "manifest.json"))["omitted_sources"]["cot/b"]
    assert omitted["reason"].startswith("no file matches other/b_train.tsv, lists/l.txt below ")


def test_fetch_omitted_source_names_a_file_in_another_folder(folder_params, tmp_path):
    root = Path(folder_params.root)
    (root / "B").mkdir()
    (root / "other/b_train.tsv").rename(root / "B/B_Train.tsv")
    fetch.run(replace(folder_params, verify=False), tmp_path)
    manifest = json.loads(read_raw(tmp_path, "manifest.json"))
    assert manifest["omitted_sources"]["cot/b"]["similar_files"] == ["B/B_Train.tsv"]


@pytest.mark.parametrize("changes", [{"verify": True}, {"verify": False, "sources": ("cot/b",)}])
def test_fetch_missing_required_file_names_a_file_in_another_folder(
    folder_params, tmp_path, changes
):
    root = Path(folder_params.root)
    (root / "other/b_train.tsv").rename(root / "b_train.tsv")
    with pytest.raises(SourceError, match=r"; b_train\.tsv has a similar name: rename or move it"):
        fetch.run(replace(folder_params, **changes), tmp_path)


def test_fetch_unverified_folder_without_any_file_fails(folder_params, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    params = replace(folder_params, root=str(empty), verify=False)
    with pytest.raises(SourceError, match=r"contains no file of the selected sources; source cot/"):
        fetch.run(params, tmp_path)


def test_fetch_unverified_folder_lists_missing_files_of_the_catalog(folder_params, tmp_path):
    (Path(folder_params.root) / "cot/y_train.tsv").unlink()
    fetch.run(replace(folder_params, verify=False), tmp_path)
    sources = json.loads(read_raw(tmp_path, "manifest.json"))["sources"]
    assert sources["cot/a"]["missing_files"] == ["cot/y_train.tsv"]
    assert sources["cot/b"]["missing_files"] == []


def test_fetch_verified_folder_lists_files_without_a_hash(folder_params, tmp_path, caplog):
    (Path(folder_params.root) / "cot/z_train.tsv").write_bytes(SMALL)
    with caplog.at_level(logging.WARNING):
        fetch.run(folder_params, tmp_path)
    manifest = json.loads(read_raw(tmp_path, "manifest.json"))
    assert manifest["unverified_files"] == ["cot/z_train.tsv", "lists/l.txt"]
    assert "2 files have no hash in the catalog and are not verified: cot/z_train" in caplog.text
