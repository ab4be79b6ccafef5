"""fetch, benchmarks, mix, validate, tokenizer, pack: one after the other, on a small sample."""

import dataclasses
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import sentencepiece as spm

from data_pipelines import benchmarks, fetch, mix, pack, tokenizer, validate
from data_pipelines.errors import CorruptShard, DataError, ExpectationFailed, SourceError
from data_pipelines.example import EXAMPLE_SCHEMA
from data_pipelines.packed import PackedCorpus
from data_pipelines.params import (
    BenchmarksParams,
    FetchParams,
    MixParams,
    PackParams,
    SampleParams,
    TokenizerParams,
    ValidateParams,
)

SAMPLE = SampleParams(examples_per_family=60, heldout_items=12, text_documents=300)
FETCH = FetchParams(sample=SAMPLE)
MIX = MixParams(examples=1000)
VALIDATE = ValidateParams(min_examples=10)
TOKENIZER = TokenizerParams(vocab_size=500, sentinels=8)
PACK = PackParams(encoder_length=96, decoder_length=32, rows_per_shard=50)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("workspace")
    fetch.run(FETCH, workspace)
    benchmarks.run(BenchmarksParams(), workspace)
    mix.run(MIX, workspace)
    validate.run(VALIDATE, MIX, workspace)
    tokenizer.run(TOKENIZER, workspace)
    pack.run(PACK, workspace)
    return workspace


@pytest.fixture
def workspace(made, tmp_path):
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def test_manifest_pins_every_file(made):
    raw = made / "data" / "raw"
    manifest = json.loads((raw / "manifest.json").read_text())
    files = {p.relative_to(raw).as_posix() for p in raw.rglob("*") if p.is_file()}
    assert set(manifest) == files - {"manifest.json"}
    name = "cot/sample_add_story_train.tsv"
    assert manifest[name]["sha256"] == fetch.sha256(raw / name)


def test_mixture_follows_the_contract_and_the_published_shares(made):
    folder = made / "data" / "mixture"
    table = pq.read_table(folder / "examples.parquet")
    assert table.schema.equals(EXAMPLE_SCHEMA)
    rows = table.to_pylist()
    assert len({row["uid"] for row in rows}) == len(rows)
    report = json.loads((folder / "report.json").read_text())
    assert report["examples"] == len(rows)
    for name, share in {"muffin": 0.460, "t0_sf": 0.279, "niv2": 0.242, "cot": 0.018}.items():
        mixture = report["mixtures"][name]
        counted = sum(row["mixture"] == name for row in rows)
        assert mixture["examples"] == counted
        assert mixture["target_share"] == pytest.approx(share / 0.999, abs=0.002)
    # 8 tasks of 60 rows are fewer than Muffin's quota of 460: what is there is taken, and told.
    assert report["mixtures"]["muffin"]["examples"] == 460
    train = {row["inputs"] for row in rows if row["split"] == "train"}
    assert not train & {row["inputs"] for row in rows if row["split"] == "validation"}


def test_mixing_again_gives_the_same_bytes_and_another_seed_others(made, workspace):
    before = (made / "data/mixture/examples.parquet").read_bytes()
    mix.run(MIX, workspace)
    assert (workspace / "data/mixture/examples.parquet").read_bytes() == before
    mix.run(dataclasses.replace(MIX, seed=1), workspace)
    assert (workspace / "data/mixture/examples.parquet").read_bytes() != before


def test_refused_rows_are_counted_with_file_row_and_reason(workspace):
    path = workspace / "data/raw/cot/sample_add_story_train.tsv"
    path.write_text(path.read_text() + "broken row\n")
    mix.run(MIX, workspace)
    (row,) = pq.read_table(workspace / "data/mixture/quarantine.parquet").to_pylist()
    assert row == {
        "source_file": "cot/sample_add_story_train.tsv",
        "source_row": 61,
        "reason": "1 columns instead of 3",
        "raw": "broken row",
    }


def test_a_source_that_loses_too_much_fails_by_name(workspace):
    path = workspace / "data/raw/cot/sample_add_story_train.tsv"
    path.write_text("broken row\n" * 10 + path.read_text())
    with pytest.raises(SourceError, match=r"add_story_train\.tsv: 10 of 70 rows .*first row 1"):
        mix.run(MIX, workspace)
    assert (workspace / "data/mixture/examples.parquet").is_file()  # the old one is untouched


def test_text_from_examples(workspace):
    mix.run(dataclasses.replace(MIX, text="examples"), workspace)
    texts = pq.read_table(workspace / "data/mixture/text.parquet")["text"].to_pylist()
    rows = pq.read_table(workspace / "data/mixture/examples.parquet").to_pylist()
    assert texts == [f"{r['inputs']} {r['targets']}" for r in rows if r["split"] == "train"]


def test_expectations_hold_and_leave_a_page(made):
    page = (made / "data/validation/report.html").read_text()
    assert "0 blocking failed" in page
    assert "http" not in page.replace("http-equiv", "")  # nothing is loaded from elsewhere
    results = json.loads((made / "data/validation/results.json").read_text())
    assert {r["suite"] for r in results} >= {"muffin", "t0_sf", "niv2", "cot", "shares"}
    assert all(r["success"] for r in results if r["blocking"])


def test_a_failed_expectation_stops_and_leaves_the_report(workspace):
    path = workspace / "data/mixture/examples.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    chosen = next(row for row in rows if row["options"])
    chosen["targets"] = "none of them"
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist(rows, EXAMPLE_SCHEMA), path)
    with pytest.raises(ExpectationFailed, match=r"target_is_an_option.*report\.html"):
        validate.run(VALIDATE, MIX, workspace)
    results = json.loads((workspace / "data/validation/results.json").read_text())
    failed = [r for r in results if not r["success"] and r["blocking"]]
    assert [r["column"] for r in failed] == ["target_is_an_option"]


def test_a_missing_column_is_a_failed_expectation_not_a_crash(workspace):
    path = workspace / "data/mixture/examples.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["source_file"]), path)
    with pytest.raises(ExpectationFailed, match="source_file"):
        validate.run(VALIDATE, MIX, workspace)


def test_a_warning_goes_on(workspace):
    strict = dataclasses.replace(VALIDATE, max_duplicate_share=0.0)
    validate.run(strict, MIX, workspace)
    results = json.loads((workspace / "data/validation/results.json").read_text())
    warned = [r for r in results if not r["success"]]
    assert warned
    assert not any(r["blocking"] for r in warned)


def test_tokenizer_has_t5_ids_and_survives_a_round_trip(made):
    processor = spm.SentencePieceProcessor(model_file=str(made / "data/tokenizer/spiece.model"))
    assert (processor.pad_id(), processor.eos_id(), processor.unk_id()) == (0, 1, 2)
    rows = pq.read_table(made / "data/mixture/examples.parquet").to_pylist()
    for row in rows[:100]:
        text = " ".join(row["inputs"].split())
        assert processor.DecodeIds(processor.EncodeAsIds(text)) == text


def test_a_given_tokenizer_is_used(made, workspace):
    given = workspace / "given.model"
    shutil.copyfile(made / "data/tokenizer/spiece.model", given)
    tokenizer.run(dataclasses.replace(TOKENIZER, model=str(given)), workspace)
    assert (workspace / "data/tokenizer/spiece.model").read_bytes() == given.read_bytes()
    given.write_bytes(given.read_bytes()[:100])
    with pytest.raises(SourceError, match="no SentencePiece model"):
        tokenizer.run(dataclasses.replace(TOKENIZER, model=str(given)), workspace)
    with pytest.raises(SourceError, match="is missing"):
        tokenizer.run(dataclasses.replace(TOKENIZER, model="no.model"), workspace)


def test_packed_rows_hold_every_example_whole(made):
    """Unpacked and decoded, the rows give back the mixture's training examples."""
    processor = spm.SentencePieceProcessor(model_file=str(made / "data/tokenizer/spiece.model"))
    corpus = PackedCorpus.open(made / "data/packed/train")
    batch = corpus.take(np.arange(len(corpus)))
    found = []
    for row in range(len(corpus)):
        for segment in range(1, batch["segments"][row].max() + 1):
            source = batch["tokens"][row][batch["segments"][row] == segment].tolist()
            target = batch["target_tokens"][row][batch["target_segments"][row] == segment].tolist()
            assert source[-1] == target[-1] == 1
            found.append((processor.DecodeIds(source[:-1]), processor.DecodeIds(target[:-1])))
    rows = pq.read_table(made / "data/mixture/examples.parquet").to_pylist()
    expected = [
        (" ".join(r["inputs"].split()), " ".join(r["targets"].split()))
        for r in rows
        if r["split"] == "train"
    ]
    assert sorted(found) == sorted(expected)
    assert corpus.manifest["encoder_fill"] > 0.95
    assert len(corpus.manifest["shards"]) > 1


def test_rows_are_taken_across_shards_in_the_order_asked_for(made):
    corpus = PackedCorpus.open(made / "data/packed/train")
    rows = np.array([60, 3, 49, 50])
    together = corpus.take(rows)
    for i, row in enumerate(rows):
        alone = corpus.take(np.array([row]))
        assert (alone["tokens"][0] == together["tokens"][i]).all()


@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_a_damaged_shard_is_named(workspace, damage):
    path = workspace / "data/packed/train/00000.arrow"
    data = path.read_bytes()
    if damage == "changed":
        path.write_bytes(data[:-200] + bytes(200))
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.unlink()
    with pytest.raises(CorruptShard, match=r"00000\.arrow"):
        PackedCorpus.open(workspace / "data/packed/train")


def test_no_corpus(tmp_path):
    with pytest.raises(DataError, match="flanmoe pack"):
        PackedCorpus.open(tmp_path)


def test_a_benchmark_limit_is_deterministic_and_marked(workspace):
    benchmarks.run(BenchmarksParams(limit=5), workspace)
    index = json.loads((workspace / "data/benchmarks/index.json").read_text())
    assert {entry["items"] for entry in index} == {5}
    assert all(entry["partial"] for entry in index)
    benchmarks.run(BenchmarksParams(limit=5), workspace)
    assert json.loads((workspace / "data/benchmarks/index.json").read_text()) == index


def test_an_unknown_suite(workspace):
    (workspace / "data/raw/benchmarks/mmmlu").mkdir()
    with pytest.raises(SourceError, match="benchmarks/mmmlu: no such suite"):
        benchmarks.run(BenchmarksParams(), workspace)


# Real folders as a source ------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path):
    (tmp_path / "files" / "cot").mkdir(parents=True)
    (tmp_path / "files" / "cot" / "a_train.tsv").write_text("q\ta\tr\n")
    (tmp_path / "files" / "cot" / "b_train.tsv").write_text("q\ta\tr\n")
    return tmp_path / "files"


def pins_of(root):
    lines = [f"{fetch.sha256(p)}  {p.relative_to(root)}\n" for p in sorted(root.rglob("*.tsv"))]
    (root / "pins").write_text("".join(lines))
    return str(root / "pins")


def from_root(root, **changes):
    return FetchParams(root=str(root), files={"cot": "cot/*_train.tsv"}, **changes)


def test_pinned_files_are_copied(root, tmp_path):
    fetch.run(from_root(root, pins=pins_of(root)), tmp_path)
    assert (tmp_path / "data/raw/cot/a_train.tsv").read_text() == "q\ta\tr\n"


def test_a_truncated_file_is_refused_and_nothing_is_lost(root, tmp_path):
    params = from_root(root, pins=pins_of(root))
    fetch.run(params, tmp_path)
    (root / "cot" / "b_train.tsv").write_text("q\ta")
    with pytest.raises(SourceError, match=r"b_train\.tsv has sha256 .* the pin says"):
        fetch.run(params, tmp_path)
    assert (tmp_path / "data/raw/cot/b_train.tsv").read_text() == "q\ta\tr\n"


def test_a_missing_pinned_file_is_named(root, tmp_path):
    params = from_root(root, pins=pins_of(root))
    (root / "cot" / "b_train.tsv").unlink()
    with pytest.raises(SourceError, match=r"b_train\.tsv is missing"):
        fetch.run(params, tmp_path)


@pytest.mark.parametrize("what", ["no root", "no match", "empty", "no pins", "bad pins"])
def test_other_bad_sources(root, tmp_path, what):
    params, told = from_root(root), ""
    if what == "no root":
        params, told = from_root(root / "nowhere"), "no such folder"
    elif what == "no match":
        params = FetchParams(root=str(root), files={"niv2": "niv2/*.json"})
        told = "no file matches 'niv2/"
    elif what == "empty":
        (root / "cot" / "a_train.tsv").write_text("")
        told = r"a_train\.tsv is empty"
    elif what == "no pins":
        params, told = from_root(root, pins="no.pins"), "no such file"
    else:
        (root / "pins").write_text("hello\n")
        params, told = from_root(root, pins=str(root / "pins")), "line 1: not a line of sha256sum"
    with pytest.raises(SourceError, match=told):
        fetch.run(params, tmp_path)
