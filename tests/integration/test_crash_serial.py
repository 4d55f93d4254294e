"""`kill -9` while serial lines come: nobody keeps them, so some are lost, and no more than said.

Gone may be what came in the last `commit_interval` before the end, and what came while nobody
listened; nothing before, nothing after, and nothing is there twice.
"""

import random
import time
from pathlib import Path

import pytest

from tests.integration.heavy import HEAVY
from tests.integration.influxd import Influxd, needs_influxd
from tests.integration.readings import read_stored
from tests.integration.rig import DATABASE, GatewayProcess, at_rest
from tests.integration.talker import Talker

pytestmark = [pytest.mark.integration, needs_influxd, HEAVY]

INTERVAL_S = 0.5
COMMIT_S = 0.5
"""For the commit itself, on a machine that has other things to do."""
LINE_S = 0.005
KILLS = 3


def test_a_crash_costs_a_serial_port_no_more_than_the_commit_interval(tmp_path: Path) -> None:
    rng = random.Random(5)
    talker = Talker(LINE_S)
    with Influxd(tmp_path) as influxd:
        influxd.query(f'CREATE DATABASE "{DATABASE}"')
        gateway = GatewayProcess(tmp_path)
        gateway.configure(
            f'[[serial]]\nname = "port"\nport = "{talker.port}"\nbaudrate = 115200\n'
            'decoder = "text"',
            influxdb=influxd.url,
            commit_interval=f"{INTERVAL_S}s",
        )
        kills = []
        with gateway.running():
            with talker.talking():
                for _ in range(KILLS):
                    gateway.await_connected("port")
                    time.sleep(rng.uniform(1.0, 2.0))
                    kills.append(time.monotonic())
                    gateway.kill()
                    gateway.start()
                gateway.await_connected("port")
                time.sleep(1.5)
            gateway.await_status("at rest", at_rest)
            stored = read_stored(influxd, DATABASE)
    assert all(len(copies) == 1 for copies in stored.values())
    heard = {number for _, number in stored}
    ended = max(talker.said[number] for number in heard if number in talker.said)
    silent = [
        (kill, min(at for n, at in talker.said.items() if n in heard and at > kill))
        for kill in kills
    ]
    begun = min(talker.said[number] for number in heard)
    gone = [at for n, at in talker.said.items() if n not in heard and begun < at < ended]
    before = {kill: [at for at in gone if at < kill < at + 5] for kill in kills}
    allowed_s = INTERVAL_S + COMMIT_S
    unexcused = [
        at for at in gone if not any(kill - allowed_s <= at < back for kill, back in silent)
    ]
    assert not unexcused
    assert any(before.values()), "no crash cost anything: the test is pointless"
    assert len(heard) > KILLS / LINE_S / 2
