"""Conditions, text search, order and pages of versions, on SQLite and on PostgreSQL."""

import json
import operator
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from registry.errors import InvalidQuery, UnknownVersion
from registry.query.search import VersionQuery
from registry.registration import add_evaluation
from registry.schemas import EvaluationRecordSchema
from registry.session import reading, transaction
from registry.tables import VersionRow
from tests.registry.factories import evaluation_record, task_score

ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
EQUALITY = {"=": operator.eq, "!=": operator.ne}
TEXTS = (
    "small",
    "SMALL",
    "small_moe",
    "100 %",
    "a_b",
    "axb",
    "Größe",
    "模型",
    "o'neil",
    'say "x"',
    "\\",
)
TAGS = ("owner", "two words", "größe")


def names(registry, where="", **options):
    page = registry.search(VersionQuery(where=where, **options))
    return [version.name for version in page.versions]


@pytest.fixture
def filled(registry, submit):
    """Register versions that differ in every field; return their values as plain dictionaries."""
    rows = []
    for i, text in enumerate(TEXTS):
        run = {
            "seed": i % 3 - 1, "tuned": i % 2 == 0, "total_parameters": 2000 + i,
            "git_commit": f"c{i % 4}", "data_version": f"data-{text}",
            "cumulative_training_flops": None if i % 4 == 0 else i * 1e12,
            "model": {"moe": {"num_experts": 8} if i % 3 == 0 else None},
        }  # fmt: skip
        accuracy, flops, partial = (i % 5) / 5, (1 + i % 4) * 1e9, i % 4 == 1
        submission = submit(text, accuracy, flops=flops, partial=partial, run=run)
        registry.register("m", submission)
        record = submission.evaluation
        scores = {"score": record, "suite.s": record.suites[0], "task.s/t": record.tasks[0]}
        row = {
            "name": text, "seed": run["seed"], "tuned": run["tuned"], "moe": i % 3 == 0,
            "partial": partial, "total_parameters": 2000 + i, "gflops_per_token": 1.0 + i % 4,
            "commit": f"c{i % 4}", "data_version": f"data-{text}", "state": "registered",
            "cumulative_training_tflops": None if i % 4 == 0 else float(i), "pinned": i == 2,
            "version": i + 1, "alias": {"prod"} if i == 4 else set(), "tags": {},
            "scores": {k: (v.accuracy, v.standard_error) for k, v in scores.items()},
        }  # fmt: skip
        if i in (3, 4):
            registry.set_tag("m", i + 1, TAGS[i - 3], text, actor="a")
            row["tags"][TAGS[i - 3]] = text
        if i == 5:
            registry.reject("m", i + 1, actor="a", reason="bad")
            row["state"] = "rejected"
        rows.append(row)
    registry.set_pinned("m", 3, True, actor="a")
    registry.set_alias("m", "prod", 5, actor="a")
    return rows


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def number_tests(name):
    def build(symbol, value):
        compare = {**ORDER, **EQUALITY}[symbol]
        if symbol == "!=":
            return f"{name} != {value}", lambda row: row[name] is None or row[name] != value
        return (
            f"{name} {symbol} {value}",
            lambda row: row[name] is not None and compare(row[name], value),
        )

    values = st.sampled_from([-1, 0, 1, 2, 2.5, 3, 2004, 1e30, 2**40, 2**70])
    return st.builds(build, st.sampled_from([*ORDER, *EQUALITY]), values)


def text_tests(name):
    def build(symbol, value):
        expression = f"{name} {symbol} {quoted(value)}"
        tests = {
            "=": lambda row: row[name] == value,
            "!=": lambda row: row[name] != value,
            # PostgreSQL's `lower` depends on the locale of the database.
            "~": lambda row: value.casefold() in row[name].casefold(),
            "!~": lambda row: value.casefold() not in row[name].casefold(),
        }
        return expression, tests[symbol]

    values = st.sampled_from(
        [*TEXTS, "%", "_", "MOE", "", "型", "c1", "DATA-", "'", "--", "; DROP"]
    )
    return st.builds(build, st.sampled_from(["=", "!=", "~", "!~"]), values)


def list_test(name, values, is_negated):
    expression = f"{name} {'not ' * is_negated}in ({', '.join(map(quoted, values))})"
    return expression, lambda row: (row[name] in values) != is_negated


def boolean_test(name, form):
    return form.format(name), lambda row: row[name] == ("false" not in form)


def score_test(name, symbol, value):
    """Compare the end of the 95 % interval that makes the comparison safe."""

    def matches(row):
        accuracy, error = row["scores"][name]
        low = 100 * max(0.0, accuracy - 1.96 * error)
        high = 100 * min(1.0, accuracy + 1.96 * error)
        return ORDER[symbol](low if symbol in (">", ">=") else high, value)

    return f"{name} {symbol} {value}", matches


def bare_test(symbol, value):
    return f"score.s {symbol} {value}", lambda row: ORDER[symbol](
        100 * row["scores"]["suite.s"][0], value
    )


def tag_test(key, symbol, value):
    field = f'tag."{key}"'
    if symbol == "":
        return field, lambda row: key in row["tags"]
    tests = {
        "=": lambda row: row["tags"].get(key) == value,
        "!=": lambda row: row["tags"].get(key) != value,
        "~": lambda row: key in row["tags"] and value.casefold() in row["tags"][key].casefold(),
    }
    return f"{field} {symbol} {quoted(value)}", tests[symbol]


def alias_test(symbol, value):
    tests = {
        "=": lambda row: value in row["alias"],
        "!=": lambda row: value not in row["alias"],
        "~": lambda row: any(value.casefold() in alias for alias in row["alias"]),
    }
    return f"alias {symbol} {quoted(value)}", tests[symbol]


PERCENT = st.sampled_from([-1, 0, 0.5, 18.04, 20, 21.96, 40, 58.5, 60, 100])
TESTS = st.one_of(
    *(number_tests(name) for name in ("version", "seed", "total_parameters", "gflops_per_token",
                                      "cumulative_training_tflops")),
    *(text_tests(name) for name in ("name", "commit", "data_version")),
    st.builds(list_test, st.sampled_from(["name", "commit"]),
              st.lists(st.sampled_from([*TEXTS, "c1", "c2"]), min_size=1, max_size=3),
              st.booleans()),
    st.builds(boolean_test, st.sampled_from(["tuned", "moe", "partial", "pinned"]),
              st.sampled_from(["{}", "{} = true", "{} = false"])),
    st.builds(score_test, st.sampled_from(["score", "suite.s", "task.s/t"]),
              st.sampled_from(list(ORDER)), PERCENT),
    st.builds(bare_test, st.sampled_from(list(ORDER)), PERCENT),
    st.builds(tag_test, st.sampled_from(TAGS), st.sampled_from(["", "=", "!=", "~"]),
              st.sampled_from(TEXTS)),
    st.builds(alias_test, st.sampled_from(["=", "!=", "~"]), st.sampled_from(["prod", "RO", "x"])),
)  # fmt: skip


def combined(operands):
    def join(word, a, b):
        match = {"and": all, "or": any}[word]
        return f"({a[0]} {word} {b[0]})", lambda row: match((a[1](row), b[1](row)))

    negated = operands.map(lambda test: (f"not ({test[0]})", lambda row: not test[1](row)))
    return st.one_of(st.builds(join, st.sampled_from(["and", "or"]), operands, operands), negated)


def test_search_any_condition_matches_the_versions_that_python_selects(registry, filled):
    @settings(
        max_examples=120,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=True,
    )
    @given(st.recursive(TESTS, combined, max_leaves=8))
    def check(test):
        condition, matches = test
        expected = [row["name"] for row in reversed(filled) if matches(row)]
        assert names(registry, condition) == expected, condition

    check()


def test_search_and_binds_closer_than_or(registry, filled):
    assert names(registry, "seed = 0 and tuned or version = 1") == [
        row["name"]
        for row in reversed(filled)
        if (row["seed"] == 0 and row["tuned"]) or row["version"] == 1
    ]
    assert names(registry, "not tuned and moe") == [
        row["name"] for row in reversed(filled) if not row["tuned"] and row["moe"]
    ]


def test_search_score_that_no_version_has_is_an_error(registry, submit):
    assert names(registry, "suite.q > 3") == []  # an empty registry
    registry.register("m", submit())
    with pytest.raises(InvalidQuery, match=r"score 'suite\.q'; the newest evaluation has suite\.s"):
        names(registry, "suite.q > 3")
    assert names(registry, "suite.s > 99") == []


def test_search_invalid_options_are_errors(registry):
    cases = (
        ({"where": "tuned and"}, "column 10: the condition ends"),
        ({"sort": "score.s"}, "'score.s' is a score without its interval, which does not decide"),
        ({"sort": "tag.x"}, "'tag.x' has several values or none"),
        ({"sort": "nam"}, "sort order: unknown field 'nam'; did you mean 'name'?"),
        ({"limit": 0}, "limit 0 and offset 0 are not valid"),
        ({"offset": -1}, "limit 50 and offset -1 are not valid"),
        ({"text": "x" * 1001}, "it has 1,001 characters; expected 1 to 1,000"),
    )
    for options, message in cases:
        with pytest.raises(InvalidQuery, match=re.escape(message)):
            registry.search(VersionQuery(**options))


def test_search_unknown_model_is_an_error(registry, submit):
    registry.register("m", submit())
    with pytest.raises(UnknownVersion, match="unknown model 'x'; registered: m"):
        registry.search(VersionQuery(model="x"))


def test_search_text_looks_in_names_aliases_descriptions_tags_and_notes(registry, submit):
    for i in range(6):
        registry.register("m", submit(f"run{i}", 0.5 + i / 20))
    registry.describe("m", 1, "Trained on 100 % of the data", actor="a")
    registry.set_tag("m", 2, "stage", "demo 模型", actor="a")
    registry.add_note("m", 3, "Answers in German are CUT; o'neil saw it", actor="a")
    registry.set_alias("m", "stage_b", 4, actor="a")
    expected = {
        "run5": ["run5"], "RUN5": ["run5"], "100 %": ["run0"], "模": ["run1"], "are cut": ["run2"],
        "o'neil": ["run2"], "stage_": ["run3"], "stage": ["run3", "run1"], "%": ["run0"],
        "1_0": [], "' OR 1=1 --": [],
    }  # fmt: skip
    assert {text: names(registry, text=text) for text in expected} == expected
    assert names(registry, "version < 3", text="stage") == ["run1"]
    registry.describe("m", None, "everything of this model", actor="a")
    assert len(names(registry, text="of this model")) == 6


def test_search_sort_by_score_uses_the_lower_end_of_the_interval(registry, submit):
    for name, accuracy, error in (("certain", 0.6, 0.001), ("lucky", 0.65, 0.1), ("low", 0.3, 0)):
        task = task_score(accuracy=accuracy)
        suites = evaluation_record(name, [task])["suites"]
        suites[0]["standard_error"] = error
        record = {"standard_error": error, "suites": suites}
        registry.register("m", submit(name, accuracy, record=record))
    for sort in ("score", "suite.s"):
        assert names(registry, sort=sort) == ["certain", "lucky", "low"]
    assert names(registry, sort="-score") == ["low", "lucky", "certain"]
    (version, *_) = registry.search(VersionQuery(sort="suite.s")).versions
    assert version.scores["suite.s"].low == pytest.approx(60 - 0.196)


def test_search_sort_by_cost_is_ascending_with_unknown_values_last(registry, submit):
    for name, flops in (("b", 2.0), ("unknown", None), ("a", 1.0)):
        registry.register("m", submit(name, run={"cumulative_training_flops": flops}))
    assert names(registry, sort="cumulative_training_tflops") == ["a", "b", "unknown"]
    assert names(registry, sort="-cumulative_training_tflops") == ["b", "a", "unknown"]
    assert names(registry, sort="name") == ["a", "b", "unknown"]


def test_search_created_compares_times_in_any_zone(registry, submit):
    registry.register("m", submit())
    now = datetime.now(UTC)
    assert names(registry, f"created > '{now - timedelta(minutes=5):%Y-%m-%dT%H:%M:%S}'") == ["run"]
    east = (now - timedelta(minutes=5)).astimezone(datetime.strptime("+0900", "%z").tzinfo)
    assert names(registry, f"created > '{east.isoformat()}'") == ["run"]
    assert names(registry, "created < '2020-01-01'") == []


def test_search_pages_are_newest_first_and_count_all_matches(registry, submit):
    for i in range(5):
        registry.register("m", submit(f"run{i}", 0.5 + i / 20))
    page = registry.search(VersionQuery(where="version > 1", limit=2))
    assert ([v.name for v in page.versions], page.num_matches) == (["run4", "run3"], 4)
    assert names(registry, "version > 1", limit=2, offset=2) == ["run2", "run1"]
    assert names(registry, offset=9) == []


def test_search_uses_the_newest_evaluation(registry, submit):
    registry.register("m", submit(accuracy=0.6))
    with transaction(registry.engine) as session:
        record = evaluation_record("run", [task_score(accuracy=0.2)], samples_sha256="3" * 64)
        version = session.get(VersionRow, 1)
        add_evaluation(session, version, EvaluationRecordSchema(**record), None, "a")
    assert names(registry, "score < 30") == ["run"]
    assert names(registry, "score > 30") == []
    (version,) = registry.search(VersionQuery()).versions
    assert version.accuracy == pytest.approx(0.2)


def test_search_summary_has_the_values_of_the_version(registry, submit):
    registry.register("m", submit(accuracy=0.6))
    registry.set_tag("m", 1, "k", "v", actor="a")
    (summary,) = registry.search(VersionQuery()).versions
    full = registry.show("m", 1).to_dict()
    shared = summary.to_dict().keys() & full.keys()
    assert {"accuracy", "tags", "state", "created_at", "flops_per_item"} <= shared
    assert {key: summary.to_dict()[key] for key in shared} == {key: full[key] for key in shared}
    json.dumps(summary.to_dict(), allow_nan=False)


@pytest.mark.parametrize("num_versions", [1, 4])
def test_search_needs_two_queries_whatever_the_size(registry, submit, num_versions):
    for i in range(num_versions):
        registry.register("m", submit(f"run{i}", 0.5 + i / 20))
        registry.set_tag("m", i + 1, "k", "v", actor="a")
    statements = []
    with reading(registry.engine) as session:
        session.connection()
    event.listen(registry.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    query = VersionQuery(where="score > 1 and tag.k", text="run", sort="score", model="m")
    assert len(registry.search(query).versions) == num_versions
    assert len([sql for sql in statements if not sql.startswith("BEGIN")]) == 2
    assert not any("record" in sql.replace("_record", "") for sql in statements)
