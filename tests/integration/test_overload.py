"""More than fits: a flood beside others, a backlog without room, an InfluxDB that is too slow.

Short versions of `python -m tests.load flood | backlog | overload`.
"""

from pathlib import Path

import pytest

from tests.integration.heavy import HEAVY
from tests.integration.influxd import needs_influxd
from tests.load import backlog, flood, overload

pytestmark = [pytest.mark.integration, needs_influxd, HEAVY]


@pytest.mark.alone
def test_a_flood_delays_nobody_else(tmp_path: Path) -> None:
    fine, report = flood.run(tmp_path, seconds=10, rate=50_000)
    assert fine, "\n".join(report)


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_a_backlog_stays_at_the_broker_while_the_spool_is_full(
    tmp_path: Path, protocol: str
) -> None:
    fine, report = backlog.run(tmp_path, messages=20_000, protocol=protocol, max_bytes="2MiB")
    assert fine, "\n".join(report)


def test_an_influxdb_that_is_too_slow_costs_only_what_nobody_can_keep(tmp_path: Path) -> None:
    fine, report = overload.run(tmp_path, seconds=10, rate=2_000, max_bytes="2MiB")
    assert fine, "\n".join(report)
