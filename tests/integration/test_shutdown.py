"""The end: within 5 s, with everything on disk, whatever the neighbours do."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.console.status import Status
from tests.integration.black_holes import (
    DEAD_NAME,
    full_backlog,
    gateway_with_dead_dns,
    silent_listener,
)
from tests.integration.heavy import HEAVY
from tests.integration.influxd import needs_influxd
from tests.integration.readings import differences, read_stored
from tests.integration.rig import DATABASE, GATEWAY, ROOT, GatewayProcess, Rig

pytestmark = [pytest.mark.integration, needs_influxd, HEAVY]

END_S = 5.0
READINGS = 300

SCENARIO = """
seed = 8
[[serial]]
name = "port"
count = 3
baudrate = 115200
interval = "20ms"
readings = 100
sequence = true
settle = "500ms"
quantities = { temperature = "tempC" }
"""

DEVICES = """
[[mqtt]]
name = "dark"
url = "mqtt://{address}"
subscribe = [{{ topic = "a/{{device}}", decoder = "json" }}]

[[serial]]
name = "bridge"
port = "tcp://{address}"
decoder = "text"

[[serial]]
name = "server"
port = "rfc2217://{address}"
decoder = "sml"
baudrate = "auto"
"""


def observed(status: Status) -> int:
    """How many readings of the ports are on their way to the disk."""
    sources = status["ledger"]["sources"].values()
    return sum(source["counts"]["observations"] for source in sources if source["kind"] == "serial")


@contextmanager
def nowhere(kind: str) -> Iterator[str]:
    """An address of the kind."""
    if kind == "silent":
        with silent_listener() as address:
            yield address
    elif kind == "full backlog":
        with full_backlog() as address:
            yield address
    else:
        yield f"{DEAD_NAME}:1883"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
@pytest.mark.parametrize("kind", ["silent", "full backlog", "dead DNS"])
def test_the_end_is_quick_and_keeps_everything(
    tmp_path: Path, kind: str, number: signal.Signals
) -> None:
    """All readings still wait in memory when the signal comes; the next run delivers them."""
    program = gateway_with_dead_dns() if kind == "dead DNS" else GATEWAY
    with Rig(tmp_path, SCENARIO) as rig, nowhere(kind) as address:
        sources = rig.sources()
        blind = GatewayProcess(tmp_path, program=program)
        blind.configure(
            sources + DEVICES.format(address=address),
            influxdb=f"http://{address}",
            commit_interval="30s",
            timeout="60s",
        )
        with blind.running():
            blind.await_status("running", lambda _: True)
            sent = rig.simulate(60).finish()
            status = blind.await_status("all there", lambda s: observed(s) == READINGS)
            code, took_s = blind.end(number)
        assert code == 0, blind.tail()
        assert took_s < END_S
        assert status["ledger"]["lines"]["spooled"] == 0, "the rest of the test is pointless"

        rig.gateway.configure(sources, influxdb=rig.influxd.url)
        rig.gateway.start()
        rig.await_delivery(len(sent.whole))
        stored = read_stored(rig.influxd, DATABASE)
    assert len(sent.whole) == READINGS
    assert not differences(sent, stored)


def test_a_second_gateway_on_the_same_data_is_refused(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path)
    gateway.configure("")
    with gateway.running():
        gateway.await_status("running", lambda _: True)
        second = subprocess.run(
            [sys.executable, *GATEWAY, "run", "--config", str(gateway.config)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert second.returncode == 1
        assert second.stderr.splitlines()[-1] == (
            f"data directory {gateway.data_dir} is in use by another gateway"
            f" (process {gateway.pid})"
        )
        assert gateway.status() is not None, "the first one goes on"
        assert gateway.end()[0] == 0


def test_it_ends_in_the_middle_of_its_start(tmp_path: Path) -> None:
    """Whenever the signal comes: a start and an end are never confused."""
    gateway = GatewayProcess(tmp_path)
    gateway.configure("")
    for delay_s in (0.3, 0.6, 0.9, 1.2):
        with gateway.running():
            time.sleep(delay_s)
            code, took_s = gateway.end()
        assert code in {0, -signal.SIGTERM}, gateway.tail()
        assert took_s < END_S
