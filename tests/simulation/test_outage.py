"""A database that is away costs nothing but disk."""

from tests.simulation import outage
from tests.simulation.scenario import MIB


def test_an_outage_stays_in_its_bound_and_drains_completely() -> None:
    found = outage.run(3_600.0)
    assert not found.violation
    assert found.readings == found.home == 36_600
    assert 35_000 < found.pending_most <= 36_600
    assert found.disk_most < 4 * MIB
    assert found.drained_s < 60.0


def test_where_the_bound_is_reached_the_broker_keeps_the_rest() -> None:
    """The spool blocks: the gateway stays away, and what waits at the broker comes home too."""
    found = outage.run(3_600.0, max_bytes=MIB)
    assert not found.violation
    assert found.readings == found.home == 36_600
    assert found.pending_most < 20_000
    assert found.disk_most <= MIB
