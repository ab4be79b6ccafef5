"""Equal compute: the cost model chooses or verifies the sizes of a study's models."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flows.errors import UnmatchedCompute
from flows.study.params import StudyModel, StudyParams
from models.config import ModelConfig, pad_vocab_size
from models.cost.flops import count_parameters, flops_per_token
from models.cost.matching import match_d_ff, match_width
from models.errors import ModelError
from models.presets import PRESETS, preset
from models.run_model import change_config

D_FF_STEP = 8
"""Step in which d_ff is changed: small models would not be matched by the steps of large ones."""
DENSE_TOLERANCE = 0.05
"""Largest relative difference of an MoE model and its dense partner in FLOPs per token."""


@dataclass(frozen=True, kw_only=True)
class MatchedModel:
    """A model of a study with its sizes."""

    name: str
    preset: str
    changes: dict[str, Any]
    """Changes of the preset."""
    config: ModelConfig
    matches: str | None
    """Model whose compute it matches."""
    flops_ratio: float | None
    """FLOPs per token relative to that model."""

    @property
    def flops_per_token(self) -> float:
        """FLOPs per token by the papers' convention."""
        return flops_per_token(self.config)

    @property
    def is_moe(self) -> bool:
        """Whether the model has experts."""
        return self.config.moe is not None

    def describe(self) -> str:
        """Return preset and changes in words."""
        changes = describe_settings(self.changes)
        return f"{self.preset} with {changes}" if changes else self.preset

    def to_dict(self) -> dict[str, Any]:
        """Return sizes and compute as JSON values."""
        parameters = count_parameters(self.config)
        return {
            "preset": self.preset,
            "changes": self.changes,
            "is_moe": self.is_moe,
            "total_parameters": parameters.total,
            "active_parameters": parameters.active,
            "flops_per_token": self.flops_per_token,
            "matches": self.matches,
            "flops_ratio": self.flops_ratio,
        }


def describe_settings(values: Mapping[str, Any], prefix: str = "") -> str:
    """Return nested settings as text, e.g. "optim.lr 0.002, freeze gate"."""
    return ", ".join(
        describe_settings(value, f"{prefix}{key}.")
        if isinstance(value, dict)
        else f"{prefix}{key} {'none' if value is None else value}"
        for key, value in values.items()
    )


def match_models(study: StudyParams, vocab_size: int, source: str) -> dict[str, MatchedModel]:
    """Choose and verify the sizes of all models.

    Args:
        study: a study whose names are valid.
        vocab_size: ids of the tokenizer that the parameters ask for. That of the packed data is not
            used: it is known only later, and the sizes must be the same in every call.
        source: name of the file, the start of error lines.

    Raises:
        UnmatchedCompute: a model cannot have the compute that it must have; the line names the
            closest one. Or a preset or change is invalid.
    """
    matched: dict[str, MatchedModel] = {}

    def match(name: str) -> MatchedModel:
        if name not in matched:
            model = study.models[name]
            reference = match(model.matches) if model.matches else None
            try:
                matched[name] = _match_model(name, model, reference, vocab_size)
            except (ModelError, UnmatchedCompute) as error:
                raise UnmatchedCompute(f"{source}: models.{name}: {error}") from None
        return matched[name]

    for name in study.models:
        match(name)
    for model in matched.values():
        if model.is_moe:
            _check_dense_partner(model, matched, source)
    return {name: matched[name] for name in study.models}


def _match_model(
    name: str, model: StudyModel, reference: MatchedModel | None, vocab_size: int
) -> MatchedModel:
    if model.preset is not None:
        config = preset(model.preset)
    else:
        assert reference is not None
        config = reference.config.dense_twin()
    config = change_config(config, model.model)
    config = dataclasses.replace(config, vocab_size=pad_vocab_size(vocab_size))
    ratio = None
    if reference is not None:
        config = _match_flops(model, config, reference)
        ratio = flops_per_token(config) / reference.flops_per_token
    preset_name = model.preset or _closest_preset(config)
    return MatchedModel(
        name=name,
        preset=preset_name,
        changes=_changes(preset(preset_name), config),
        config=config,
        matches=model.matches,
        flops_ratio=ratio,
    )


def _match_flops(model: StudyModel, config: ModelConfig, reference: MatchedModel) -> ModelConfig:
    """Return the model with the required compute, with other sizes if it may have them."""
    target = model.flops_ratio * reference.flops_per_token

    def deviation(candidate: ModelConfig) -> float:
        return abs(flops_per_token(candidate) / target - 1)

    by_variation = {
        "d_ff": match_d_ff(config, target, D_FF_STEP),
        "width": match_width(config, target),
    }
    vary = model.vary
    if vary is None and model.preset is None:
        vary = "d_ff" if model.flops_ratio == 1 else "width"
    chosen = config
    if vary is not None and deviation(config) > model.tolerance:
        chosen = by_variation[vary]
    if deviation(chosen) <= model.tolerance:
        return chosen
    closest = min(by_variation.values(), key=deviation)
    raise UnmatchedCompute(
        f"{flops_per_token(chosen):,.0f} FLOPs per token are "
        f"{flops_per_token(chosen) / reference.flops_per_token:.3f} times those of "
        f"{reference.name!r}, expected {model.flops_ratio:g} within "
        f"{100 * model.tolerance:g} %; the closest has d_model {closest.d_model}, d_ff "
        f"{closest.d_ff}, {closest.num_heads} heads and {flops_per_token(closest):,.0f} FLOPs, "
        f"{flops_per_token(closest) / reference.flops_per_token:.3f} times: set vary or tolerance"
    )


def _check_dense_partner(moe: MatchedModel, matched: dict[str, MatchedModel], source: str) -> None:
    """Check that a dense model of the study has the FLOPs per token of an MoE model.

    Raises:
        UnmatchedCompute: none has.
    """
    dense = [model for model in matched.values() if not model.is_moe]

    def ratio(model: MatchedModel) -> float:
        return model.flops_per_token / moe.flops_per_token

    closest = min(dense, key=lambda model: abs(ratio(model) - 1), default=None)
    if closest is None or abs(ratio(closest) - 1) > DENSE_TOLERANCE:
        nearest = (
            "the study has no dense model"
            if closest is None
            else f"the closest, {closest.name!r}, has {closest.flops_per_token:,.0f}, "
            f"{ratio(closest):.3f} times"
        )
        raise UnmatchedCompute(
            f"{source}: models.{moe.name}: no dense model has its {moe.flops_per_token:,.0f} FLOPs "
            f"per token within {100 * DENSE_TOLERANCE:g} %; {nearest}: add "
            f"models.dense: {{matches: {moe.name}}}"
        )


def dense_partner(model: MatchedModel, models: Mapping[str, MatchedModel]) -> str | None:
    """Return the dense model whose FLOPs per token are closest to an MoE model's.

    None for a dense model.
    """
    if not model.is_moe:
        return None
    dense = {name: other.flops_per_token for name, other in models.items() if not other.is_moe}
    return min(dense, key=lambda name: abs(dense[name] / model.flops_per_token - 1))


def _closest_preset(config: ModelConfig) -> str:
    """Return the preset with the fewest differences from a configuration."""
    return min(PRESETS, key=lambda name: len(_changes(PRESETS[name], config)))


def _changes(base: ModelConfig, config: ModelConfig) -> dict[str, Any]:
    """Return the values that differ from those of a preset, except the vocabulary's."""
    changes = _differences(base, config)
    changes.pop("vocab_size", None)
    if config.moe is None:
        return {**changes, "moe": None} if base.moe is not None else changes
    if base.moe is not None:
        changes.pop("moe", None)
        moe_changes = _differences(base.moe, config.moe)
        return {**changes, "moe": moe_changes} if moe_changes else changes
    return {**changes, "moe": dataclasses.asdict(config.moe)}


def _differences(base: Any, other: Any) -> dict[str, Any]:
    return {
        field.name: getattr(other, field.name)
        for field in dataclasses.fields(base)
        if getattr(base, field.name) != getattr(other, field.name)
    }
