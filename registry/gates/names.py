"""Names of the promotion gates with their conditions, in the order in which they are checked."""

from __future__ import annotations

ARTIFACT_INTACT = "artifact_intact"
RECORD_CONSISTENT = "record_consistent"
CHAMPION_READABLE = "champion_readable"
SAME_ITEMS = "same_items"
SAME_ITEMS_AS_PROMOTED = "same_items_as_earlier_champions"
NO_SUITE_WORSE = "no_suite_worse"
BETTER = "better_or_cheaper"
FIRST_CHAMPION = "above_chance_and_baseline"

CONDITIONS = {
    ARTIFACT_INTACT: "every file of the version is stored and has the checksum of its record",
    RECORD_CONSISTENT: "every score of the evaluation record follows from samples.parquet",
    "code_committed": "the run record names a commit without uncommitted changes "
    "(`code.require_commit`)",
    "data_validated": "no expectation of the training data failed, apart from "
    "`data.allowed_warnings`",
    "licences_allowed": "every source of the training chain has terms of `data.allowed_licences`",
    "uncontaminated": "no suite has a larger share of contaminated items than "
    "`data.max_contaminated_share` or its own limit",
    "contamination_recall": "the contamination check finds `data.min_self_test_recall` of the "
    "overlaps planted in the mixture",
    "contamination_precision": "`data.min_self_test_precision` of its matches are overlaps",
    "enough_items": "the evaluation has at least `evaluation.min_items` items",
    "suites_complete": "every suite, and each of `evaluation.required_suites`, has all tasks and "
    "items, or `evaluation.allow_partial` is true",
    "flops_per_token": "FLOPs per token are at most `budgets.flops_per_token`",
    "flops_per_item": "FLOPs per item are at most `budgets.flops_per_item`",
    "router_drop_share": "no MoE layer dropped more than `router.max_drop_share` of its "
    "assignments, beyond what balanced experts drop",
    "router_dead_experts": "no MoE layer has more dead experts than `router.max_dead_experts`",
    "router_entropy": "every router has an entropy of at least `router.min_relative_entropy`",
    CHAMPION_READABLE: "the item scores of the champion can be read",
    "same_precision": "both were evaluated on the same device in the same precision, or with a "
    "rounding error of at most `evaluation.max_rounding_error`",
    SAME_ITEMS: "both were evaluated on the same items and prompts; otherwise the champion is "
    "evaluated first",
    SAME_ITEMS_AS_PROMOTED: "the same, for each version that was champion before",
    NO_SUITE_WORSE: "the paired test shows in no suite a loss of more than "
    "`comparison.max_suite_loss` or its own limit",
    BETTER: "the version is better than the champion; or cheaper by `comparison.min_saving` and "
    "not worse by `comparison.margin` than the champion and every earlier champion",
    FIRST_CHAMPION: "without a champion: the version is above chance, and not worse by "
    "`comparison.margin` than the cheapest version",
}
"""Gate -> its condition."""
NOT_OVERRIDABLE = frozenset({ARTIFACT_INTACT, RECORD_CONSISTENT})
"""Gates of the evidence itself: without it, there is nothing that a person could judge."""
