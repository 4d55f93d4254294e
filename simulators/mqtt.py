"""Any number of devices on one broker connection that survives the broker.

MQTT 3.1.1 with a persistent session. QoS 1 and 2 messages are kept until the broker has confirmed
them, and sent again (DUP) after every reconnection; the queue is unlimited. QoS 0 messages are lost
while there is no connection, as those of real devices are, and recorded as damaged.

The client library runs inside the event loop: it has no thread of its own, only its blocking
connect is sent to one. It numbers messages with 16 bits and refuses a number that is still in use,
so it gets at most `WINDOW` messages at a time, and the rest wait here. One timer serves all
devices, in ticks of a few milliseconds.

Limits: plain TCP, no TLS. Devices that share the connection are offline together.
"""

import asyncio
import heapq
import math
import os
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import (
    MQTT_ERR_SUCCESS,
    Client,
    ConnectFlags,
    DisconnectFlags,
)
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from simulators.pace import Pace
from simulators.script import Sent, Step
from simulators.tally import Account, Tally

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

WINDOW = 1_000
EXACTLY_ONCE = 2
EXACTLY_ONCE_WINDOW = 20  # brokers hold no more unfinished QoS 2 messages of one client
TICK_S = 0.005
MISC_S = 1.0
KEEPALIVE_S = 30
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.1, 2.0
CONNECT_S = 1.5  # also bounds how long an unreachable broker can hold up the end
DRAIN_LOOK_S = 0.02
FORGET_LOOKS, FORGET_LOOK_S = 20, 0.05
PORT = 1883


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is, and as whom to enter."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read `mqtt://[user:password@]host[:port]`."""
        parts = urlsplit(url)
        if parts.scheme != "mqtt" or not parts.hostname or parts.path not in {"", "/"}:
            msg = "expected mqtt://[user:password@]host[:port]"
            raise ValueError(msg)
        username = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else unquote(parts.password)
        return cls(parts.hostname, parts.port or PORT, username, password)


@dataclass(slots=True)
class Message:
    """One publish on its way to confirmation."""

    account: Account
    topic: str
    data: bytes
    qos: int
    retain: bool
    sent: tuple[Sent, ...]
    at: float


class Publisher:
    """The broker connection; everything is called from the event loop."""

    def __init__(self, address: Address, tally: Tally, pace: Pace, client_id: str) -> None:
        """Prepare; `run` connects."""
        self._address = address
        self._tally = tally
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Message] = deque()
        self._pending: dict[int, Message] = {}
        self._exactly_once = 0
        self._online = False
        self._wake = asyncio.Event()
        self._patience_end = math.inf
        self.connections = 0
        self.session_present = False
        self._client = self._new_client(client_id)

    def _new_client(self, client_id: str) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.max_inflight_messages_set(0)
        client.max_queued_messages_set(0)
        client.connect_timeout = CONNECT_S
        client.username_pw_set(self._address.username, self._address.password)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_want_write
        return client

    @property
    def outstanding(self) -> int:
        """How many messages are queued or not yet confirmed."""
        return len(self._queue) + len(self._pending)

    async def ready(self, patience_s: float) -> None:
        """Wait a moment for the first connection."""
        end = self._pace.now() + patience_s
        while not self._online and await self._pace.until(self._pace.now() + DRAIN_LOOK_S):
            if self._pace.now() >= end:
                return

    def publish(self, account: Account, step: Step, *, qos: int, retain: bool) -> None:
        """Take a message; it leaves at the next `flush`."""
        self._tally.wrote(account, step)
        self._queue.append(
            Message(account, step.topic, step.data, qos, retain, step.sent, self._pace.wall())
        )

    def flush(self) -> None:
        """Hand as much of the queue to the connection as it may hold."""
        queue, client = self._queue, self._client
        while queue and len(self._pending) < WINDOW:
            if not self._online:
                self._lose_unassured()
                return
            message = queue[0]
            if message.qos == EXACTLY_ONCE and self._exactly_once >= EXACTLY_ONCE_WINDOW:
                break
            info = client.publish(message.topic, message.data, message.qos, message.retain)
            if info.rc != MQTT_ERR_SUCCESS and message.qos == 0:
                return
            self._pending[info.mid] = queue.popleft()
            self._exactly_once += message.qos == EXACTLY_ONCE
        if self._online and client.want_write():
            client.loop_write()
            self._write_on()

    def _lose_unassured(self) -> None:
        for message in self._queue:
            if message.qos == 0:
                self._settle(message, "offline")
        self._queue = deque(message for message in self._queue if message.qos > 0)

    def _settle(self, message: Message, damaged: str = "") -> None:
        message.account.acknowledged += message.qos > 0 and not damaged
        for sent in message.sent:
            self._tally.sent(message.account, sent, message.at, damaged)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        delay_s = BACKOFF_FIRST_S
        self._client.connect_async(self._address.host, self._address.port, KEEPALIVE_S)
        while True:
            if await self._connect():
                delay_s = BACKOFF_FIRST_S
                await self._serve()
            await asyncio.sleep(delay_s)
            delay_s = min(BACKOFF_MAX_S, delay_s * 2)

    async def _connect(self) -> bool:
        """Open a connection; return whether the broker accepted it."""
        self._wake.clear()
        try:
            await asyncio.to_thread(self._client.reconnect)
        except OSError:
            return False
        self._write_on()
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._wake.wait()
        except TimeoutError:
            self._unhook()
            return False
        return self._online

    async def _serve(self) -> None:
        """Keep the connection alive until it is lost."""
        self.flush()
        self._wake.clear()
        while self._online:
            with suppress(TimeoutError):
                async with asyncio.timeout(MISC_S):
                    await self._wake.wait()
            self._client.loop_misc()

    async def drained(self, patience_s: float) -> int:
        """Wait for all confirmations; return how many never came, recording those as damaged."""
        self._patience_end = self._pace.now() + patience_s
        while self.outstanding and self._pace.now() < self._patience_end:
            self.flush()
            await asyncio.sleep(DRAIN_LOOK_S)
        left = [*self._pending.values(), *self._queue]
        for message in left:
            self._settle(message, "unacknowledged")
        self._pending.clear()
        self._queue.clear()
        return len(left)

    def hurry(self, patience_s: float) -> None:
        """Shorten the wait for confirmations that is going on."""
        self._patience_end = min(self._patience_end, self._pace.now() + patience_s)

    def close(self) -> None:
        """Say goodbye to the broker, if it is there; the session stays."""
        if self._online:
            self._client.disconnect()
            self._client.loop_write()

    def _on_connect(
        self,
        _client: Client,
        _data: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._online = not reason.is_failure
        self.connections += self._online
        self.session_present = flags.session_present
        self._wake.set()

    def _on_disconnect(
        self,
        _client: Client,
        _data: object,
        _flags: DisconnectFlags,
        _reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._online = False
        self._wake.set()
        for mid in [mid for mid, message in self._pending.items() if message.qos == 0]:
            self._settle(self._pending.pop(mid), "offline")

    def _on_publish(
        self, _client: Client, _data: object, mid: int, _reason: ReasonCode, _properties: Properties
    ) -> None:
        message = self._pending.pop(mid, None)
        if message is not None:
            self._exactly_once -= message.qos == EXACTLY_ONCE
            self._settle(message)

    def _on_socket_open(self, _client: Client, _data: object, sock: "SocketLike") -> None:
        self._loop.call_soon_threadsafe(self._loop.add_reader, sock.fileno(), self._read)

    def _on_socket_close(self, _client: Client, _data: object, sock: "SocketLike") -> None:
        self._online = False
        self._loop.remove_reader(sock.fileno())
        self._loop.remove_writer(sock.fileno())

    def _unhook(self) -> None:
        """Hear no more of a connection that was never confirmed; the next attempt closes it."""
        sock = self._client.socket()
        if sock is not None:
            self._loop.remove_reader(sock.fileno())
            self._loop.remove_writer(sock.fileno())

    def _on_want_write(self, _client: Client, _data: object, _sock: "SocketLike") -> None:
        """Leave writing to `flush` and `_write_on`, which send many messages at once."""

    def _read(self) -> None:
        self._client.loop_read()
        if self._queue:
            self.flush()
        self._write_on()

    def _write_on(self) -> None:
        """Write the rest when the socket has room."""
        sock = self._client.socket()
        if sock is not None and self._client.want_write():
            self._loop.add_writer(sock.fileno(), self._write)

    def _write(self) -> None:
        self._client.loop_write()
        sock = self._client.socket()
        if sock is not None and not self._client.want_write():
            self._loop.remove_writer(sock.fileno())


@dataclass(frozen=True, slots=True)
class Part:
    """One device's part in the concert."""

    account: Account
    steps: Iterable[Step]
    qos: int
    retain: bool


class Outlet(Protocol):
    """Where messages go: a publisher, or a test's paper."""

    def publish(self, account: Account, step: Step, *, qos: int, retain: bool) -> None:
        """Take a message."""

    def flush(self) -> None:
        """Let all messages taken so far leave."""


async def play(parts: Iterable[Part], publisher: Outlet, pace: Pace) -> None:
    """Play all parts on one connection until they or the simulation end."""
    origin = pace.now()
    due: list[tuple[float, int, Step, Part, Iterator[Step]]] = []
    for index, part in enumerate(parts):
        steps = iter(part.steps)
        first = next(steps, None)
        if first is not None:
            due.append((first.at, index, first, part, steps))
    heapq.heapify(due)
    while due and await pace.until(max(origin + due[0][0], pace.now() + TICK_S)):
        now = pace.now() - origin
        while due and due[0][0] <= now:
            _, index, step, part, steps = due[0]
            publisher.publish(part.account, step, qos=part.qos, retain=part.retain)
            following = next(steps, None)
            if following is None:
                heapq.heappop(due)
            else:
                heapq.heapreplace(due, (following.at, index, following, part, steps))
        publisher.flush()


def forget(address: Address, client_id: str) -> None:
    """Remove the session from the broker, if it answers; blocks for a moment."""
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=True)
    client.connect_timeout = CONNECT_S
    client.username_pw_set(address.username, address.password)
    client.on_connect = lambda itself, *_: itself.disconnect()
    with suppress(OSError):
        client.connect(address.host, address.port)
        for _ in range(FORGET_LOOKS):
            if client.loop(FORGET_LOOK_S) != MQTT_ERR_SUCCESS:
                return


def client_identifier(seed: int) -> str:
    """Return a name for the session that no other run has at the same time."""
    return f"simulators-{seed}-{socket.gethostname()}-{os.getpid()}"
