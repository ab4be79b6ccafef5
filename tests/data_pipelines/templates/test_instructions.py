"""This project's instruction templates: coverage of the data sets, and filling of each template."""

from pathlib import Path

import pytest

from data_pipelines import catalog
from data_pipelines.sources.raw.table import DATASETS, read_rows
from data_pipelines.templates import instructions
from data_pipelines.templates.instructions import FIELD, FILES, group_names, template_group
from tests.data_pipelines.sources.factories import write_part
from tests.data_pipelines.sources.raw.published_rows import PUBLISHED_ROWS, make_raw_part

GROUP_BY_DATASET = {
    source.options["dataset"]: source.options["templates"]
    for source in catalog.load(catalog.BUILT_IN).values()
    if source.format == "raw"
}


def test_files_constant_names_every_yaml_file():
    """The digest of the module's code includes only data files that the module names."""
    folder = Path(instructions.__file__).parent
    assert sorted(path.name for path in folder.glob("*.y*ml")) == sorted(FILES)


def test_every_data_set_has_a_template_group():
    assert set(GROUP_BY_DATASET) == set(DATASETS)


@pytest.mark.parametrize("dataset", PUBLISHED_ROWS)
def test_every_template_of_a_data_set_can_be_filled(tmp_path, dataset):
    def make_part(*arguments, **options):
        return write_part(tmp_path, *arguments, **options)

    ((_, _, content), *_) = read_rows(make_raw_part(make_part, dataset))
    fields = {
        **content.template_fields,
        "context": content.context,
        "question": content.question,
        "answer": content.answer,
    }
    templates = template_group(GROUP_BY_DATASET[dataset])
    assert len(templates["forward"]) == 10
    for form, members in templates.items():
        for template in members:
            inputs, targets = template.fill(**fields, options="\nOPTIONS:\n- a")
            assert inputs
            assert targets
            if form == "forward":
                assert targets == content.answer


def test_every_group_is_used_and_its_templates_are_distinct():
    assert set(group_names()) == {*GROUP_BY_DATASET.values(), "cot", "niv2"}
    for name in group_names():
        for members in template_group(name).values():
            assert len({template.inputs for template in members}) == len(members)
            for template in members:
                assert "{" not in FIELD.sub("", template.inputs + template.targets)
