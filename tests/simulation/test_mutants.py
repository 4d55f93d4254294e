"""The simulation can fail: each broken gateway is caught, by an invariant and not by a crash."""

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.scenario import Family
from tests.simulation.soak import Task

SEEDS = 40

FAMILIES = {
    "acknowledge-on-a-newer-connection": Family.AMNESIA,
    "keep-the-ring-of-a-lost-session": Family.AMNESIA,
    "subscribe-before-the-old-session-is-forgotten": Family.AMNESIA,
}
"""Where identifiers have to meet again; a storm is enough for the others."""

WORDS = {
    "acknowledge-before-commit": "acknowledged and on no disk",
    "acknowledge-on-a-newer-connection": "acknowledged and on no disk",
    "skip-the-redelivery-check": "becomes a second point",
    "keep-the-ring-of-a-lost-session": "acknowledged and on no disk",
    "subscribe-before-the-old-session-is-forgotten": "acknowledged and on no disk",
    "drop-on-400": "leaves the spool that InfluxDB does not have",
    "settle-before-delivery": "leaves the spool that InfluxDB does not have",
    "forget-a-part-of-a-batch": "leaves the spool that InfluxDB does not have",
    "deliver-under-another-time": "never committed",
    "give-up-after-ten-tries": "leaves the spool that InfluxDB does not have",
    "lose-what-the-disk-refused": "does not balance",
    "hurry-for-room": "the store was asked",
    "drop-zeros": "a point that nobody said",
}


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_a_mutant_is_caught(name: str) -> None:
    family = FAMILIES.get(name, Family.STORM)
    for seed in range(SEEDS):
        violation = Task(seed, family, name).run().outcome.violation
        if violation:
            assert WORDS[name] in violation
            return
    pytest.fail(f"{name} survives {SEEDS} seeds")
