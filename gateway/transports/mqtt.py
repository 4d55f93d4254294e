"""An MQTT broker: connects with a persistent session, keeps its subscriptions, hands on messages.

One `run` is one connection's life (`mqtt_connection`); whoever calls it waits and calls it again.
aiomqtt, and paho inside it, hold the conversation: CONNECT, SUBSCRIBE, PING and their answers, one
new client per connection. The socket is asyncio's and messages never get there, because

- aiomqtt connects in a thread: not to be cancelled, and a late success takes our session over;
- paho acknowledges QoS 2 before anybody has seen the message;
- measured with four-field messages: aiomqtt's iterator costs 108 us each, paho's callback 46 us
  (115 us with MQTT 5), reading them out of the stream (`mqtt_packets`) 4 us.

We subscribe with QoS 1 at most: that, and the recognition of duplicates, is effectively once.
MQTT 5 is tried first, 3.1.1 where the broker does not know it. With MQTT 5 the broker is told how
many messages may be unacknowledged (Receive Maximum).
"""

import asyncio
import math
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import NoReturn

import aiomqtt
from paho.mqtt.client import ConnectFlags, DisconnectFlags
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.errors import StoreError
from gateway.transports.dial import Dialer, TlsSettings
from gateway.transports.mqtt_connection import (
    BrokerSettings,
    Connection,
    Opened,
    Receive,
    Subscription,
)
from gateway.transports.mqtt_packets import Message
from gateway.transports.mqtt_state import MqttState

__all__ = [
    "BrokerSettings",
    "Connection",
    "Message",
    "MqttState",
    "MqttTransport",
    "Subscription",
    "TlsSettings",
]

LEAVE_S = 1.0
"""For the broker to read our last acknowledgements."""

TICK_S = 1.0
"""How often paho looks whether it is time for a ping."""

RECEIVE_MAXIMUM = 65_535
"""MQTT has no more identifiers."""

_FAILURE = 0x80
_PINGRESP = b"\xd0\x00"


class MqttTransport:
    """One broker, connected to anew by each `run`."""

    def __init__(self, name: str, settings: BrokerSettings, state: MqttState) -> None:
        self._name = name
        self._settings = settings
        self._state = state
        self._dialer = Dialer(
            settings.host, settings.port, settings.tls, timeout_s=settings.connect_timeout_s
        )
        self._mqtt5 = settings.protocol != "3.1.1"

    async def run(self, opened: Opened, receive: Receive) -> NoReturn:
        """Connect, call `opened`, subscribe, and hand every message to `receive`.

        Raises TransportError when the connection ends, or what `opened` or `receive` raised.
        Cancelled or not: the connection is closed, and its acknowledgements have no effect.
        """
        connection = await self._converse(opened, receive, mqtt5=self._mqtt5)
        if connection.refused_version and self._mqtt5 and self._settings.protocol == "auto":
            connection = await self._converse(opened, receive, mqtt5=False)
            self._mqtt5 = not connection.accepted.is_set()
        raise connection.ended.result()

    async def _converse(self, opened: Opened, receive: Receive, *, mqtt5: bool) -> Connection:
        """One connection from beginning to end; it knows why it ended."""
        connection = Connection(self._settings, partial(self._greet, opened), receive, mqtt5=mqtt5)
        client = _Client(self._settings, connection, mqtt5=mqtt5)
        connection.conversation = client
        await self._dialer.dial(connection)
        client.connect()
        async with asyncio.TaskGroup() as tasks:
            chores = tasks.create_task(self._attend(connection, client), name=f"mqtt[{self._name}]")
            try:
                await asyncio.wait([connection.ended])
                with suppress(TimeoutError):
                    async with asyncio.timeout(LEAVE_S):
                        await connection.lost.wait()
            finally:
                connection.leave("the gateway left")
                connection.close()
                chores.cancel()
        return connection

    def _greet(self, opened: Opened, connection: Connection) -> None:
        """Hand the connection on, and say whether the session is the one that we know.

        One that has never been subscribed is as good as new: whoever made it died before the old
        one was forgotten.
        """
        if not self._state.subscriptions(self._name):
            connection.session_present = False
        if connection.session_present:
            connection.subscribe()
        else:
            self._remember(connection, ())
        opened(connection)

    async def _attend(self, connection: Connection, client: "_Client") -> None:
        """Whatever a connection needs beside its messages."""
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                await connection.accepted.wait()
        except TimeoutError:
            connection.dropped(f"no answer within {self._settings.connect_timeout_s:g} s")
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._subscribe(connection, client), name=f"subscribe[{self._name}]")
            while True:
                await asyncio.sleep(TICK_S)
                client.tick()

    async def _subscribe(self, connection: Connection, client: "_Client") -> None:
        """Bring the session's subscriptions to what is wanted now.

        At every instant the file names all filters that the broker may know. There is no time
        limit, but that the connection must live: on a slow line the answers may stand behind
        megabytes of messages.
        """
        await connection.may_subscribe.wait()
        wanted = {subscription.filter for subscription in self._settings.subscriptions}
        stale = self._state.subscriptions(self._name) - wanted
        self._remember(connection, wanted | stale)
        try:
            for topic_filter in sorted(stale):
                await client.unsubscribe(topic_filter)
            for subscription in self._settings.subscriptions:
                problem = await client.subscribe(subscription)
                if problem:
                    connection.problems.append(problem)
        except aiomqtt.MqttError as error:
            connection.leave(f"{self._dialer.where}: {error}")
            return
        self._remember(connection, wanted)
        connection.subscribed.set()

    def _remember(self, connection: Connection, filters: Iterable[str]) -> None:
        try:
            self._state.remember(self._name, filters)
        except StoreError as error:
            connection.problems.append(str(error))


class _Client:
    """Every touch of what aiomqtt and paho do not offer; `test_mqtt_contract.py` pins them.

    What paho "opens" as its socket is this object: paho reads from it the packets that it is
    given, one by one, and what it writes goes to the connection at once.
    """

    def __init__(self, settings: BrokerSettings, connection: Connection, *, mqtt5: bool) -> None:
        self._settings = settings
        self._connection = connection
        self._mqtt5 = mqtt5
        self._unread = b""
        self._aiomqtt = aiomqtt.Client(
            settings.host,
            settings.port,
            identifier=settings.client_id,
            username=settings.username,
            password=settings.password,
            protocol=aiomqtt.ProtocolVersion.V5 if mqtt5 else aiomqtt.ProtocolVersion.V311,
            clean_session=None if mqtt5 else settings.session_expiry_s == 0,
        )
        paho = self._paho = self._aiomqtt._client  # noqa: SLF001
        paho._create_socket = lambda: self  # type: ignore[method-assign]  # noqa: SLF001
        # Without these paho writes at once, instead of when an event loop finds its socket ready.
        paho.on_socket_open = paho.on_socket_close = None
        paho.on_socket_register_write = paho.on_socket_unregister_write = None
        paho.on_connect = self._on_connect
        paho.on_disconnect = self._on_disconnect

    def connect(self) -> None:
        """Send CONNECT."""
        settings = self._settings
        address = (settings.host, settings.port, settings.keepalive_s)
        if not self._mqtt5:
            self._paho.connect(*address)
            return
        wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        wishes.SessionExpiryInterval = settings.session_expiry_s
        wishes.ReceiveMaximum = min(settings.max_unacknowledged_messages, RECEIVE_MAXIMUM)
        self._paho.connect(*address, clean_start=False, properties=wishes)

    def disconnect(self) -> None:
        self._paho.disconnect()

    def take(self, packet: bytes) -> None:
        self._unread = packet
        self._paho.loop_read()

    def tick(self) -> None:
        """Ping when it is time, and see whether the last one was answered.

        Whatever arrives is as good as an answer, which may stand behind megabytes of messages;
        paho does not see these.
        """
        if self._connection.heard:
            self._connection.heard = False
            self.take(_PINGRESP)
        self._paho.loop_misc()

    async def subscribe(self, wanted: Subscription) -> str:
        """Returns what the broker has against it, or nothing."""
        qos = min(wanted.qos, 1)
        if self._mqtt5:
            retained = (
                SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
                if wanted.retained
                else SubscribeOptions.RETAIN_DO_NOT_SEND
            )
            options = SubscribeOptions(qos=qos, retainHandling=retained)
            answers = await self._aiomqtt.subscribe(
                wanted.filter, options=options, timeout=math.inf
            )
        else:
            answers = await self._aiomqtt.subscribe(wanted.filter, qos=qos, timeout=math.inf)
        for answer in answers:
            code = answer.value if isinstance(answer, ReasonCode) else answer
            if code >= _FAILURE:
                return f'the broker refuses the subscription of "{wanted.filter}": {answer}'
            if code < qos:
                return f'the broker grants "{wanted.filter}" at QoS 0 only: it keeps nothing for us'
        return ""

    async def unsubscribe(self, topic_filter: str) -> None:
        await self._aiomqtt.unsubscribe(topic_filter, timeout=math.inf)

    def _on_connect(
        self,
        _client: object,
        _userdata: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._connection.refused(str(reason))
        else:
            self._connection.greeted(session_present=flags.session_present)

    def _on_disconnect(
        self,
        _client: object,
        _userdata: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._connection.dropped(str(reason))

    # What paho takes for its socket.

    def recv(self, buffer_size: int) -> bytes:
        if not self._unread:
            raise BlockingIOError
        data, self._unread = self._unread[:buffer_size], self._unread[buffer_size:]
        return data

    def send(self, buffer: bytes | bytearray) -> int:
        self._connection.write(buffer)
        return len(buffer)

    def close(self) -> None:
        """Nothing: the connection closes its own."""

    def fileno(self) -> int:
        return -1

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001
        """Nothing: it never blocks."""
