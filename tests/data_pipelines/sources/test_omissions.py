"""Lines on omitted sources, missing files and files without a hash."""

from data_pipelines.sources.omissions import describe_omissions


def make_manifest(**fields):
    empty = {"sources": {}, "omitted_sources": {}, "unverified_files": []}
    return {**empty, **fields}


def test_describe_omissions_of_a_complete_fetch_is_empty():
    source = {"present_files": ["a.tsv"], "missing_files": []}
    assert describe_omissions(make_manifest(sources={"cot/a": source})) == []


def test_describe_omissions_names_the_files_looked_for_and_similar_ones():
    omitted = {
        "eval_data/svamp": {
            "reason": "no file matches eval/svamp/SVAMP.json below /data",
            "similar_files": ["SVAMP.json"],
        },
        "muffin/dream": {"reason": "its licence is research only", "similar_files": []},
    }
    assert describe_omissions(make_manifest(omitted_sources=omitted)) == [
        "source eval_data/svamp is left out: no file matches eval/svamp/SVAMP.json below /data; "
        "SVAMP.json has a similar name: rename or move it",
        "source muffin/dream is left out: its licence is research only",
    ]


def test_describe_omissions_counts_missing_files_and_names_the_first():
    missing = [f"niv2/tasks/task{number}.json" for number in range(7)]
    source = {"present_files": ["niv2/tasks/task9.json"], "missing_files": missing}
    assert describe_omissions(make_manifest(sources={"niv2/tasks": source})) == [
        "source niv2/tasks: 7 of the 8 files of the catalog are missing: "
        f"{', '.join(missing[:5])} and 2 more"
    ]


def test_describe_omissions_lists_files_without_a_hash():
    (line,) = describe_omissions(make_manifest(unverified_files=["text/a.txt", "text/b.txt"]))
    assert line == (
        "data_pipelines.fetch.verify: 2 files have no hash in the catalog and are not verified: "
        "text/a.txt, text/b.txt"
    )
