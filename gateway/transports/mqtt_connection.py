"""One connection to a broker: what it brought, what of that is acknowledged, why it ended.

asyncio owns the socket and calls `Connection` with what arrives. Messages are cut out of the
stream and handed over at once, in order, from the first byte after the greeting (CONNACK) on: what
a resumed session has waiting comes before any subscription. All other packets go to `Conversation`.

At least once: an acknowledgement belongs to its connection and dies with it; what was not
acknowledged comes back, marked as duplicate. A session that somebody else left to us may bring
QoS 2: there the broker gets its first answer (PUBREC) when the message is acknowledged, so that
such a message cannot be lost either.

Limits: messages and bytes that wait for their acknowledgement. Beyond them nothing more is read
until half is acknowledged. To leave instead could go on for ever: a broker brings back at once all
that it has sent (mosquitto 2.0, once its client came back: all that it has), and acknowledgements
of what came before have died with their connection.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, cast

from gateway.errors import TransportError
from gateway.transports.dial import TlsSettings
from gateway.transports.mqtt_packets import Message, NotMqttError, PacketReader

READ_BYTES = 16 * 1024
"""Read at most so much before other sources have their turn: some 150 messages, a few milliseconds
of work."""

_PUBACK = b"\x40\x02"
_PUBREC = b"\x50\x02"
_EXACTLY_ONCE = 2
_CLOSED = "the broker closed the connection"
_TAKEN_OVER = "Session taken over"
_UNSUPPORTED = "Unsupported protocol version"


class Subscription(NamedTuple):
    """One topic filter."""

    filter: str
    qos: int = 1
    """0 or 1; 2 is taken for 1."""
    retained: bool = False
    """False asks the broker to keep its old values; only MQTT 5 can, so look at `retain`."""


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """One broker, and what we want of it."""

    host: str
    port: int
    client_id: str
    subscriptions: Sequence[Subscription]
    tls: TlsSettings | None = None
    username: str | None = None
    password: str | None = None
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    keepalive_s: int = 60
    session_expiry_s: int = 7 * 24 * 3600
    """MQTT 5: how long the broker keeps the session without us; 3.1.1 leaves it to the broker.
    0: it ends with the connection, in both."""
    connect_timeout_s: float = 10.0
    """For each step: the host's address, the connection, the broker's answer."""
    max_unacknowledged_messages: int = 5_000
    max_unacknowledged_bytes: int = 64 * 1024 * 1024
    message_bytes_max: int = 8 * 1024 * 1024
    """The payload of a longer message is skipped."""


class Conversation(Protocol):
    """Whoever understands the packets that are no messages."""

    def take(self, packet: bytes) -> None: ...

    def disconnect(self) -> None:
        """Say goodbye, if that was not done."""


class Connection(asyncio.BufferedProtocol):
    """One connection's life. `acknowledge` and `leave` may be called at any time, also after it."""

    conversation: Conversation

    def __init__(
        self, settings: BrokerSettings, opened: "Opened", receive: "Receive", *, mqtt5: bool
    ) -> None:
        self._settings = settings
        self._opened = opened
        self._receive = receive
        self._where = f"{settings.host}:{settings.port}"
        self._reader = PacketReader(mqtt5=mqtt5, message_bytes_max=settings.message_bytes_max)
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, int] = {}
        """The sizes of the messages that are not acknowledged, by identifier."""
        self._exactly_once: set[int] = set()
        self._has_enough = False
        """Too much waits for its acknowledgement."""
        self._is_paused = False
        """Somebody else asked for a pause."""
        self._is_open = False
        self._is_receiving = False
        self._has_left = False
        self.lost = asyncio.Event()
        """The socket is closed, by whomever."""
        self.session_present = False
        """The broker knew us: its identifiers mean what they meant before."""
        self.problems: list[str] = []
        """Subscriptions that the broker refused, and the like, in words for the operator."""
        self.unacknowledged_bytes = 0
        self.heard = False
        """Something arrived since this was last set to False."""
        self.accepted = asyncio.Event()
        self.may_subscribe = asyncio.Event()
        self.subscribed = asyncio.Event()
        """The broker has answered about every subscription."""
        self.refused_version = False
        """Ended in a way that another version of MQTT may mend."""
        self.ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        """Done when the connection has ended; the result says why."""

    @property
    def alive(self) -> bool:
        return self._is_open and not self.ended.done()

    @property
    def unacknowledged_messages(self) -> int:
        return len(self._waiting)

    def acknowledge(self, identifiers: Iterable[int]) -> None:
        """The messages are safe: the broker may forget them. Without effect after the end."""
        if self.ended.done():
            return
        answers = bytearray()
        for identifier in identifiers:
            size = self._waiting.pop(identifier, None)
            if size is None:
                continue  # acknowledged before, or QoS 0
            self.unacknowledged_bytes -= size
            answers += _PUBREC if identifier in self._exactly_once else _PUBACK
            answers += identifier.to_bytes(2, "big")
            self._exactly_once.discard(identifier)
        self.write(answers)
        if self._has_enough and not self._is_beyond(0.5):
            self._has_enough = False
            self._read_or_not()

    def subscribe(self) -> None:
        """Ask for messages: in a new session nobody does before."""
        self.may_subscribe.set()

    def pause(self) -> None:
        """Read nothing for a moment: what the broker sends meanwhile waits on its side."""
        self._is_paused = True
        self._read_or_not()

    def resume(self) -> None:
        self._is_paused = False
        self._read_or_not()

    def leave(self, why: str) -> None:
        """Say goodbye: the transport's `run` raises TransportError with these words.

        The broker keeps what is not acknowledged. Nothing more is taken, but read on, until the
        broker closes: a socket that is closed while something is unread takes along what the broker
        has not read of our acknowledgements.
        """
        self._end(TransportError(why))
        transport = self._transport
        if transport is None or self._has_left:
            return
        self._has_left = True
        self.conversation.disconnect()
        if self._is_open:
            transport.resume_reading()
        else:
            self.close()

    def close(self) -> None:
        """Close at once. What the broker has not taken of our own words is given up."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        if transport.get_write_buffer_size():
            transport.abort()
        else:
            transport.close()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 -- asyncio has no idea
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what arrived. An exception ends the connection: `connection_lost` gets it."""
        if self._has_left:
            return
        self._is_receiving = self.heard = True
        try:
            for packet in self._reader.feed(bytes(self._buffer[:nbytes])):
                if isinstance(packet, Message):
                    self._take(packet)
                else:
                    self._take_answer(packet)
        except NotMqttError as error:
            self.leave(f"{self._where} does not speak MQTT: {error}")
        self._is_receiving = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.lost.set()
        if self._is_receiving and exc is not None:
            self._end(exc)
        else:
            self.dropped(str(exc) if exc else _CLOSED)

    # What the conversation calls.

    def write(self, data: bytes | bytearray) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def greeted(self, *, session_present: bool) -> None:
        self.session_present = session_present
        self.accepted.set()

    def refused(self, reason: str) -> None:
        self.refused_version = reason == _UNSUPPORTED
        who = f'user "{self._settings.username}"' if self._settings.username else "no user name"
        self.leave(f"{self._where} refuses the gateway ({who}): {reason}")

    def dropped(self, reason: str) -> None:
        """The connection ended, or leads nowhere, and not by our doing."""
        if self.ended.done():
            return
        hint = ""
        if not self._is_open:
            self.refused_version = True
            hint = "; perhaps this is no MQTT broker, or one that expects TLS"
        elif reason in (_TAKEN_OVER, _CLOSED):  # older brokers do not say which
            hint = f'; does another client use our id "{self._settings.client_id}"?'
        self.leave(f"{self._where}: {reason}{hint}")

    def _end(self, why: BaseException) -> None:
        if not self.ended.done():
            self.ended.set_result(why)

    def _take(self, message: Message) -> None:
        if not self._is_open:
            raise NotMqttError("a message before the greeting")
        if not message.qos:
            self._receive(self, message)
        elif not self.ended.done():  # else the broker brings it back
            identifier, size = message.identifier, len(message.payload)
            self.unacknowledged_bytes += size - self._waiting.get(identifier, 0)
            self._waiting[identifier] = size
            if message.qos == _EXACTLY_ONCE:
                self._exactly_once.add(identifier)
            self._receive(self, message)
            if not self._has_enough and self._is_beyond(1.0):
                self._has_enough = True
                self._read_or_not()

    def _is_beyond(self, share: float) -> bool:
        """Whether more than this part of what may wait does."""
        settings = self._settings
        return (
            len(self._waiting) > share * settings.max_unacknowledged_messages
            or self.unacknowledged_bytes > share * settings.max_unacknowledged_bytes
        )

    def _read_or_not(self) -> None:
        if self._transport is None or self._has_left:
            return
        if self._has_enough or self._is_paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _take_answer(self, packet: bytes) -> None:
        self.conversation.take(packet)
        if self.accepted.is_set() and not self._is_open:
            self._is_open = True
            self._opened(self)


Opened = Callable[[Connection], None]
Receive = Callable[[Connection, Message], None]
