"""A wire with an ear: passes bytes between a client and its server, and tells what went by.

`Tap` stands between the gateway and its broker: each PUBLISH that it passes on, and each PUBACK, is
known afterwards with its identifier, its mark as duplicate and its time. Which is what proves where
a reading that is missing, or there twice, went astray. `Wire` alone serves any protocol.

Two threads to a connection, each handing on before it reads more: whoever does not read holds up
whoever writes, as without it.
"""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple, Self

HOST = "127.0.0.1"
PORTION = 65_536

_PUBLISH = 0x30
_PUBACK = 0x40
_TYPE = 0xF0
_DUPLICATE = 0x08
_QOS = 0x06
_NUMBER = re.compile(rb'"sequence":(\d+)')

Hear = Callable[[bytes], None]


class Wire:
    """Entered, it listens at `port`, and connects whoever comes to the server's port."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self.port = 0
        self._listener: socket.socket
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, name="wire", daemon=True)
        self.heard = threading.Event()
        """Something went from client to server since this was cleared."""
        self.answered = threading.Event()
        """And back."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server((HOST, 0), backlog=100)
        self.port = self._listener.getsockname()[1]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._thread.join()

    def ears(self) -> tuple[Hear, Hear]:
        """What hears a new connection's bytes: towards the server, towards the client."""
        return self._nothing, self._nothing

    @property
    def is_connected(self) -> bool:
        return bool(self._open)

    @staticmethod
    def _nothing(data: bytes) -> None:
        """Hear it and forget it."""

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((HOST, self._server_port), 5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.add(each)
            up, down = self.ears()
            for ends in ((client, server, up, self.heard), (server, client, down, self.answered)):
                threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(
        self, source: socket.socket, target: socket.socket, hear: Hear, event: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := source.recv(PORTION):
                hear(data)
                event.set()
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            self._open.discard(each)
        source.close()


class Delivery(NamedTuple):
    """A reading on its way from the broker to the gateway."""

    number: int
    connection: int
    identifier: int
    duplicate: bool
    at_ns: int


class Tap(Wire):
    """Between a broker and the gateway; QoS 1, MQTT 3.1.1 or 5, of readings that are numbered."""

    def __init__(self, broker_port: int) -> None:
        super().__init__(broker_port)
        self.connections = 0
        self.deliveries: list[Delivery] = []
        """In order."""
        self.acknowledged: set[int] = set()
        """The numbers that the gateway acknowledged."""
        self.acknowledgements = 0
        """On the present connection."""
        self.waiting: dict[int, int] = {}
        """Of the present connection: what is not acknowledged, by identifier."""

    def ears(self) -> tuple[Hear, Hear]:
        self.connections += 1
        self.acknowledgements = 0
        waiting = self.waiting = {}
        return (
            _Ear(lambda head, body: self._answer(head, body, waiting)),
            _Ear(lambda head, body: self._message(head, body, waiting)),
        )

    def _message(self, head: int, body: bytes, waiting: dict[int, int]) -> None:
        if head & _TYPE != _PUBLISH or not head & _QOS:
            return
        at = 2 + int.from_bytes(body[:2], "big")
        identifier = int.from_bytes(body[at : at + 2], "big")
        found = _NUMBER.search(body, at)
        assert found, body
        number = int(found[1])
        waiting[identifier] = number
        duplicate = bool(head & _DUPLICATE)
        self.deliveries.append(
            Delivery(number, self.connections, identifier, duplicate, time.time_ns())
        )

    def _answer(self, head: int, body: bytes, waiting: dict[int, int]) -> None:
        if head & _TYPE == _PUBACK:
            self.acknowledged.add(waiting.pop(int.from_bytes(body[:2], "big")))
            self.acknowledgements += 1


class _Ear:
    """Cuts a stream of MQTT into packets."""

    def __init__(self, packet: Callable[[int, bytes], None]) -> None:
        self._packet = packet
        self._held = b""

    def __call__(self, data: bytes) -> None:
        self._held += data
        at = 0
        while (end := _packet_end(self._held, at)) is not None:
            body, after = end
            self._packet(self._held[at], self._held[body:after])
            at = after
        self._held = self._held[at:]


def _packet_end(data: bytes, at: int) -> tuple[int, int] | None:
    """Where a packet's body begins and ends; None while it is not all there."""
    length = 0
    for index, byte in _enumerate(data, at + 1):
        length |= (byte & 0x7F) << 7 * (index - at - 1)
        if not byte & 0x80:
            after = index + 1 + length
            return (index + 1, after) if after <= len(data) else None
    return None


def _enumerate(data: bytes, start: int) -> Iterator[tuple[int, int]]:
    return ((index, data[index]) for index in range(start, min(start + 4, len(data))))
