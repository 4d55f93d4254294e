"""Broken devices: what they send is counted with its reason, and touches nobody else.

Beside each broken device sits a healthy one that numbers its readings, and all of them arrive.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt import publish

from gateway.console.status import LossStatus, Status
from tests.integration.heavy import HEAVY
from tests.integration.influxd import Influxd, needs_influxd
from tests.integration.mosquitto import HOST, Mosquitto, running
from tests.integration.readings import read_stored
from tests.integration.rig import (
    DATABASE,
    LOG_SUBSCRIPTIONS,
    GatewayProcess,
    at_rest,
    await_subscription,
)
from tests.transports.serial_pty import Device

pytestmark = [pytest.mark.integration, needs_influxd, HEAVY]

GROWTH_KIB_MAX = 30 * 1024
MIB = 1 << 20


@pytest.fixture
def influxd(tmp_path: Path) -> Iterator[Influxd]:
    with Influxd(tmp_path) as server:
        server.query(f'CREATE DATABASE "{DATABASE}"')
        yield server


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with running(tmp_path / "broker", *LOG_SUBSCRIPTIONS) as server:
        yield server


@contextmanager
def reading(
    folder: Path, influxd: Influxd, *sources: str, broker: Mosquitto | None = None
) -> Iterator[GatewayProcess]:
    """A gateway that is connected to its sources, the broker's among them if one is given."""
    if broker is not None:
        sources += (broker_source(broker),)
    gateway = GatewayProcess(folder)
    gateway.configure("\n".join(sources), influxdb=influxd.url, commit_interval="100ms")
    with gateway.running():
        gateway.await_connected()
        if broker is not None:
            await_subscription(broker)
        yield gateway


@pytest.fixture
def plug() -> Iterator[Callable[[], Device]]:
    devices: list[Device] = []

    def plug() -> Device:
        devices.append(Device())
        return devices[-1]

    yield plug
    for device in devices:
        device.unplug()


def port(name: str, device: Device) -> str:
    return (
        f'[[serial]]\nname = "{name}"\nport = "{device.path}"\nbaudrate = 115200\n'
        'decoder = "text"\n'
    )


def broker_source(broker: Mosquitto) -> str:
    return (
        f'[[mqtt]]\nname = "broker"\nurl = "mqtt://{HOST}:{broker.port}"\nsubscribe = [\n'
        '  { topic = "json/{device}", decoder = "json" },\n'
        '  { topic = "value/{device}/{field}", decoder = "value" },\n]\n'
    )


def tell(broker: Mosquitto, messages: Sequence[tuple[str, bytes]]) -> None:
    """Publish with QoS 1 and wait until the broker has everything."""
    publish.multiple([(topic, payload, 1, False) for topic, payload in messages], HOST, broker.port)


def await_frames(gateway: GatewayProcess, **wanted: int) -> Status:
    """Wait until the sources have had so many frames, and all is at rest."""

    def arrived(status: Status) -> bool:
        sources = status["ledger"]["sources"]
        return all(sources[name]["counts"]["frames"] >= count for name, count in wanted.items())

    gateway.await_status("arrived", arrived)
    return gateway.await_status("at rest", at_rest)


def loss(status: Status, source: str, stage: str, reason: str) -> LossStatus:
    found = [
        loss
        for loss in status["ledger"]["losses"]
        if (loss["source"], loss["stage"], loss["reason"]) == (source, stage, reason)
    ]
    assert found, (source, stage, reason, status["ledger"]["losses"])
    return found[0]


def numbers(influxd: Influxd, device: str) -> list[int]:
    """The numbers of a device's stored readings."""
    stored = read_stored(influxd, DATABASE)
    return sorted(number for name, number in stored for _ in stored[name, number] if name == device)


def talk(device: Device, count: int, pause_s: float) -> None:
    for number in range(count):
        device.say(b'{"sequence": %d, "temperature": 20.5}\r\n' % number)
        time.sleep(pause_s)


def babble(device: Device, seconds: float) -> int:
    """Noise as fast as it is taken; returns how many bytes that were."""
    rng = random.Random(4)
    end, written = time.monotonic() + seconds, 0
    os.set_blocking(device.master, False)
    while time.monotonic() < end:
        try:
            written += os.write(device.master, rng.randbytes(4096))
        except BlockingIOError:
            time.sleep(0.001)
    os.set_blocking(device.master, True)
    return written


def test_broken_ports_touch_no_neighbour(
    tmp_path: Path, influxd: Influxd, plug: Callable[[], Device]
) -> None:
    names = ("healthy", "vanishing", "babbling", "endless", "odd")
    devices = {name: plug() for name in names}
    with reading(tmp_path, influxd, *(port(n, d) for n, d in devices.items())) as gateway:
        before_kib = gateway.memory_kib()
        neighbour = threading.Thread(target=talk, args=(devices["healthy"], 150, 0.02))
        neighbour.start()
        devices["vanishing"].say(b'{"sequence": 0}\n{"sequence": 1')
        babbled = babble(devices["babbling"], 1.5)
        devices["babbling"].say(b'\n{"sequence": 0}\n')
        devices["vanishing"].unplug()
        for _ in range(MIB // 1024):
            devices["endless"].say(b"x" * 1024)
        devices["endless"].say(b'\n{"sequence": 0}\n')
        devices["odd"].say(
            b't=5\nt=1e400 u=1\nt=nan\nt=\xc3\x28\nt=0 on=false\n{"t": 1e400}\nhello\n'
        )
        neighbour.join()
        status = await_frames(gateway, healthy=150, endless=1, odd=6)
        after_kib = gateway.memory_kib("VmHWM")
        sources = status["ledger"]["sources"]

        assert numbers(influxd, "healthy") == list(range(150))
        assert sources["healthy"]["counts"]["connections"] == 1
        assert "unplugged" in sources["vanishing"]["problem"]
        assert numbers(influxd, "vanishing") == numbers(influxd, "endless") == [0]
        assert numbers(influxd, "babbling") == [0]
        assert sources["babbling"]["counts"]["bytes_received"] == babbled + 17
        assert loss(status, "babbling", "noise", "not_text")["count"] > babbled / 2
        endless = loss(status, "endless", "noise", "oversize")
        assert endless["count"] == MIB + 1
        assert set(endless["example"]) == {"x"}
        assert loss(status, "odd", "noise", "not_text")["example"] == r"t=\xc3("
        assert loss(status, "odd", "refused", "infinite")["count"] == 2
        assert loss(status, "odd", "refused", "nan")["example"] == "t = nan"
        assert loss(status, "odd", "malformed", "syntax")["example"] == "hello"
        assert after_kib - before_kib < GROWTH_KIB_MAX
        assert gateway.end()[0] == 0


def hostile_payloads() -> list[bytes]:
    return [
        b"x" * MIB,
        b'{"temperature": 1, "text": "%s"}' % (b"x" * (MIB - 100)),
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 10_000 + b"]" * 10_000,
        b"[" * 500_000,
        b"{%s}" % b",".join(b'"f%d": %d' % (i, i) for i in range(10_000)),
        b"[%s]" % b",".join(b"%d" % i for i in range(200_000)),
        b'{"t": 1e400, "sequence": 7}',
        b'{"t": NaN, "sequence": 8}',
        b'{"t": %s, "sequence": 9}' % (b"9" * 5000),
        b'{"t": "\xff\xfe", "sequence": 10}',
        b"\xff" * 1000,
        b"\0" * 1000,
        b"",
        b"{",
        b'"text"',
        b"null",
    ]


def test_hostile_payloads_touch_no_neighbour(
    tmp_path: Path, influxd: Influxd, broker: Mosquitto
) -> None:
    healthy = [("json/healthy", b'{"sequence": %d, "battery": 50}' % i) for i in range(340)]
    hostile = [("json/hostile", payload) for payload in hostile_payloads()]
    values = [("value/hostile/x", payload) for payload in hostile_payloads()]
    with reading(tmp_path, influxd, broker=broker) as gateway:
        tell(broker, healthy[:10])
        await_frames(gateway, broker=10)
        before_kib = gateway.memory_kib()
        for i, pair in enumerate(zip(hostile, values, strict=True)):
            tell(broker, [*pair, *healthy[10 * i + 10 : 10 * i + 20]])
        tell(broker, healthy[len(hostile) * 10 + 10 :])
        status = await_frames(gateway, broker=len(healthy) + len(hostile) + len(values))
        after_kib = gateway.memory_kib("VmHWM")

        counts = status["ledger"]["sources"]["broker"]["counts"]
        assert counts["connections"] == 1
        assert counts["frames"] == len(healthy) + len(hostile) + len(values)
        assert numbers(influxd, "healthy") == list(range(len(healthy)))
        assert numbers(influxd, "hostile")[:2] == [7, 8], "the good fields of bad payloads"
        for reason in ("syntax", "too_deep", "too_large", "empty"):
            assert loss(status, "broker", "malformed", reason)["count"]
        assert loss(status, "broker", "malformed_element", "too_many_fields")["count"] == 9744
        assert loss(status, "broker", "refused", "too_long")["example"].startswith("text = xxx")
        assert loss(status, "broker", "refused", "infinite")["example"].startswith("t = ")
        assert after_kib - before_kib < GROWTH_KIB_MAX
        assert gateway.end()[0] == 0


def test_a_device_that_makes_up_names_leaves_room_for_others(
    tmp_path: Path, influxd: Influxd, broker: Mosquitto
) -> None:
    names = (b",".join(b'"x%d": 1' % i for i in range(j, j + 250)) for j in range(0, 2500, 250))
    with reading(tmp_path, influxd, broker=broker) as gateway:
        tell(broker, [("json/inventive", b"{%s}" % part) for part in names])
        tell(broker, [("json/healthy", b'{"sequence": 1, "battery": 50}')])
        await_frames(gateway, broker=11)
    assert numbers(influxd, "healthy") == [1]


def test_zero_and_false_are_values(
    tmp_path: Path, influxd: Influxd, broker: Mosquitto, plug: Callable[[], Device]
) -> None:
    """A gateway that asks `if value:` drops them as empty."""
    device = plug()
    with reading(tmp_path, influxd, port("port", device), broker=broker) as gateway:
        device.say(b"a=5\na=0 b=0.0\n")
        tell(broker, [("json/js", b'{"a": 0, "b": 0.0, "c": false, "d": "off"}')])
        tell(broker, [("value/v/a", b"0"), ("value/v/b", b"false")])
        await_frames(gateway, port=2, broker=3)
    query = 'SELECT last("a") AS a, last("b") AS b, last("c") AS c, last("d") AS d FROM "sensor"'
    rows = influxd.query(f'{query} GROUP BY "device"', DATABASE)
    found = {
        row["device"]: {name: row[name] for name in "abcd" if row[name] is not None} for row in rows
    }
    assert found == {
        "port": {"a": 0, "b": 0},
        "js": {"a": 0, "b": 0, "c": 0, "d": 0},
        "v": {"a": 0, "b": 0},
    }


def test_a_byte_that_is_not_utf8_ends_no_reader(
    tmp_path: Path, influxd: Influxd, broker: Mosquitto, plug: Callable[[], Device]
) -> None:
    device = plug()
    with reading(tmp_path, influxd, port("port", device), broker=broker) as gateway:
        for number in range(50):
            device.say(b'\xe9\xb0\xff{\xc3\r\n{"sequence": %d}\r\n' % number)
            tell(
                broker,
                [("json/js", b"\xe9\xb0"), ("json/js", b'{"sequence": %d}' % number)],
            )
        status = await_frames(gateway, port=50, broker=100)
    assert numbers(influxd, "port") == numbers(influxd, "js") == list(range(50))
    for source in ("port", "broker"):
        assert status["ledger"]["sources"][source]["counts"]["connections"] == 1


def test_a_line_cut_by_unplugging_is_never_joined_with_the_next(
    tmp_path: Path, influxd: Influxd, plug: Callable[[], Device]
) -> None:
    """What is left of `sequence=12` and `34` must not become 1234."""
    path = tmp_path / "port"
    device = plug()
    path.symlink_to(device.path)
    source = port("port", device).replace(device.path, str(path))
    with reading(tmp_path, influxd, source) as gateway:
        device.say(b"sequence=1 a=1\nsequence=2 a=1\nsequence=12")
        await_frames(gateway, port=2)
        device.unplug()
        gateway.await_status("unplugged", lambda s: not s["ledger"]["sources"]["port"]["connected"])
        path.unlink()
        device = plug()
        path.symlink_to(device.path)
        gateway.await_connected("port")
        device.say(b"34 a=1\nsequence=3 a=1\n")
        status = await_frames(gateway, port=4)
    assert numbers(influxd, "port") == [2, 3]
    assert loss(status, "port", "noise", "interrupted")["example"] == "sequence=12"
