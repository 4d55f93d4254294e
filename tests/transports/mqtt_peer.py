"""Both ends of a broker test: who records what the transport hands over, and a scripted broker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import aiomqtt

from gateway.errors import TransportError
from gateway.transports.mqtt import (
    BrokerSettings,
    Connection,
    Message,
    MqttTransport,
    Subscription,
)
from tests.integration.mosquitto import HOST, Mosquitto

Protocol = Literal["5", "3.1.1"]

PATIENCE_S = 20.0

FORBIDDEN = "forbidden"

VERSION_AT = 8
VERSION_5 = 5
SUBSCRIBE = b"\x82"
CONNACK_5 = b"\x20\x03\x00\x00\x00"


async def until(condition: Callable[[], object]) -> None:
    """Wait until something that happens elsewhere has happened."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 -- another process has no Event of ours
            await asyncio.sleep(0.005)


class Consumer:
    """Takes messages; `acknowledges` says which."""

    def __init__(self, acknowledges: Callable[[Message], bool] = lambda _: False) -> None:
        self._acknowledges = acknowledges
        self.connections: list[Connection] = []
        self.messages: list[Message] = []

    @property
    def payloads(self) -> list[str]:
        return [message.payload.decode() for message in self.messages]

    def more_than(self, count: int) -> Callable[[], bool]:
        """Whether so many messages are there, and another one."""
        return lambda: len(self.messages) > count

    def opened(self, connection: Connection) -> None:
        self.connections.append(connection)

    def receive(self, connection: Connection, message: Message) -> None:
        assert self.connections, "a message before opened()"
        assert self.connections[-1] is connection
        self.messages.append(message)
        if self._acknowledges(message):
            connection.acknowledge([message.identifier])

    async def run(self, transport: MqttTransport) -> str:
        """One connection until it ends; returns why."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await transport.run(self.opened, self.receive)
        except TransportError as error:
            return str(error)

    @asynccontextmanager
    async def running(self, transport: MqttTransport) -> AsyncIterator[Connection]:
        """A connection that is there, subscribed, and ended with the block."""
        before = len(self.connections)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.run(transport))
            await until(
                lambda: (
                    task.done()
                    or (len(self.connections) > before and self.connections[-1].subscribed.is_set())
                )
            )
            assert not task.done(), task.result()
            try:
                yield self.connections[-1]
            finally:
                task.cancel()


class ScriptedBroker:
    """Answers each connection's first bytes with the next answer; keeps what it was sent.

    Subscriptions are granted, but for FORBIDDEN.
    """

    def __init__(self, answers: Sequence[bytes | None]) -> None:
        """Take what to answer: None says nothing, empty bytes close the connection."""
        self._answers = list(answers)
        self.port = 0
        self.received: list[bytearray] = []
        self.open = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["ScriptedBroker"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await until(lambda: not self.open)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        received = bytearray()
        self.received.append(received)
        answer = self._answers[min(len(self.received), len(self._answers)) - 1]
        try:
            received += await reader.read(65_536)
            writer.write(answer or b"")
            while answer != b"" and (data := await reader.read(65_536)):
                received += data
                if data.startswith(SUBSCRIBE):
                    code = b"\x87" if FORBIDDEN.encode() in data else b"\x01"
                    properties = b"\x00" if received[VERSION_AT] == VERSION_5 else b""
                    answer_body = data[2:4] + properties + code
                    writer.write(b"\x90" + bytes([len(answer_body)]) + answer_body)
        except ConnectionError:
            pass
        finally:
            writer.close()
            self.open -= 1


def settings_for(broker: Mosquitto, protocol: Protocol) -> BrokerSettings:
    return BrokerSettings(HOST, broker.port, "gateway-1", [Subscription("s/#")], protocol=protocol)


async def publish(
    broker: Mosquitto, payloads: Iterable[object], *, topic: str = "s/a", qos: int = 1
) -> None:
    async with aiomqtt.Client(HOST, broker.port) as client:
        for payload in payloads:
            await client.publish(topic, str(payload), qos)


async def open_session(transport: MqttTransport) -> None:
    """Connect once, so that the broker keeps what is published from now on."""
    async with Consumer().running(transport):
        pass


def numbers(upto: int) -> list[str]:
    return [str(number) for number in range(upto)]
