"""A device that never forgets: numbered readings at a steady rate, QoS 1, until acknowledged.

MQTT 3.1.1 on a socket of its own, in a thread of its own. When the broker goes it connects again
and again, and then publishes anew, in order and marked as duplicates, what was not acknowledged.
Late, it catches up: the rate is a mean. What reading a number stands for is calculated
(`reading`), so that whoever finds it anywhere knows whether it was altered.

Limit: UNACKNOWLEDGED_MAX messages wait for the broker, then publishing pauses.
"""

import json
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.load.wire import DEVICES, publish_packet

UNACKNOWLEDGED_MAX = 20_000
TICK_S = 0.005
RETRY_S = 0.1
ANSWER_S = 5.0

_CONNECT = b"\x10\x19\x00\x04MQTT\x04\x00\x00\x00\x00\x0dnever-forgets"
_CONNACK_BYTES = 4
_PUBACK = struct.Struct("!BBH")
_IDENTIFIERS = 65_535


def device(number: int) -> str:
    """Who publishes the reading."""
    return f"device-{number % DEVICES}"


def reading(number: int) -> dict[str, float]:
    """The reading's values, by the names of its fields."""
    return {
        "temperature": number * 7919 % 4000 / 100,
        "humidity": number * 104_729 % 1000 / 10,
        "sequence": number,
    }


def publish(number: int, identifier: int, *, duplicate: bool = False) -> bytes:
    """The reading's packet."""
    payload = json.dumps(reading(number), separators=(",", ":")).encode()
    topic = f"load/{device(number)}/state".encode()
    return publish_packet(topic, payload, identifier, duplicate=duplicate)


class Publisher:
    """The device; `start` it, and `stop` it, which waits for the last acknowledgement."""

    def __init__(self, port: int, rate: float, *, first: int = 0) -> None:
        """Make it ready.

        Args:
            port: the broker's.
            rate: readings per second.
            first: the first reading's number.
        """
        self._port = port
        self._rate = rate
        self._first = first
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._waiting: dict[int, int] = {}
        """Numbers that are not acknowledged, by identifier, in order."""
        self._output = b""
        self._input = b""
        self.published = first
        """The readings from the first one up to here, without it, were sent at least once."""
        self.acknowledged: set[int] = set()
        self.again: Counter[int] = Counter()
        """How often readings were published anew."""
        self.pace: Counter[int] = Counter()
        """Acknowledgements by second since the start."""
        self._started_s = 0.0
        self._ended_s = 0.0

    def start(self) -> None:
        self._started_s = time.monotonic()
        self._thread.start()

    def stop(self, patience_s: float = 60.0) -> None:
        """Publish nothing new; on return everything is acknowledged."""
        self._ended_s = time.monotonic()
        self._ended.set()
        self._thread.join(patience_s)
        assert not self._thread.is_alive(), f"{len(self._waiting)} were never acknowledged"

    @property
    def numbers(self) -> range:
        """What was published."""
        return range(self._first, self.published)

    @property
    def lasted_s(self) -> float:
        """From `start` to `stop`."""
        return self._ended_s - self._started_s

    def _run(self) -> None:
        while not self._ended.is_set() or self._waiting:
            with suppress(OSError), self._connected() as connection:
                self._converse(connection)
            time.sleep(RETRY_S if self._waiting else 0)

    @contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self._port), ANSWER_S) as connection:
            connection.sendall(_CONNECT)
            greeting = b""
            while len(greeting) < _CONNACK_BYTES:
                received = connection.recv(_CONNACK_BYTES - len(greeting))
                if not received:
                    raise ConnectionResetError
                greeting += received
            connection.setblocking(False)  # noqa: FBT003
            yield connection

    def _converse(self, connection: socket.socket) -> None:
        """Until the end of the connection or of everything."""
        self._input = b""
        self.again.update(self._waiting.values())
        self._output = b"".join(
            publish(number, identifier, duplicate=True)
            for identifier, number in self._waiting.items()
        )
        while not self._ended.is_set() or self._waiting or self._output:
            if not self._ended.is_set():
                self._publish_due()
            writing = [connection] if self._output else []
            readable, writable, _ = select.select([connection], writing, [], TICK_S)
            if writable:
                self._output = self._output[connection.send(self._output) :]
            if readable:
                self._take(connection.recv(65_536))
            elif not writing:
                time.sleep(TICK_S)

    def _publish_due(self) -> None:
        due = self._first + int(self._rate * (time.monotonic() - self._started_s))
        room = UNACKNOWLEDGED_MAX - len(self._waiting)
        packets = [self._output]
        for number in range(self.published, min(due, self.published + room)):
            identifier = number % _IDENTIFIERS + 1
            self._waiting[identifier] = number
            packets.append(publish(number, identifier))
            self.published = number + 1
        self._output = b"".join(packets)

    def _take(self, data: bytes) -> None:
        if not data:
            raise ConnectionResetError
        data = self._input + data
        whole = len(data) // _PUBACK.size * _PUBACK.size
        self._input = data[whole:]
        for _, _, identifier in _PUBACK.iter_unpack(data[:whole]):
            self.acknowledged.add(self._waiting.pop(identifier))
        self.pace[int(time.monotonic() - self._started_s)] += whole // _PUBACK.size

    def slowest(self, seconds: int) -> float:
        """Acknowledgements per second, in the slowest stretch of so many whole seconds."""
        last = max(self.pace, default=0)
        sums = [
            sum(self.pace[second] for second in range(first, first + seconds))
            for first in range(max(last - seconds, 0) + 1)
        ]
        return min(sums) / seconds
