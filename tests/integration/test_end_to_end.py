"""Every reading that the software devices send is in InfluxDB exactly once, as it was sent.

A short version of `python -m tests.load endurance`.
"""

from pathlib import Path

import pytest

from tests.integration.heavy import HEAVY
from tests.integration.influxd import needs_influxd
from tests.integration.readings import differences, first_readings, losses, read_stored
from tests.integration.rig import DATABASE, Rig

pytestmark = [pytest.mark.integration, needs_influxd, HEAVY]

SCENARIO = """
seed = 5
[broker]
url = "mqtt://127.0.0.1"

[[serial]]
name = "json"
count = 10
baudrate = 115200
interval = "100ms"
sequence = true
quantities = { temperature = "tempC", humidity = "hum" }
faults = { garbage = 0.02, split = 0.1, merge = 0.1 }

[[serial]]
name = "pairs"
count = 5
form = "keyvalue"
baudrate = 115200
interval = "100ms"
sequence = true
quantities = { temperature = "tempC", humidity = "hum" }
faults = { garbage = 0.02, split = 0.1, merge = 0.1 }

[[serial]]
name = "table"
count = 5
form = "csv"
baudrate = 115200
interval = "100ms"
sequence = true
quantities = { temperature = "tempC", humidity = "hum" }
faults = { garbage = 0.02, split = 0.1, merge = 0.1 }

[[mqtt]]
name = "device"
count = 100
topic = "load/{location}/{device}/state"
interval = "200ms"
sequence = true
locations = ["a", "b", "c"]
quantities = { temperature = "temperature", humidity = "humidity", battery = "battery" }
faults = { garbage = 0.02, duplicate = 0.01 }
"""


def test_each_reading_is_stored_exactly_once(tmp_path: Path) -> None:
    with Rig(tmp_path, SCENARIO) as rig:
        rig.start_gateway()
        sent = rig.simulate(5).finish()
        doubtful = first_readings(sent, ["pairs", "table"])  # no format proves these lines whole
        status = rig.await_delivery(sum(sent.copies.values()) - len(doubtful))
        stored = read_stored(rig.influxd, DATABASE)
    assert len(sent.whole) > 3000
    assert not differences(sent, stored, excused=doubtful)
    lost = losses(status)
    assert lost["ignored", "first_line"] == sum(key not in stored for key in doubtful)
    assert lost["noise", "not_text"] > 0, "the scenario has garbage"
    assert status["health"]["status"] != "failing"
