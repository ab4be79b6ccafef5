"""Who may promote and override."""

import pytest

from registry.errors import NotPermitted
from registry.permissions import is_program, require_override, require_person, require_promoter
from registry.policy import PromoterRules

LISTED = PromoterRules(people=("ada", "*"))
CLOSED = PromoterRules(people=("ada",), programs=())


@pytest.mark.parametrize(
    ("actor", "expected"), [("flow", True), ("flow:nightly", True), ("flowers", False), ("", False)]
)
def test_program_is_flow_or_a_deployment_of_it(actor, expected):
    assert is_program(actor) is expected


def test_everyone_may_promote_by_default():
    for actor in ("bob", "flow", "flow:nightly"):
        require_promoter(actor, PromoterRules())


def test_actors_that_are_not_listed_may_not_promote():
    require_promoter("ada", CLOSED)
    with pytest.raises(NotPermitted, match=r"'bob' may not promote: .* lists ada"):
        require_promoter("bob", CLOSED)
    with pytest.raises(NotPermitted, match=r"'flow' may not promote: promoters\.programs"):
        require_promoter("flow", CLOSED)
    nightly = PromoterRules(programs=("flow:nightly",))
    require_promoter("flow:nightly", nightly)
    with pytest.raises(NotPermitted, match="'flow:weekly' may not promote"):
        require_promoter("flow:weekly", nightly)
    with pytest.raises(NotPermitted, match="lists nobody"):
        require_promoter("ada", PromoterRules(people=()))


def test_programs_never_decide_as_people():
    with pytest.raises(NotPermitted, match="'flow' is a program and may not roll back"):
        require_person("flow", PromoterRules(people=("flow", "*")), "roll back")
    with pytest.raises(NotPermitted, match="'flow' may not override"):
        require_override("flow", PromoterRules(people=("flow", "*")))


def test_override_needs_a_person_listed_by_name():
    require_override("ada", LISTED)
    with pytest.raises(NotPermitted, match=r"'bob' may not override gates: .* by name \(ada\)"):
        require_override("bob", LISTED)
    with pytest.raises(NotPermitted, match=r"by name \(nobody\)"):
        require_override("*", PromoterRules())
