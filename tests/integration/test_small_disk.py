"""A disk without room: the gateway goes on, loses nothing of what was committed, and recovers.

What can wait (MQTT, QoS 1) waits at the broker; of what cannot (serial lines) the rest is shed and
counted. With InfluxDB away the spool itself fills a small file system, or somebody else does.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from gateway.console.status import Status
from gateway.errors import StoreError
from gateway.model import Group
from gateway.spool.store import Spool
from tests.integration.influxd import Influxd, needs_influxd
from tests.integration.mosquitto import Mosquitto
from tests.integration.rig import (
    DATABASE,
    LOG_SUBSCRIPTIONS,
    GatewayProcess,
    at_rest,
    await_subscription,
)
from tests.integration.small_disk import MIB, failing_writes, small_disk
from tests.integration.talker import Talker
from tests.load.wire import publish_packet, send

pytestmark = [pytest.mark.integration, needs_influxd]

PATIENCE_S = 60.0
LOOK_S = 0.2
NOTE_CHARS = 800
MESSAGES = 17_000
"""More than the small disk holds."""
FEW = 3_000
DISK_MIB = 24
MIN_FREE = 1
"""MiB; the least that can be configured."""


class Place:
    """A gateway whose data directory is a small disk, a broker, a database, a serial device."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.gateway = GatewayProcess(folder)
        self.disk = stack.enter_context(small_disk(self.gateway.data_dir, DISK_MIB))
        self.influxd = stack.enter_context(Influxd(folder))
        self.influxd.query(f'CREATE DATABASE "{DATABASE}"')
        self.broker = Mosquitto(folder / "broker", "max_inflight_messages 1000", *LOG_SUBSCRIPTIONS)
        stack.callback(self.broker.kill)
        self.broker.start()
        self.talker = Talker()
        stack.enter_context(self.talker.talking())
        stack.callback(self.gateway.kill)
        self._sent = 0

    def start(self, *, archive: bool = False) -> None:
        """Start the gateway, and wait until both sources are there."""
        self.gateway.configure(
            f'[[mqtt]]\nname = "load"\nurl = "mqtt://127.0.0.1:{self.broker.port}"\n'
            "broker_window = 1000\n"
            'subscribe = [{ topic = "load/{device}/state", decoder = "json" }]\n'
            f'[[serial]]\nname = "port"\nport = "{self.talker.port}"\ndecoder = "text"',
            influxdb=None if archive else self.influxd.url,
            spool=f'min_free = "{MIN_FREE}MiB"',
        )
        self.gateway.start()
        self.gateway.await_connected()
        await_subscription(self.broker)

    def publish(self, count: int) -> None:
        """So many numbered messages, with two notes, which hardly compress."""
        rng = random.Random(count)
        numbers = range(self._sent, self._sent + count)
        packets = []
        for number in numbers:
            notes = {name: rng.randbytes(NOTE_CHARS // 2).hex() for name in ("note", "more")}
            payload = json.dumps(notes | {"sequence": number}).encode()
            packets.append(publish_packet(b"load/big/state", payload, number % 65_535 + 1))
        self._sent += count
        send(self.broker.port, [b"".join(packets[at : at + 100]) for at in range(0, count, 100)])

    def status(self) -> Status:
        return self.gateway.await_status("running", lambda _: True)

    def await_full(self) -> Status:
        """Until there is no room, MQTT stays away and serial lines are shed."""
        return self.gateway.await_status("full", _is_full, PATIENCE_S, LOOK_S)

    def await_all(self) -> Status:
        """Until the device is silent and everything has arrived."""
        self.talker.hush()
        return self.gateway.await_status(
            "at rest",
            lambda s: at_rest(s) and _counts(s, "load")["spooled"] >= self._expected(s),
            PATIENCE_S,
            LOOK_S,
        )

    def _expected(self, status: Status) -> int:
        """Of the messages those that this process has to take."""
        return self._sent - self.taken_before

    taken_before = 0
    """By an earlier process."""

    def assert_complete(self, status: Status) -> None:
        """Every message is in InfluxDB once; of the lines those that are not shed."""
        copies = self.copies("big")
        assert copies == dict.fromkeys(range(self._sent), 1)
        lines = status["ledger"]["lines"]
        assert lines["dead"] == lines["corrupt"] == lines["evicted"] == 0
        assert _counts(status, "load")["shed"] == 0
        assert set(self.copies("port").values()) == {1}

    def copies(self, device: str) -> Counter[int]:
        """How often each number is in InfluxDB."""
        query = f"""SELECT "sequence" FROM "sensor" WHERE "device" = '{device}'"""  # noqa: S608
        rows = self.influxd.query(query, DATABASE)
        return Counter(int(float(str(row["sequence"]))) for row in rows)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(tmp_path, stack)


def _counts(status: Status, source: str) -> dict[str, int]:
    return status["ledger"]["sources"][source]["counts"]


def _is_full(status: Status) -> bool:
    away = not status["ledger"]["sources"]["load"]["connected"]
    return away and not status["store"]["has_room"] and _counts(status, "port")["shed"] > 0


def _is_failing(status: Status) -> bool:
    """The store takes nothing."""
    return bool(status["store"]["problem"]) and status["health"]["status"] == "failing"


def test_a_spool_that_fills_its_disk_drains_when_influxdb_returns(place: Place) -> None:
    place.start()
    place.influxd.stop()
    place.publish(MESSAGES)
    full = place.await_full()
    assert full["health"]["status"] == "failing"
    assert full["ledger"]["sources"]["port"]["connected"]
    assert 2_000 < _counts(full, "load")["spooled"] < MESSAGES
    time.sleep(2)
    later = place.status()
    assert later["ledger"]["balanced"]
    assert later["ledger"]["lines"]["pending"] == full["ledger"]["lines"]["pending"]
    assert _counts(later, "port")["shed"] > _counts(full, "port")["shed"]

    place.influxd.start()
    place.assert_complete(place.await_all())


@pytest.mark.parametrize("min_free", [1, 4, 16])
def test_a_spool_that_filled_its_disk_can_be_emptied(tmp_path: Path, min_free: int) -> None:
    """With small groups, which let it come closest to the end of the disk."""
    with small_disk(tmp_path / "data", DISK_MIB) as disk:
        spool = Spool.open(
            disk.path / "spool.db", max_bytes=2**40, min_free=min_free * MIB, now_ns=lambda: 1
        )
        with suppress(StoreError):
            while spool.pressure() < 1:
                spool.commit(Group(rows=[b"m value=%d " % n + b"1" * 1000 for n in range(100)]))
        try:
            while batch := spool.read(500_000, 10_000, newest=False):
                spool.settle(batch.rows, len(batch.lines), [])
            assert spool.pressure() < 1
        finally:
            spool.close()


@pytest.mark.parametrize("first", ["room", "InfluxDB"])
def test_a_disk_that_somebody_else_fills_to_the_last_byte(place: Place, first: str) -> None:
    place.start()
    place.influxd.stop()
    place.publish(FEW)
    place.gateway.await_status("taken", lambda s: _counts(s, "load")["spooled"] == FEW)
    place.disk.fill()
    assert place.disk.free == 0
    place.publish(FEW)
    before = place.gateway.await_status("failing", _is_failing, PATIENCE_S)
    assert any("full" in problem for problem in before["health"]["problems"])
    place.disk.relieve() if first == "room" else place.influxd.start()
    time.sleep(2)
    assert place.status()["ledger"]["balanced"]

    place.influxd.start() if first == "room" else place.disk.relieve()
    place.assert_complete(place.await_all())


def test_a_disk_that_fails_every_write(place: Place) -> None:
    """I/O errors are waited out like everything else, on the way in and on the way out."""
    place.start()
    place.publish(FEW)
    with failing_writes(place.gateway.pid):
        place.publish(FEW)
        before = place.gateway.await_status("failing", _is_failing, PATIENCE_S)
        assert before["ledger"]["balanced"]
        time.sleep(2)
        assert _counts(place.status(), "load")["spooled"] == _counts(before, "load")["spooled"]
    place.assert_complete(place.await_all())


def test_the_archive_on_a_full_disk(place: Place) -> None:
    """The archive is the store itself: what does not fit waits at the broker until it does."""
    place.start(archive=True)
    place.publish(FEW)
    place.gateway.await_status("taken", lambda s: _counts(s, "load")["spooled"] == FEW)
    place.disk.fill()
    place.publish(FEW)
    place.gateway.await_status("failing", _is_failing, PATIENCE_S)
    place.disk.relieve()
    status = place.await_all()
    assert _counts(status, "load")["spooled"] == 2 * FEW
    assert status["health"]["status"] == "ok"


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_a_gateway_starts_on_a_full_disk_with_a_backlog(place: Place, how: str) -> None:
    """Killed it leaves the files that SQLite needs beside the database; ended, it does not."""
    place.start()
    place.influxd.stop()
    place.publish(FEW)
    place.gateway.await_status("taken", lambda s: _counts(s, "load")["spooled"] == FEW)
    place.gateway.kill() if how == "killed" else place.gateway.end()
    place.disk.fill()
    place.influxd.start()
    place.gateway.start()
    time.sleep(4)
    place.disk.relieve()
    place.taken_before = FEW
    place.publish(FEW)
    place.assert_complete(place.await_all())
