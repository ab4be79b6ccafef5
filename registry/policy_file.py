"""Reading of policy.yaml: strict keys, bounds, and sections for single models.

The file has the keys of `registry.policy.Policy`, and `models.NAME` with the same keys: their
values replace those at the top for the registered model NAME.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError
from yaml.constructor import ConstructorError

from registry.errors import InvalidPolicy
from registry.policy import Policy
from registry.suggestions import nearest_name

POLICY_FILE = "policy.yaml"
MAX_BYTES = 1_000_000
_MODELS = "models"
_UNKNOWN_KEY = ("unexpected_keyword_argument", "invalid_key")
"""pydantic's errors for keys that `_unknown_keys` reports with a suggestion."""
_BOUNDS = {
    "greater_than": "must be above {}",
    "greater_than_equal": "must be at least {}",
    "less_than": "must be below {}",
    "less_than_equal": "must be at most {}",
}
_PROBLEMS = {
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "string_type": "must be text; write it in quotes",
    "string_too_short": "is empty; remove it",
    "string_pattern_mismatch": "must not contain control characters",
    "dict_type": "must be a mapping of names to values",
    "dataclass_type": "must be a mapping of keys to values; write {} for the defaults",
}


@dataclass(frozen=True, kw_only=True)
class PolicyFile:
    """The policies of a project's registered models."""

    path: Path
    exists: bool
    """Whether the file exists; without it, the built-in defaults apply."""
    default: Policy = field(default_factory=Policy)
    by_model: Mapping[str, Policy] = field(default_factory=dict)
    """Policies of the models that have a section of their own."""

    def for_model(self, model: str) -> Policy:
        """Return the policy of a registered model."""
        return self.by_model.get(model, self.default)

    def describe(self) -> str:
        """Return the file, or the fact that there is none, in one line."""
        if self.exists:
            return str(self.path)
        return f"built-in defaults ({self.path} does not exist)"


class _PolicyLoader(yaml.SafeLoader):
    """Safe loader that rejects repeated keys, and aliases, which can multiply a file's size."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Return the next node.

        Raises:
            ConstructorError: it is an alias.
        """
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise ConstructorError(None, None, "aliases are not supported", mark)
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return the next mapping.

        Raises:
            ConstructorError: a key is repeated; PyYAML itself takes the last value.
        """
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for index, (key, _) in enumerate(node.value):
            if isinstance(key, yaml.ScalarNode) and key.value in keys[:index]:
                raise ConstructorError(None, None, f"key {key.value!r} is repeated", key.start_mark)
        return node


def load_model_policy(path: Path | None, model: str) -> Policy:
    """Return the policy of a registered model; the file is read at each call.

    Args:
        path: the policy file; None, or without the file: the built-in defaults.
        model: name of the registered model.

    Raises:
        InvalidPolicy: the file cannot be read, or has errors.
    """
    return Policy() if path is None else load_policy(path).for_model(model)


def load_policy(path: Path) -> PolicyFile:
    """Read a policy file; without a file, return the built-in defaults.

    Raises:
        InvalidPolicy: the file cannot be read, or has errors; one line per error.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return PolicyFile(path=path, exists=False)
    except OSError as error:
        raise InvalidPolicy(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise InvalidPolicy(f"{path}: is larger than {MAX_BYTES:,} bytes; a policy is a short file")
    return _parse(_parse_yaml(content, path), path)


def _parse_yaml(content: bytes, path: Path) -> dict[str, Any]:
    try:
        data = yaml.load(content.decode("utf-8-sig"), _PolicyLoader)  # noqa: S506 - a safe loader
    except UnicodeDecodeError as error:
        raise InvalidPolicy(f"{path}: is not UTF-8 text: {error.reason}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else str(error)
        raise InvalidPolicy(f"{path}: is not YAML: {' '.join(reason.split())}") from None
    if data is None:
        raise InvalidPolicy(f"{path}: is empty; write {{}} for the defaults, or delete the file")
    if not isinstance(data, dict):
        raise InvalidPolicy(f"{path}: must be a mapping of keys to values")
    return data


def _parse(data: dict[str, Any], path: Path) -> PolicyFile:
    """Validate the content of a policy file.

    Raises:
        InvalidPolicy: with all errors, one line each.
    """
    sections = data.pop(_MODELS, {})
    errors = _unknown_keys(data, Policy, "")
    if not isinstance(sections, dict):
        errors.append(f"{_MODELS}: {_shown(sections)} must be a mapping of model names to sections")
        sections = {}
    default, problems = _validate(data, "")
    errors += problems
    by_model: dict[str, Policy] = {}
    for name, section in sections.items():
        where = f"{_MODELS}.{name}"
        if not isinstance(name, str) or not isinstance(section, dict):
            errors.append(f"{where}: {_shown(section)} must be a mapping of keys to values")
            continue
        own_errors = _unknown_keys(section, Policy, where)
        # Errors at the top are reported once, not again for each model.
        own_errors += _validate(section, where)[1]
        if not own_errors and not errors:
            by_model[name], own_errors = _validate(_merge(data, section), where)
        errors += own_errors
    if errors:
        raise InvalidPolicy("\n".join(f"{path}: {error}" for error in errors))
    return PolicyFile(path=path, exists=True, default=default, by_model=by_model)


@cache
def _adapter() -> TypeAdapter[Policy]:
    return TypeAdapter(Policy)


def _validate(data: dict[str, Any], where: str) -> tuple[Policy, list[str]]:
    """Return the policy of plain data and an error line for each invalid value."""
    try:
        return _adapter().validate_python(data), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        return Policy(), [_describe(d, where) for d in details if d["type"] not in _UNKNOWN_KEY]


def _merge(data: dict[str, Any], section: dict[str, Any]) -> dict[str, Any]:
    """Return the data with the section's values in place of its own, key by key."""
    merged = dict(data)
    for key, value in section.items():
        merged[key] = {**merged.get(key, {}), **value}
    return merged


def _unknown_keys(data: dict[Any, Any], schema: Any, path: str) -> list[str]:
    """Return an error line for every key without a field in the schema, at any depth."""
    hints = typing.get_type_hints(schema)
    errors = []
    for key, value in data.items():
        where = f"{path}.{key}" if path else str(key)
        if key not in hints:
            allowed = [*hints, _MODELS] if where == str(key) else [*hints]
            hint = nearest_name(str(key), allowed)
            errors.append(f"{where}: unknown key; {hint}allowed: {', '.join(allowed)}")
        elif dataclasses.is_dataclass(hints[key]) and isinstance(value, dict):
            errors += _unknown_keys(value, hints[key], where)
    return errors


def _describe(detail: Any, where: str) -> str:
    """Describe an error of pydantic in one line: the key, the value and what is allowed."""
    location = [str(part) for part in detail["loc"] if part != "[key]"]
    key = ".".join(filter(None, [where, *location]))
    kind, value = detail["type"], detail["input"]
    if kind in _BOUNDS:
        (bound,) = detail["ctx"].values()
        problem = _BOUNDS[kind].format(f"{bound:.10g}")
    elif kind == "literal_error":
        problem = f"is not one of {detail['ctx']['expected'].replace(chr(39), '')}"
    elif kind == "value_error":
        problem = detail["msg"].removeprefix("Value error, ")
    else:
        problem = _PROBLEMS.get(kind) or detail["msg"][0].lower() + detail["msg"][1:]
    return f"{key}: {_shown(value)} {problem}"


def _shown(value: Any) -> str:
    """Return a value in the notation of YAML, shortened."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
