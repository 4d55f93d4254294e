"""`kill -9` of the gateway and of the broker under 1,000 messages a second: 0 lost, 0 twice.

A short version of `python -m tests.load crash`.
"""

import random
from pathlib import Path

import pytest

from tests.integration.heavy import HEAVY
from tests.integration.influxd import needs_influxd
from tests.load.crash import kill_broker, kill_gateway, site

pytestmark = [pytest.mark.integration, needs_influxd, HEAVY]

RATE = 1_000


def test_a_gateway_that_is_killed_at_any_moment(tmp_path: Path) -> None:
    """MQTT 3.1.1, with the window that mosquitto has by default; then the broker is killed."""
    rng = random.Random(3)
    with site(tmp_path, protocol="3.1.1", window=20) as place:
        fine, report = kill_gateway(place, 8, RATE, rng)
        assert fine, "\n".join(report)
        fine, report = kill_broker(place, 1, RATE, rng)
        assert fine, "\n".join(report)


def test_the_same_with_mqtt_5_and_a_large_window(tmp_path: Path) -> None:
    with site(tmp_path, protocol="5", window=1000) as place:
        fine, report = kill_gateway(place, 5, RATE, random.Random(4))
        assert fine, "\n".join(report)
