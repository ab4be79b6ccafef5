"""Seeds of one recipe: one candidate, one test, one decision of a person."""

import pytest


@pytest.fixture
def fill_seeds(registry, submit):
    """Register versions of one recipe: an accuracy and a validation loss for each seed."""

    def register(*accuracies, losses=(1.0, 0.9, 1.1), name="a"):
        return [
            registry.register(
                "m",
                submit(
                    name=f"{name}{seed}",
                    accuracy=accuracy,
                    run={"seed": seed, "losses": {"validation_loss": loss}},
                ),
            ).version
            for seed, (accuracy, loss) in enumerate(zip(accuracies, losses, strict=True))
        ]

    return register


def test_seeds_of_the_same_recipe_are_replicates(registry, submit):
    for seed, accuracy in ((0, 0.70), (1, 0.71), (2, 0.72)):
        registry.register("m", submit(name=f"a{seed}", accuracy=accuracy, run={"seed": seed}))
    registry.register("m", submit(name="b", accuracy=0.4, flops=2e6))
    registry.promote("m", 4, actor="me", override="start")
    gates = {gate.name: gate for gate in registry.preview("m", 1).gates}
    assert "3 against 1 seeds" in gates["better_or_cheaper"].detail


def test_promote_best_tests_a_recipe_once_whatever_its_seeds(registry, submit, fill_seeds):
    """The seed with the lowest validation loss stands for the recipe, not that of most points."""
    first = registry.register("m", submit(name="b", accuracy=0.4, flops=9e5)).version
    registry.promote("m", first, actor="ann", override="start")
    seeds = fill_seeds(0.80, 0.75, 0.79)
    decision = registry.promote_best("m", [first, *seeds], actor="flow")
    assert [report.version for report in decision.reports] == [first, seeds[1]]
    assert decision.champion_version == seeds[1]
    again = registry.promote_best("m", seeds, actor="flow")
    assert (again.outcome, again.reports[0].reason) == ("unchanged", "it is champion already")


def test_another_seed_of_a_tested_recipe_is_the_same_test(registry, submit, fill_seeds):
    first = registry.register("m", submit(name="b", accuracy=0.7, flops=9e5)).version
    registry.promote("m", first, actor="ann", override="start")
    seeds = fill_seeds(0.70, 0.71, 0.69)
    for number in seeds:
        report = registry.promote("m", number, actor="ann")
        assert report.outcome == "unchanged"
        assert "test 1 against this champion" in report.gates[-1].detail
    registry.register("m", submit(name="a3", accuracy=0.7, run={"seed": 3}))
    report = registry.promote("m", seeds[0], actor="ann")
    assert "test 2 against this champion" in report.gates[-1].detail  # of more answers


def test_programs_promote_no_other_seed_of_a_rejected_version(registry, submit, fill_seeds):
    first = registry.register("m", submit(name="b", accuracy=0.4, flops=9e5)).version
    registry.promote("m", first, actor="ann", override="start")
    seeds = fill_seeds(0.80, 0.75, 0.79)
    registry.promote_best("m", seeds, actor="flow")
    registry.roll_back("m", actor="ann", reason="it answers in German")
    decision = registry.promote_best("m", seeds, actor="flow")
    assert decision.champion_version == first
    assert f"a person rejected version {seeds[1]}, another seed" in decision.reason
    assert registry.promote("m", seeds[0], actor="ann").is_promoted


def test_runs_of_other_settings_are_no_replicates(registry, submit):
    for seed, lr in ((0, 1e-3), (1, 1e-3), (2, 5e-3)):
        run = {"seed": seed, "params": {"training": {"optim": {"lr": lr}}}}
        registry.register("m", submit(name=f"a{seed}", accuracy=0.7, run=run))
    registry.register("m", submit(name="b", accuracy=0.4, flops=2e6))
    registry.promote("m", 4, actor="me", override="start")
    gates = {gate.name: gate for gate in registry.preview("m", 1).gates}
    assert "2 against 1 seeds" in gates["better_or_cheaper"].detail
