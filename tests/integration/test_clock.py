"""A board without a clock: the real gateway, on a machine that learns the time later, or never."""

import time
from pathlib import Path

import pytest

from gateway.console.status import Status
from gateway.spool.store import Spool
from tests.integration.influxd import needs_influxd
from tests.integration.readings import Sent, count_stored, differences, read_stored
from tests.integration.rig import DATABASE, GatewayProcess, Rig

pytestmark = [pytest.mark.integration, needs_influxd]

PROGRAM = ("-m", "tests.integration.pretended_clock")
READINGS = 50
SCENARIO = f"""
seed = 9
[[serial]]
name = "port"
count = 2
baudrate = 115200
interval = "20ms"
readings = {READINGS // 2}
sequence = true
quantities = {{ temperature = "tempC" }}
"""

LAST_NS = 10 * 10**9
"""No reading takes so long."""


class Board:
    """The rig's machine, as the pretended clock finds it."""

    def __init__(self, rig: Rig, folder: Path, clock: str) -> None:
        self._folder = folder
        self._rig = rig
        rig.gateway = GatewayProcess(folder, program=PROGRAM)
        rig.gateway.configure(rig.sources(), influxdb=rig.influxd.url, clock=clock)

    def boot(self, name: str) -> GatewayProcess:
        """Start the machine anew, and the gateway on it."""
        (self._folder / "synchronized").unlink(missing_ok=True)
        (self._folder / "boot").write_text(name)
        (self._folder / "started").write_text(str(time.monotonic_ns()))
        return self.start()

    def start(self) -> GatewayProcess:
        gateway = self._rig.gateway
        gateway.start()
        gateway.await_status("running", lambda _: True)
        return gateway

    def synchronize(self) -> None:
        (self._folder / "synchronized").touch()

    def speak(self) -> tuple[Sent, int, int]:
        """The devices say what they have to say; what that was, and between which instants."""
        before = time.time_ns()
        sent = self._rig.simulate(10).finish()
        return sent, before, time.time_ns() + LAST_NS


def holding(readings: int) -> str:
    return f"clock: the clock is not synchronized: {readings} readings wait for their time"


def is_held(readings: int, status: Status) -> bool:
    """Whether so many came, and all of them are on disk."""
    sources = status["ledger"]["sources"].values()
    came = sum(s["counts"]["observations"] for s in sources if s["kind"] == "serial")
    uncommitted = sum(source["counts"]["uncommitted"] for source in sources)
    return came >= readings and not uncommitted


def check_times(
    stored: dict[tuple[str, int], list[dict[str, object]]], since: int, to: int
) -> None:
    """Every point bears the instant at which it was truly sent, give or take the way."""
    times = [int(str(row["time"])) for rows in stored.values() for row in rows]
    assert since <= min(times)
    assert max(times) <= to


def test_readings_wait_through_a_restart_and_get_their_time(tmp_path: Path) -> None:
    with Rig(tmp_path, SCENARIO) as rig:
        board = Board(rig, tmp_path, 'clock_wait = "1h"')
        gateway = board.boot("first")
        sent, since, to = board.speak()
        status = gateway.await_status("holding", lambda s: is_held(len(sent.whole), s))
        count = status["store"]["held_lines"]
        assert count >= len(sent.whole)
        assert status["health"]["status"] == "degraded"
        assert holding(count) in status["health"]["problems"]
        assert (status["time"], status["started"]) == (None, None)
        sources = status["ledger"]["sources"].values()
        assert len(sources) == 3
        assert all(source["last_frame"] is None for source in sources)
        assert all(device["time"] is None for device in status["devices"])
        assert all(device["age_s"] < 60 for device in status["devices"])
        gateway.kill()
        gateway = board.start()
        status = gateway.await_status("holding", lambda s: s["store"]["held_lines"] == count)
        assert count_stored(rig.influxd, DATABASE) == 0
        board.synchronize()
        status = rig.await_delivery(len(sent.whole))
        stored = read_stored(rig.influxd, DATABASE)
        assert not differences(sent, stored)
        check_times(stored, since, to)
        assert status["store"]["held_lines"] == 0
        assert status["time"] is not None
        assert status["ledger"]["balanced"]
        assert not [words for words in status["health"]["problems"] if "clock" in words]


def test_what_never_got_a_time_is_dead_after_the_next_start(tmp_path: Path) -> None:
    with Rig(tmp_path, SCENARIO) as rig:
        board = Board(rig, tmp_path, 'clock_wait = "1h"')
        gateway = board.boot("first")
        sent, *_ = board.speak()
        status = gateway.await_status("holding", lambda s: is_held(len(sent.whole), s))
        count = status["store"]["held_lines"]
        gateway.kill()
        gateway = board.boot("second")
        board.synchronize()
        status = gateway.await_status("released", lambda s: s["store"]["held_lines"] == 0)
        assert status["ledger"]["lines"]["dead"] == count
        assert status["ledger"]["balanced"]
        assert count_stored(rig.influxd, DATABASE) == 0
        assert gateway.end()[0] == 0
    spool = Spool.open(
        tmp_path / "data" / "spool.db", max_bytes=2**30, min_free=0, now_ns=time.time_ns, boot=""
    )
    letters = spool.dead_letters(count + 1)
    spool.close()
    assert len(letters) == count
    assert all("the clock was never set" in kept.letter.message for kept in letters)
    assert all(time.time_ns() - kept.at_ns < 3600 * 10**9 for kept in letters)


def test_after_clock_wait_the_clock_is_taken_as_it_is(tmp_path: Path) -> None:
    """Wrong by forty days, but nobody will ever know better."""
    with Rig(tmp_path, SCENARIO) as rig:
        board = Board(rig, tmp_path, 'clock_wait = "8s"')
        gateway = board.boot("first")
        sent, since, to = board.speak()
        gateway.await_status("delivering", lambda s: s["store"]["held_lines"] == 0)
        rig.await_delivery(len(sent.whole))
        stored = read_stored(rig.influxd, DATABASE)
        assert not differences(sent, stored)
        wrong_by_ns = 40 * 24 * 3600 * 10**9
        check_times(stored, since - wrong_by_ns, to - wrong_by_ns)
