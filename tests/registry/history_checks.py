"""Checks that a registry is consistent with its history, for tests and drills."""

from sqlalchemy import text

from registry.session import reading


def champions_by_event(entries, faults):
    """Replay the history of a model; return the champion after each event.

    Args:
        entries: the history, in order.
        faults: lines are appended for events that contradict an earlier one.
    """
    champion = None
    champions = {0: None}
    for entry in entries:
        if entry.kind == "promoted":
            if entry.details["previous"] != champion:
                faults.append(f"event {entry.sequence} replaced {entry.details}, not {champion}")
            champion = entry.version
        elif entry.kind == "rolled back":
            champion = entry.version
        elif entry.kind == "rejected" and entry.reason.startswith("rollback: "):
            if entry.version != champion:
                faults.append(f"event {entry.sequence} rolled back {entry.version}, not {champion}")
            champion = None
        champions[entry.sequence] = champion
    return champions


def inconsistencies(registry, model):
    """Return a line for each kind of rows that are half-registered or half-promoted."""
    counts = {
        "versions without a state": "versions v LEFT JOIN version_states s ON s.version_id = v.id "
        "WHERE s.version_id IS NULL",
        "versions without an evaluation": "versions v LEFT JOIN evaluations e ON "
        "e.version_id = v.id WHERE e.id IS NULL",
        "evaluations without metrics": "evaluations e WHERE "
        "(SELECT count(*) FROM metrics m WHERE m.evaluation_id = e.id) <> 3",
        "versions without an event": "versions v WHERE NOT EXISTS (SELECT 1 FROM events e "
        "WHERE e.version_id = v.id AND e.kind = 'registered')",
        "runs without a version": "runs r LEFT JOIN versions v ON v.run_id = r.id "
        "WHERE v.id IS NULL",
        "runs with two versions": "(SELECT run_id FROM versions GROUP BY run_id "
        "HAVING count(*) > 1) t",
    }
    with reading(registry.engine) as session:
        faults = [
            f"{number} {what}"
            for what, sql in counts.items()
            if (number := session.scalar(text(f"SELECT count(*) FROM {sql}")))
        ]
    champions = champions_by_event(registry.history(model), faults)
    actual = [version.version for version in registry.versions(model) if version.is_champion]
    if actual != [number for number in [list(champions.values())[-1]] if number is not None]:
        faults.append(f"champion {actual} is not that of the history")
    return faults
