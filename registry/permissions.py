"""Who may promote, and change what is champion by hand: the policy's `promoters`."""

from __future__ import annotations

from registry.errors import NotPermitted
from registry.policy import EVERYONE, PromoterRules

PROGRAM = "flow"
"""Actor of the last task of `flanmoe run`; `flow:NAME` for a deployment."""


def is_program(actor: str) -> bool:
    """Return whether an actor is a program and not a person."""
    return actor == PROGRAM or actor.startswith(f"{PROGRAM}:")


def require_promoter(actor: str, rules: PromoterRules) -> None:
    """Check that a person or program may promote what passes every gate.

    Raises:
        NotPermitted: the policy does not list the actor.
    """
    if is_program(actor):
        if actor in rules.programs or PROGRAM in rules.programs:
            return
        raise NotPermitted(
            f"{actor!r} may not promote: promoters.programs of the policy does not list it; a "
            "person promotes with `flanmoe registry promote VERSION`"
        )
    require_person(actor, rules, "promote")


def require_person(actor: str, rules: PromoterRules, action: str) -> None:
    """Check that a person may change what is champion by hand.

    Args:
        actor: account name of the person.
        rules: the policy's section `promoters`.
        action: what the person wants to do, for the message: `promote`, `roll back`.

    Raises:
        NotPermitted: the actor is a program, or the policy does not list the person.
    """
    if is_program(actor):
        raise NotPermitted(f"{actor!r} is a program and may not {action}; only people may")
    if EVERYONE not in rules.people and actor not in rules.people:
        names = ", ".join(rules.people) or "nobody"
        raise NotPermitted(
            f"{actor!r} may not {action}: promoters.people of the policy lists {names}; ask one of "
            "them, or have the policy changed"
        )


def require_override(actor: str, rules: PromoterRules) -> None:
    """Check that a person may promote although gates fail.

    Raises:
        NotPermitted: the policy does not list the person by name.
    """
    if is_program(actor) or actor == EVERYONE or actor not in rules.people:
        names = ", ".join(name for name in rules.people if name != EVERYONE) or "nobody"
        raise NotPermitted(
            f"{actor!r} may not override gates: that needs a person whom promoters.people of the "
            f"policy lists by name ({names})"
        )
