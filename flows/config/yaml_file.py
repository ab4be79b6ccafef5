"""YAML of params.yaml: PyYAML's safe loader, which in addition rejects a repeated key."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.constructor import ConstructorError


class UniqueKeyLoader(yaml.SafeLoader):
    """Safe loader that rejects a mapping with a repeated key, as DVC does."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the next mapping.

        Raises:
            ConstructorError: a key is repeated; PyYAML itself takes the last value.
        """
        node = super().compose_mapping_node(anchor)
        keys = set()
        for key_node, _ in node.value:
            if key_node.value in keys:
                mark, name = key_node.start_mark, key_node.value
                raise ConstructorError(None, None, f"key {name!r} is repeated", mark)
            if isinstance(key_node, yaml.ScalarNode):
                keys.add(key_node.value)
        return node


def parse_yaml(text: str) -> Any:
    """Return a YAML document as plain data.

    Raises:
        YAMLError: the text is not YAML, or a mapping repeats a key.
    """
    return yaml.load(text, UniqueKeyLoader)  # noqa: S506 - a safe loader
