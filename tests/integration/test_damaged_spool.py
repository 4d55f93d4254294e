"""A gateway that starts on a damaged spool: it says so, and delivers what is intact."""

from pathlib import Path

import pytest

from gateway.edges import SPOOL_FILE
from gateway.model import Group
from gateway.spool.store import Spool
from tests.integration.influxd import needs_influxd
from tests.integration.readings import count_stored, read_stored
from tests.integration.rig import DATABASE, Rig, at_rest

pytestmark = [pytest.mark.integration, needs_influxd]

SCENARIO = """
seed = 6
[[serial]]
name = "port"
baudrate = 115200
interval = "1s"
quantities = { temperature = "tempC" }
"""
ROWS, LINES = 200, 20
NOON = 1_777_636_800_000_000_000


def fill(path: Path) -> None:
    spool = Spool.open(path, max_bytes=2**31, min_free=0, now_ns=lambda: 0)
    for start in range(0, ROWS * LINES, LINES):
        spool.commit(
            Group(
                rows=[
                    b"sensor,device=before sequence=%d %d" % (n, NOON + n)
                    for n in range(start, start + LINES)
                ]
            )
        )
    spool.close()


def test_a_gateway_starts_on_a_damaged_spool_and_delivers_the_rest(tmp_path: Path) -> None:
    with Rig(tmp_path, SCENARIO) as rig:
        path = rig.gateway.data_dir / SPOOL_FILE
        fill(path)
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[70] ^= 1  # in the application_id
        content[middle : middle + 512] = bytes(512)
        path.write_bytes(content)
        gateway = rig.start_gateway()
        status = gateway.await_status("delivered", at_rest)
        stored = read_stored(rig.influxd, DATABASE)
        kept = count_stored(rig.influxd, DATABASE)
        gateway.end()
    lines = status["ledger"]["lines"]
    assert (lines["delivered"], lines["corrupt"]) == (kept, ROWS * LINES - kept)
    assert kept >= (ROWS - 10) * LINES
    assert set(stored) <= {("before", n) for n in range(ROWS * LINES)}
    assert "was damaged and is set aside as spool.db.corrupt-1" in gateway.log.read_text()
    assert "set aside" in " ".join(status["health"]["problems"])
    assert path.with_name("spool.db.corrupt-1").read_bytes() == content
