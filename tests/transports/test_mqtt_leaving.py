"""Leaving a broker that is busy sending: it reads what we acknowledged before it misses us."""

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from gateway.errors import TransportError
from gateway.transports.mqtt import Connection, Message
from tests.transports.mqtt_peer import CONNACK_5, Consumer
from tests.transports.test_mqtt_connection import publish, transport_to

SENT_MORE = 200
GOODBYE = b"\xe0\x00"


class BusyBroker:
    """Sends first and reads later, as mosquitto does; when sending fails it reads nothing."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.left = threading.Event()
        self.received = b""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with self._listener, connection:
            connection.recv(65_536)
            connection.sendall(CONNACK_5 + b"".join(map(publish, range(1, 1_001))))
            self.left.wait(10)
            for _ in range(SENT_MORE):
                connection.sendall(publish(2_000) * 100)
            while not self.received.endswith(GOODBYE):
                self.received += connection.recv(65_536)

    def end(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()


async def test_a_busy_broker_still_learns_what_was_acknowledged(tmp_path: Path) -> None:
    broker = BusyBroker()
    consumer = Consumer()
    acknowledged: list[int] = []

    def receive(connection: Connection, message: Message) -> None:
        consumer.receive(connection, message)
        connection.acknowledge([message.identifier])
        acknowledged.append(message.identifier)
        if message.identifier == 500:
            connection.leave("no room")
            broker.left.set()

    async with asyncio.timeout(10):
        with pytest.raises(TransportError, match="no room"):
            await transport_to(broker.port, tmp_path).run(consumer.opened, receive)
    await asyncio.to_thread(broker.end)
    answers = [b"\x40\x02" + identifier.to_bytes(2, "big") for identifier in acknowledged]
    assert len(acknowledged) == 500
    assert b"".join(answers) in broker.received
    assert broker.received.endswith(GOODBYE)
