"""Example: the uid of an example."""

from data_pipelines.example import Example


def test_uid_depends_on_row_and_template_only():
    fields = {
        "mixture": "cot", "task": "t", "template": "a", "inputs": "i", "targets": "o",
        "references": ("o",), "options": None, "source_file": "f", "source_row": 1,
        "question": "q", "answer": "o",
    }  # fmt: skip
    uid = Example(**fields).uid
    assert Example(**{**fields, "inputs": "other"}).uid == uid
    for key, value in {"template": "b", "source_row": 2, "item": 1, "task": "u"}.items():
        assert Example(**{**fields, key: value}).uid != uid
