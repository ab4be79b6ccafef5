"""The examples of docs/python_api.md, on a registry of release 0.1.0."""

import doctest

from tests.docs.markdown import ROOT, blocks
from tests.registry.release_0_1_0 import copy_release_0_1_0


def test_examples_of_the_python_api_give_the_documented_results(tmp_path, monkeypatch):
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    monkeypatch.chdir(copy_release_0_1_0(tmp_path / "project").project)
    page = ROOT / "docs" / "python_api.md"
    text = "".join(block.text for block in blocks("python") if block.page == page)
    example = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    report = []
    result = doctest.DocTestRunner().run(example, out=report.append)
    assert len(example.examples) > 20
    assert result.failed == 0, "".join(report)


def test_errors_of_the_python_api_exist():
    import registry.errors

    table = (ROOT / "docs" / "python_api.md").read_text().split("## Errors")[1]
    names = [name for line in table.splitlines() for name in line.split("|")[1:2]]
    named = {word.strip(" `,") for name in names for word in name.split(",")} - {"", "---"}
    classes = {name for name in named if name[:1].isupper()}
    assert len(classes) >= 9
    assert all(issubclass(getattr(registry.errors, name), Exception) for name in classes)
