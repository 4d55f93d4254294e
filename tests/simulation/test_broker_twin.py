"""The simulated broker against mosquitto: one script, the same packets, to the last identifier."""

import random
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from simulators.broker import WINDOW, Broker, Packet
from tests.integration.mosquitto import HOST, Mosquitto, running

TOPIC = b"t"
TIMEOUT_S = 10.0
STEPS = 60


class Seen(NamedTuple):
    """A message as the client gets it."""

    text: bytes
    qos: int
    identifier: int
    duplicate: bool


class Wire:
    """A bare MQTT 3.1.1 connection with a session that stays."""

    def __init__(self, port: int, client_id: bytes, *, clean: bool = False) -> None:
        self._socket = socket.create_connection((HOST, port), TIMEOUT_S)
        self._unread = b""
        flags = 2 if clean else 0
        body = b"\x00\x04MQTT\x04" + bytes([flags]) + b"\x00\x00" + _text(client_id)
        self.send(0x10, body)
        kind, answer = self._packet()
        assert kind == 0x20
        assert answer[1] == 0
        self.session_present = bool(answer[0])

    def send(self, kind: int, body: bytes = b"") -> None:
        self._socket.sendall(bytes([kind, len(body)]) + body)

    def subscribe(self) -> None:
        self.send(0x82, b"\x00\x01" + _text(TOPIC) + b"\x01")

    def publish(self, text: bytes, qos: int, identifier: int) -> None:
        number = identifier.to_bytes(2, "big") if qos else b""
        self.send(0x30 | qos << 1, _text(TOPIC) + number + text)

    def received(self) -> Iterator[Seen]:
        """All messages that were sent before the answer to a ping."""
        self.send(0xC0)
        while True:
            kind, body = self._packet()
            if kind == 0xD0:
                return
            if kind & 0xF0 == 0x30:
                qos, start = kind >> 1 & 3, 2 + len(TOPIC)
                end = start + 2 * bool(qos)
                identifier = int.from_bytes(body[start:end], "big")
                yield Seen(body[end:], qos, identifier, bool(kind & 8))

    def close(self) -> None:
        self._socket.close()

    def _packet(self) -> tuple[int, bytes]:
        kind, length = self._read(2)
        return kind, self._read(length)

    def _read(self, count: int) -> bytes:
        while len(self._unread) < count:
            data = self._socket.recv(4096)
            assert data, "the broker closed the connection"
            self._unread += data
        found, self._unread = self._unread[:count], self._unread[count:]
        return found


def _text(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text


class Note(NamedTuple):
    text: bytes
    qos: int


class Both:
    """mosquitto and its twin, and a subscriber at each."""

    def __init__(self, mosquitto: Mosquitto) -> None:
        self._mosquitto = mosquitto
        self._twin: Broker[Note] = Broker(leaky=True)
        self._packets: list[Packet[Note]] = []
        self._published = 0
        self.unacknowledged: list[int] = []
        self.connect()

    def connect(self) -> None:
        self._wire = Wire(self._mosquitto.port, b"c")
        self._packets.clear()
        assert self._twin.connect("c", self._packets.append) == self._wire.session_present
        self._wire.subscribe()
        self._twin.subscribe("c")
        self.unacknowledged = []
        self.compare()

    def disconnect(self) -> None:
        self._wire.close()
        self._twin.disconnect("c")
        time.sleep(0.05)  # until mosquitto has seen it

    def publish(self, qos: int) -> None:
        self._published += 1
        note = Note(b"%d" % self._published, qos)
        publisher = Wire(self._mosquitto.port, b"p", clean=True)
        publisher.publish(note.text, qos, 1)
        assert not list(publisher.received())
        publisher.close()
        self._twin.publish(note)

    def acknowledge(self, place: int = 0) -> None:
        identifier = self.unacknowledged.pop(place)
        self._wire.send(0x40, identifier.to_bytes(2, "big"))
        self._twin.acknowledge("c", identifier)

    def publish_some(self, rng: random.Random) -> None:
        for _ in range(rng.choice((1, 3, 10))):
            if len(self.unacknowledged) + len(self._packets) < WINDOW - 10:
                self.publish(rng.choice((0, 1, 1)))

    def save(self) -> None:
        """Mosquitto writes its sessions on SIGUSR1, into a new file of the same name."""
        before = self._saved()
        self._mosquitto._signal(signal.SIGUSR1)
        deadline = time.monotonic() + TIMEOUT_S
        while self._saved() == before and time.monotonic() < deadline:
            time.sleep(0.01)
        self._twin.save()

    def _saved(self) -> int:
        file = self._mosquitto.folder / "mosquitto.db"
        return file.stat().st_mtime_ns if file.exists() else 0

    def restart(self) -> None:
        self._wire.close()
        self._mosquitto.stop()
        self._mosquitto.start()
        self._twin.restart()

    def crash(self) -> None:
        self._wire.close()
        self._mosquitto.kill()
        self._mosquitto.start()
        self._twin.crash()

    def compare(self) -> None:
        seen = list(self._wire.received())
        expected = [Seen(*packet.publication, *packet[1:]) for packet in self._packets]
        self._packets.clear()
        assert seen == expected
        self.unacknowledged += [message.identifier for message in seen if message.qos]


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(3))
def test_the_twin_sends_what_mosquitto_sends(tmp_path: Path, seed: int) -> None:
    """Whatever happens while the window is not full: what a full one does is another test's."""
    rng = random.Random(seed)
    with running(tmp_path) as mosquitto:
        both = Both(mosquitto)
        for _ in range(STEPS):
            match rng.choice(("publish", "publish", "acknowledge", "cut", "save", "end")):
                case "publish":
                    both.publish_some(rng)
                case "acknowledge":
                    for _ in range(rng.randint(0, len(both.unacknowledged))):
                        both.acknowledge(rng.choice((0, 0, -1)))
                case "cut":
                    both.disconnect()
                    both.publish_some(rng)
                    both.connect()
                case "save":
                    both.save()
                case "end":
                    rng.choice((both.restart, both.crash))()
                    both.connect()
            both.compare()


@pytest.mark.integration
def test_a_window_leaks_after_a_client_has_come_back_to_a_full_one(tmp_path: Path) -> None:
    with running(tmp_path) as mosquitto:
        both = Both(mosquitto)
        for _ in range(60):
            both.publish(1)
        both.compare()
        both.disconnect()
        both.connect()
        for _ in range(5):
            both.acknowledge()
        both.compare()
        assert len(both.unacknowledged) == 55
        both.disconnect()
        both.connect()
        assert len(both.unacknowledged) == 55
