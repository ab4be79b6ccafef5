"""The promotion policy: who may promote, and what a version must meet to become champion.

The path of a key in policy.yaml is the path of a field here. `registry.policy_file` reads the file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from registry.comparison.precision import MAX_ROUNDING_ERROR

EVERYONE = "*"
"""Entry of `promoters.people` that stands for every person."""
MAX_NAME = 200
_NO_OTHER_KEYS = ConfigDict(extra="forbid")


def _to_number(value: Any) -> Any:
    """Accept a decimal that YAML 1.1 reads as text, such as 1e-6, and reject NaN and infinity.

    Raises:
        ValueError: the value is no finite number.
    """
    try:
        is_finite = not isinstance(value, bool) and math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        is_finite = False
    if not is_finite:
        raise ValueError("must be a finite number")
    return float(value) if isinstance(value, str) else value


def _to_tuple(value: Any) -> Any:
    """Return a YAML list as a tuple.

    Raises:
        ValueError: the value is no list, or has a repeated entry.
    """
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list")
    if any(value[i] in value[:i] for i in range(len(value))):
        raise ValueError("has a repeated entry")
    return tuple(value)


_AsNumber = BeforeValidator(_to_number)
_AsTuple = BeforeValidator(_to_tuple)
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=r"^[^\x00-\x1f\x7f]+$")]
Names = Annotated[tuple[Name, ...], Field(max_length=1000), _AsTuple]
Share = Annotated[float, Field(ge=0, le=1), _AsNumber]
Probability = Annotated[float, Field(gt=0, lt=1), _AsNumber]
Flops = Annotated[float, Field(gt=0, le=1e30), _AsNumber]
ItemCount = Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)]
Flag = Annotated[bool, Field(strict=True)]
LicenceTerms = Literal["open", "share-alike", "non-commercial", "unstated"]
Terms = Annotated[tuple[LicenceTerms, ...], Field(max_length=4), _AsTuple]
ShareBySuite = Annotated[dict[Name, Share], Field(max_length=1000)]


@dataclass(frozen=True, kw_only=True, config=_NO_OTHER_KEYS)
class PromoterRules:
    """Who may promote (`promoters`). Names are the account names of the operating system; on the
    dashboard they are the claim `dashboard.account_claim` of the login."""

    people: Names = (EVERYONE,)
    """People who may promote, roll back, reject and pin. `*`: everyone on the command line, but
    only people who are listed by name may promote with `--override`, and act on the dashboard."""
    programs: Names = ("flow",)
    """Programs that may promote what passes every gate: `flow` is the last task of `flanmoe run`.
    Without it a run only reports what it would promote."""


@dataclass(frozen=True, kw_only=True, config=_NO_OTHER_KEYS)
class DataRules:
    """Gates of the training data (`data`)."""

    allow_unrecorded: Flag = False
    """Whether a version passes whose training data is not recorded: of an imported model, of an
    earlier release, or of data that changed before the version was registered."""
    allowed_warnings: Names = ()
    """Patterns of data warnings that do not block, such as `contamination: *`: `*` matches any
    text. Failed expectations that block a mixture always fail the gate."""
    allowed_licences: Terms = ("open", "share-alike", "non-commercial", "unstated")
    """Licence terms that the training data may have, that of the runs it starts from included."""
    max_contaminated_share: Share = 0.0
    """Maximum share of a suite's items that may overlap with the training mixture."""
    max_contaminated_share_by_suite: ShareBySuite = field(default_factory=dict)
    """The same, for single suites."""
    min_self_test_recall: Share = 0.95
    """Minimum recall of the contamination check on each kind of verbatim planted overlaps."""
    min_self_test_precision: Share = 0.99
    """Minimum precision of the contamination check on planted overlaps and boilerplate."""


@dataclass(frozen=True, kw_only=True, config=_NO_OTHER_KEYS)
class EvaluationRules:
    """Gates of the evaluation (`evaluation`)."""

    required_suites: Names = ()
    """Suites that must be evaluated, in addition to those of the champion."""
    min_items: ItemCount = 200
    """Minimum number of evaluation items."""
    allow_partial: Flag = False
    """Whether suites may have missing tasks or a part of their items only."""
    max_rounding_error: Share = MAX_ROUNDING_ERROR
    """Maximum relative rounding error of an evaluation on another device or in another precision
    than the champion's. 1e-6 accepts float32 (6e-8), and rejects bfloat16 (4e-3)."""


@dataclass(frozen=True, kw_only=True, config=_NO_OTHER_KEYS)
class ComparisonRules:
    """The paired comparison with the champion (`comparison`)."""

    margin: Annotated[float, Field(gt=0, le=1), _AsNumber] = 0.01
    """Non-inferiority margin: the largest loss of accuracy of a cheaper version. It counts against
    the champion and every earlier champion, so that small losses cannot add up."""
    alpha: Probability = 0.05
    """Probability of any false promotion against one champion, over all nights and challengers."""
    min_saving: Share = 0.05
    """Smallest share of the FLOPs per item, or else of the parameters, that a cheaper version saves
    against the champion."""
    max_suite_loss: Share = 0.02
    """Maximum loss of accuracy in a suite. A version is refused if the paired test shows a larger
    loss, corrected for the number of suites at `alpha`."""
    max_suite_loss_by_suite: ShareBySuite = field(default_factory=dict)
    """The same, for single suites."""


@dataclass(frozen=True, kw_only=True, config=_NO_OTHER_KEYS)
class BudgetRules:
    """Budgets of inference cost (`budgets`)."""

    flops_per_token: Flops | None = None
    """Maximum FLOPs of a forward pass per token; null: any."""
    flops_per_item: Flops | None = None
    """Maximum mean FLOPs per evaluation item; null: any."""


@dataclass(frozen=True, kw_only=True, config=_NO_OTHER_KEYS)
class RouterRules:
    """Router health of every MoE layer (`router`), over the training of the run."""

    max_drop_share: Share = 0.3
    """Maximum share of assignments that were dropped, beyond what balanced experts drop at the
    layer's capacity. Up to 0.15 did no harm in ST-MoE (arXiv 2202.08906)."""
    max_dead_experts: ItemCount = 0
    """Maximum number of experts of a layer that received no token."""
    min_relative_entropy: Share = 0.02
    """Minimum mean entropy of the router's distribution, as a share of ln(num_experts); below it
    the router is near-deterministic for every token."""


@dataclass(frozen=True, kw_only=True, config=_NO_OTHER_KEYS)
class CodeRules:
    """The code that trained a version (`code`)."""

    require_commit: Flag = True
    """Whether the run record must name a commit of code without uncommitted changes."""


@dataclass(frozen=True, kw_only=True, config=_NO_OTHER_KEYS)
class Policy:
    """All promotion rules of a registered model."""

    promoters: PromoterRules = field(default_factory=PromoterRules)
    data: DataRules = field(default_factory=DataRules)
    evaluation: EvaluationRules = field(default_factory=EvaluationRules)
    comparison: ComparisonRules = field(default_factory=ComparisonRules)
    budgets: BudgetRules = field(default_factory=BudgetRules)
    router: RouterRules = field(default_factory=RouterRules)
    code: CodeRules = field(default_factory=CodeRules)

    @property
    def sha256(self) -> str:
        """Digest of all values, defaults included; it does not depend on order or notation."""
        content = json.dumps(dataclasses.asdict(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()
