"""InfluxDB, the broker or the gateway itself goes away in the middle of a run: nothing is lost.

A short version of `python -m tests.load outage`.
"""

import time
from pathlib import Path

import pytest

from tests.integration.heavy import HEAVY
from tests.integration.influxd import needs_influxd
from tests.integration.readings import count_stored, differences, read_stored
from tests.integration.rig import DATABASE, LatencyMark, Rig

pytestmark = [pytest.mark.integration, needs_influxd, HEAVY]

SCENARIO = """
seed = 6
[broker]
url = "mqtt://127.0.0.1"

[[mqtt]]
name = "device"
count = 50
topic = "load/{location}/{device}/state"
interval = "200ms"
sequence = true
quantities = { temperature = "temperature", humidity = "humidity" }
"""

PORTS = """
[[serial]]
name = "port"
count = 10
baudrate = 115200
interval = "100ms"
sequence = true
quantities = { temperature = "tempC" }
"""


def await_stored(rig: Rig, readings: int) -> None:
    """Wait until the run is well under way."""
    deadline = time.monotonic() + 30
    while count_stored(rig.influxd, DATABASE) < readings:
        assert time.monotonic() < deadline, "no readings come"
        time.sleep(0.05)


@pytest.mark.alone
@pytest.mark.parametrize("how", ["stopped", "frozen", "killed"])
def test_an_influxdb_that_is_away_costs_neither_readings_nor_time(tmp_path: Path, how: str) -> None:
    with Rig(tmp_path, SCENARIO + PORTS) as rig:
        gateway = rig.start_gateway()
        run = rig.simulate(8)
        await_stored(rig, 500)
        before = LatencyMark.of(gateway)
        server = rig.influxd
        {"stopped": server.stop, "frozen": server.suspend, "killed": server.kill}[how]()
        away = LatencyMark.of(gateway)
        time.sleep(5)
        back = LatencyMark.of(gateway)
        waiting = gateway.await_status("running", lambda _: True)
        server.resume() if how == "frozen" else server.start()
        sent = run.finish()
        rig.await_delivery(len(sent.whole), patience_s=60)
        stored = read_stored(server, DATABASE)
    assert waiting["ledger"]["lines"]["pending"] > 500
    assert "InfluxDB" in " ".join(waiting["health"]["problems"])
    assert not differences(sent, stored)
    assert back.since(away).quantile_s(0.99) <= 2 * before.quantile_s(0.99)


def test_a_broker_that_restarts_loses_nothing(tmp_path: Path) -> None:
    """Publishers and gateway use QoS 1, and the broker keeps its sessions."""
    with Rig(tmp_path, SCENARIO) as rig:
        gateway = rig.start_gateway()
        run = rig.simulate(8)
        await_stored(rig, 300)
        rig.broker.stop()
        time.sleep(4)
        rig.broker.start()
        sent = run.finish()
        rig.await_delivery(len(sent.whole), patience_s=60)
        stored = read_stored(rig.influxd, DATABASE)
        status = gateway.await_connected()
    assert not differences(sent, stored)
    assert status["ledger"]["sources"]["simulators"]["counts"]["connections"] == 2


def test_a_killed_gateway_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    with Rig(tmp_path, SCENARIO) as rig:
        gateway = rig.start_gateway()
        run = rig.simulate(7)
        for readings in (300, 900):
            await_stored(rig, readings)
            gateway.kill()
            gateway.start()
        sent = run.finish()
        rig.await_delivery(len(sent.whole), patience_s=60)
        stored = read_stored(rig.influxd, DATABASE)
    assert not differences(sent, stored)


def test_what_the_broker_kept_for_a_gateway_that_was_away_arrives(tmp_path: Path) -> None:
    with Rig(tmp_path, SCENARIO) as rig:
        gateway = rig.start_gateway()
        code, _ = gateway.end()
        assert code == 0, gateway.tail()
        sent = rig.simulate(2).finish()
        gateway.start()
        rig.await_delivery(len(sent.whole))
        stored = read_stored(rig.influxd, DATABASE)
    assert not differences(sent, stored)
