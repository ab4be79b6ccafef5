"""Fetching: from a folder and over HTTP, broken off, resumed, changed on the way; the catalog."""

import hashlib
import json
import re
import shutil
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from data_pipelines import catalog
from data_pipelines.errors import SourceError
from data_pipelines.params import FetchParams
from data_pipelines.sources import download
from data_pipelines.sources.eval_data.table import READERS
from data_pipelines.sources.raw.table import DATASETS
from data_pipelines.sources.table import LOADERS
from data_pipelines.stages import fetch
from data_pipelines.templates.instructions import names as template_groups

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
  also: {lists/l.txt: URL/lists}
  url: URL/b
  licence: research only
  terms: non-commercial
"""
BIG = b"".join(b"question %d\tanswer\twhy\n" % i for i in range(200_000))


class Server(ThreadingHTTPServer):
    """Files under their paths; what goes wrong is set from outside."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.break_after: int | None = None
        self.breaks = 0
        self.refuse = 0
        self.sent = 0
        self.asked: list[str] = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        server = self.server
        data = server.files.get(self.path)
        server.asked.append(self.path)
        if body and server.refuse:
            server.refuse -= 1
            self.send_error(503)
            return
        if data is None:
            self.send_error(404)
            return
        first, last, status = 0, len(data) - 1, 200
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted and server.ranges:
            first = int(wanted[1])
            last = min(int(wanted[2] or last), last)
            status = 206
        self.send_response(status)
        if server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("ETag", hashlib.md5(data).hexdigest())
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        if not body:
            return
        chunk = data[first : last + 1]
        if server.break_after is not None and server.breaks:
            left = server.break_after - server.sent
            if left < len(chunk):
                server.breaks -= 1
                server.sent = 0
                self.wfile.write(chunk[: max(left, 0)])
                self.wfile.flush()
                self.connection.close()
                return
        server.sent += len(chunk)
        self.wfile.write(chunk)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "FIRST_WAIT", 0.01)
    made = Server()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def params(server, tmp_path):
    """Of a catalog whose addresses are the server's, with hashes beside it."""
    path = tmp_path / "catalog.yaml"
    path.write_text(CATALOG.replace("URL", server.url))
    small = b"q\ta\tr\n"
    server.files = {
        "/published/x_train.tsv": BIG,
        "/published/y_train.tsv": small,
        "/b/b_train.tsv": small,
        "/lists/l.txt": b"list",
    }
    pinned = {"cot/x_train.tsv": BIG, "cot/y_train.tsv": small, "other/b_train.tsv": small}
    path.with_suffix(".sha256").write_text(
        "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in pinned.items())
    )
    return FetchParams(sources=("cot/*",), catalog=str(path), retries=3)


def raw(tmp_path, name):
    return (tmp_path / "data/raw" / name).read_bytes()


def test_sources_come_from_where_they_are_published(params, tmp_path):
    fetch.run(params, tmp_path)
    assert raw(tmp_path, "cot/x_train.tsv") == BIG
    assert raw(tmp_path, "lists/l.txt") == b"list"
    assert not (tmp_path / fetch.DOWNLOADS).exists()


def test_any_url_can_be_the_root(params, server, tmp_path):
    server.files = {f"/mirror/cot/{n}_train.tsv": b"q\ta\tr\n" for n in "xy"}
    fetch.run(
        replace(params, sources=("cot/a",), root=f"{server.url}/mirror/", verify=False), tmp_path
    )
    assert raw(tmp_path, "cot/y_train.tsv") == b"q\ta\tr\n"


def test_any_kind_of_store_can_be_the_root(params, tmp_path):
    store = fsspec.filesystem("memory")
    for name in "xy":
        store.pipe(f"/bucket/cot/{name}_train.tsv", b"q\ta\tr\n")
    fetch.run(replace(params, sources=("cot/a",), root="memory://bucket", verify=False), tmp_path)
    assert raw(tmp_path, "cot/x_train.tsv") == b"q\ta\tr\n"
    with pytest.raises(SourceError, match=r"cot/a: no file matches"):
        fetch.run(
            replace(params, sources=("cot/a",), root="memory://bucket/cot", verify=False), tmp_path
        )


@pytest.mark.parametrize("ranges", [True, False])
def test_a_transfer_that_breaks_off_is_tried_again(params, server, tmp_path, ranges):
    server.ranges = ranges
    server.break_after, server.breaks = 3_000_000, 2
    fetch.run(params, tmp_path)
    assert raw(tmp_path, "cot/x_train.tsv") == BIG
    assert server.breaks == 0


def test_a_server_that_refuses_for_a_while(params, server, tmp_path):
    server.refuse = 2
    fetch.run(params, tmp_path)
    assert raw(tmp_path, "cot/x_train.tsv") == BIG


def test_what_has_arrived_is_kept_for_the_next_run(params, server, tmp_path):
    server.break_after, server.breaks = 3_000_000, 99
    with pytest.raises(SourceError, match=r"could not be fetched in 1 tries .* goes on from there"):
        fetch.run(replace(params, retries=0), tmp_path)
    (part,) = (tmp_path / fetch.DOWNLOADS).rglob("x_train.tsv.part")
    arrived = part.stat().st_size
    assert arrived > 1_000_000
    assert not (tmp_path / "data/raw").exists()
    server.breaks, server.sent = 0, 0
    fetch.run(params, tmp_path)
    assert raw(tmp_path, "cot/x_train.tsv") == BIG
    assert server.sent < len(BIG) - arrived + 100_000


def test_a_remote_file_that_changed_in_between_is_begun_anew(params, server, tmp_path):
    server.break_after, server.breaks = 3_000_000, 99
    with pytest.raises(SourceError):
        fetch.run(replace(params, retries=0), tmp_path)
    server.breaks = 0
    changed = BIG.replace(b"question", b"Question")
    server.files["/published/x_train.tsv"] = changed
    with pytest.raises(SourceError, match=r"x_train\.tsv has sha256 .*, the catalog says"):
        fetch.run(params, tmp_path)
    fetch.run(replace(params, verify=False), tmp_path)
    assert raw(tmp_path, "cot/x_train.tsv") == changed


def test_a_remote_file_that_is_gone(params, server, tmp_path):
    del server.files["/published/y_train.tsv"]
    with pytest.raises(SourceError, match=r"published/y_train\.tsv: there is no such file"):
        fetch.run(params, tmp_path)


def test_no_server_there(params, server, tmp_path):
    gone = replace(params, root="http://127.0.0.1:1", retries=1, verify=False)
    with pytest.raises(SourceError, match="could not be fetched in 2 tries"):
        fetch.run(gone, tmp_path)


def test_a_source_under_other_terms_is_left_out_and_said(params, tmp_path, capsys):
    fetch.run(replace(params, licences=("open",)), tmp_path)
    assert not (tmp_path / "data/raw/other").exists()
    assert "cot/b is left out: its licence is research only" in capsys.readouterr().err
    with pytest.raises(SourceError, match="leaves out every source: cot/b"):
        fetch.run(replace(params, sources=("cot/b",), licences=("open",)), tmp_path)


def test_a_source_without_address_needs_a_root(tmp_path):
    with pytest.raises(SourceError, match="text/plain has no address of its own"):
        fetch.run(FetchParams(sources=("text/plain",)), tmp_path)


# A folder ---------------------------------------------------------------------------------------


@pytest.fixture
def folder(params, tmp_path):
    """The same files below a folder: params that name it."""
    root = tmp_path / "files"
    for name, data in {
        "cot/x_train.tsv": BIG, "cot/y_train.tsv": b"q\ta\tr\n", "other/b_train.tsv": b"q\ta\tr\n",
        "lists/l.txt": b"list",
    }.items():  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return replace(params, root=str(root))


def test_pinned_files_are_copied(folder, tmp_path):
    fetch.run(folder, tmp_path)
    assert raw(tmp_path, "cot/x_train.tsv") == BIG


def test_a_truncated_file_is_refused_and_nothing_is_lost(folder, tmp_path):
    fetch.run(folder, tmp_path)
    (Path(folder.root) / "cot/x_train.tsv").write_bytes(BIG[:100])
    with pytest.raises(SourceError, match=r"x_train\.tsv has sha256 .* the catalog says"):
        fetch.run(folder, tmp_path)
    assert raw(tmp_path, "cot/x_train.tsv") == BIG


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("no root", "nowhere': there is no such folder"),
        ("missing", r"y_train\.tsv is missing: the catalog's hashes name it"),
        ("empty", r"y_train\.tsv is empty"),
        ("no list", r"cot/b: no file matches 'lists/l\.txt'"),
        ("no match", r"cot/b: no file matches 'other/b_train\.tsv'"),
        ("bad pins", "line 1: not a line of sha256sum"),
        ("no source", "no source is called 'cot/aa'; did you mean 'cot/a'"),
    ],
)
def test_other_bad_sources(folder, tmp_path, what, told):
    root = Path(folder.root)
    if what == "no root":
        folder = replace(folder, root=str(root / "nowhere"))
    elif what == "missing":
        (root / "cot/y_train.tsv").unlink()
    elif what == "empty":
        (root / "cot/y_train.tsv").write_bytes(b"")
        folder = replace(folder, verify=False)
    elif what == "no list":
        (root / "lists/l.txt").unlink()
    elif what == "no match":
        (root / "other/b_train.tsv").unlink()
        folder = replace(folder, verify=False, sources=("cot/b",))
    elif what == "bad pins":
        Path(folder.catalog).with_suffix(".sha256").write_text("hello\n")
    else:
        folder = replace(folder, sources=("cot/aa",))
    with pytest.raises(SourceError, match=told):
        fetch.run(folder, tmp_path)


@pytest.mark.parametrize("lacks", ["other", "lists"])
def test_another_folder_of_the_same_formats_may_hold_less(folder, tmp_path, capsys, lacks):
    shutil.rmtree(Path(folder.root) / lacks)
    fetch.run(replace(folder, verify=False), tmp_path)
    assert raw(tmp_path, "cot/x_train.tsv") == BIG
    told = f"cot/b is left out: {folder.root} does not hold its files"
    assert told in capsys.readouterr().err
    manifest = json.loads(raw(tmp_path, "manifest.json"))
    assert list(manifest["sources"]) == ["cot/a"]
    assert list(manifest["left_out"]) == ["cot/b"]


# The catalog -------------------------------------------------------------------------------------


def test_every_source_of_the_catalog_can_be_read_and_says_where_it_comes_from():
    sources = catalog.load(catalog.BUILT_IN)
    pins = catalog.pins(catalog.BUILT_IN)
    assert {s.mixture for s in sources.values()} == {"", "cot", "niv2", "muffin", "t0_sf", "text"}
    for name, source in sources.items():
        assert source.format in (READERS if source.suite else LOADERS)
        assert source.licence
        known = [file for file in pins if catalog.matches(file, source.files)]
        if name in ("text/plain", "flan/export"):  # whatever somebody puts there
            continue
        assert known, name
        assert all(url.startswith("https://") for url in source.patterns.values()), name
        assert set(source.cut) <= set(known), name
        if "dataset" in source.options:
            assert source.options["dataset"] in DATASETS
        if source.format == "raw":
            assert source.options["templates"] in template_groups()
    raw_sets = {s.options["dataset"] for s in sources.values() if s.format == "raw"}
    assert raw_sets == set(DATASETS)
    used = [f for f in pins if any(catalog.matches(f, tuple(s.patterns)) for s in sources.values())]
    assert used == list(pins)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("x: {mixture: cot, format: cot_tsv, files: [a], licence: l, terms: no}", "x.terms: Input"),
        ("x: {mixture: cot, format: cot_tvs, files: [a], licence: l, terms: open}",
         "x.format: 'cot_tvs' is none of cot_tsv"),
        ("x: {mixture: cto, format: cot_tsv, files: [a], licence: l, terms: open}", "x: mixture"),
        ("x: {format: cot_tsv, files: [a], licence: l, terms: open}", "x: give it a mixture or"),
        ("x: {mixture: cot, format: cot_tsv, licence: l, terms: open}", "x.files: Field required"),
        ("x: {mixture: cot, format: cot_tsv, files: [a], licence: l, terms: open, colour: red}",
         "x.colour: Unexpected"),
        ("x: [", "is not YAML"),
        ("- x", "must be a mapping"),
    ],
)  # fmt: skip
def test_mistakes_in_a_catalog(tmp_path, entry, told):
    path = tmp_path / "catalog.yaml"
    path.write_text(entry)
    with pytest.raises(SourceError, match=re.escape(told)):
        catalog.load(path)


def test_a_catalog_that_is_not_there(tmp_path):
    with pytest.raises(SourceError, match="no such file"):
        catalog.load(tmp_path / "none.yaml")
