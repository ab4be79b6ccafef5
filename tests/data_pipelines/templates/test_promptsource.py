"""Loading promptsource's template files: files of other formats and missing files."""

import pytest

from data_pipelines.errors import SourceError
from data_pipelines.templates.promptsource import load


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("templates: [", "is not a YAML file of promptsource"),
        ("a: 1", "is not a file of promptsource: templates are missing"),
        ("!!python/object:os.system x", "is not a YAML file of promptsource"),
    ],
)
def test_load_file_of_another_format_fails(tmp_path, content, message):
    path = tmp_path / "templates.yaml"
    path.write_text(content)
    with pytest.raises(SourceError, match=message):
        load(path)


def test_load_missing_file_fails(tmp_path):
    with pytest.raises(SourceError, match=r"templates\.yaml is missing; run `flanmoe fetch`"):
        load(tmp_path / "templates.yaml")
