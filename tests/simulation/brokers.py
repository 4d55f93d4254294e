"""A broker and the network before it: `edges.Broker` over the sessions of `simulators.broker`.

A connection is two directions with a delay each. Cut, nothing passes any more, and each side learns
of it when it does: at once, or when its keep-alive ends. What was on its way to a connection that
has ended is lost; so is an acknowledgement that arrives after it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from gateway import intake
from gateway.config.sources import Mqtt
from gateway.errors import TransportError
from simulators.broker import WINDOW, Broker, Packet
from tests.simulation.book import Book, Reading
from tests.simulation.process import Process
from tests.simulation.world import Moment, World

KEEPALIVE_S = 90.0
READ_PACKETS = 50
"""About as many as are read before others have their turn, and before reading can pause."""


@dataclass(frozen=True, slots=True)
class Published:
    """One PUBLISH of a device."""

    topic: str
    payload: bytes
    reading: Reading
    qos: int = 1
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A packet as the intake wants it."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    duplicate: bool
    identifier: int
    skipped: int = 0


class BrokerSite:
    """A broker somewhere on the network."""

    def __init__(
        self, world: World, book: Book, name: str, *, first_identifier: int, leaky: bool = False
    ) -> None:
        self.world, self.book, self.name = world, book, name
        self.rng = world.chance("network", name)
        self.sessions: Broker[Published] = Broker(first_identifier=first_identifier, leaky=leaky)
        self.connections: dict[str, Connection] = {}
        """By client id: the ones that the broker believes in."""
        self.away = False
        self.stall_s = 0.0
        """How long the network holds back what is sent."""
        self.unacknowledged_max = 0
        """The most that ever waited on one connection."""

    def publish(self, message: Published) -> None:
        """A device publishes; while the broker is away it keeps its message to itself."""
        if not self.away:
            self.sessions.publish(message)

    def latency_s(self) -> float:
        return self.rng.uniform(0.0005, 0.05) + self.stall_s

    def cut(self) -> None:
        """The network drops every connection; who notices when is a matter of luck."""
        for connection in list(self.connections.values()):
            self.world.note(self.name, "connection cut")
            connection.cut(
                self.rng.choice((0.0, self.rng.uniform(0.0, KEEPALIVE_S))),
                self.rng.choice((0.0, self.rng.uniform(0.0, KEEPALIVE_S))),
            )

    def stop(self, how: Callable[[], None]) -> None:
        """The broker ends, in good order or not, and its connections with it."""
        for connection in list(self.connections.values()):
            connection.cut(0.0, self.rng.uniform(0.0, 1.0))
        self.connections.clear()
        how()
        self.away = True

    def start(self) -> None:
        self.away = False

    def waiting(self) -> int:
        """Messages that the broker keeps for the gateway."""
        return sum(len(s.queue) + len(s.in_flight) for s in self.sessions.sessions.values())


class Connection:
    """One connection's life; `acknowledge` and `leave` may be called at any time."""

    def __init__(
        self,
        site: BrokerSite,
        process: Process,
        client_id: str,
        receive: Callable[[intake.Connection, intake.Message], None],
        limit: int,
        *,
        mqtt5: bool,
    ) -> None:
        self.site, self._process, self._client_id = site, process, client_id
        self._receive = receive
        self._limit = limit
        self._waiting: dict[int, Published] = {}
        self._arriving: list[Packet[Published]] = []
        self._leaving: list[int] = []
        self._lost = False
        """Nothing passes any more."""
        self._has_enough = self._paused = False
        self.problems: list[str] = []
        self.ended: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        older = site.connections.get(client_id)
        if older is not None:
            older.cut(0.0, 0.0)
        site.connections[client_id] = self
        self.session_present = site.sessions.connect(
            client_id, self._send, limit if mqtt5 else WINDOW
        )

    @property
    def unacknowledged_messages(self) -> int:
        return len(self._waiting)

    def acknowledge(self, identifiers: Sequence[int]) -> None:
        for identifier in identifiers:
            if self.ended.done() or not self._process.alive:
                return
            published = self._waiting.pop(identifier, None)
            if published is None:
                continue
            self.site.world.note("acknowledged", identifier, published.reading.number)
            self.site.book.acknowledged_to_broker(published.reading)
            if not self._leaving:
                self.site.world.later(self.site.latency_s(), self._acknowledgements_arrive)
            self._leaving.append(identifier)
            if self._has_enough and 2 * len(self._waiting) <= self._limit:
                self._has_enough = False
                self._read_on()
            self.site.world.moment(Moment.ACKNOWLEDGING)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._read_on()

    def _read_on(self) -> None:
        if self._arriving:
            self.site.world.later(0.0, self._packets_arrive)

    def leave(self, why: str) -> None:
        """Say goodbye: what was said before still arrives."""
        self._end(TransportError(why))
        if self._process.alive:
            self.site.world.later(self.site.latency_s(), self._broker_forgets)

    def cut(self, broker_notices_s: float, gateway_notices_s: float) -> None:
        self._lost = True
        self.site.world.later(broker_notices_s, self._broker_forgets)
        self.site.world.later(
            gateway_notices_s, self._end, TransportError("the broker closed the connection")
        )

    def _end(self, why: Exception) -> None:
        if not self.ended.done():
            self.ended.set_result(why)

    def _broker_forgets(self) -> None:
        self._lost = True
        if self._is_current():
            del self.site.connections[self._client_id]
            self.site.sessions.disconnect(self._client_id)

    def _is_current(self) -> bool:
        return self.site.connections.get(self._client_id) is self

    def _send(self, packet: Packet[Published]) -> None:
        """The broker sends: it arrives later, together with what is sent meanwhile."""
        if packet.identifier and not packet.duplicate:
            packet.publication.reading.sent_as_new += 1
        if not self._arriving:
            self.site.world.later(self.site.latency_s(), self._packets_arrive)
        self._arriving.append(packet)

    def _packets_arrive(self) -> None:
        if self._paused or self._has_enough:
            return
        packets, self._arriving = self._arriving[:READ_PACKETS], self._arriving[READ_PACKETS:]
        for packet in packets:
            if self._lost or not self._process.alive:
                return
            self._take(packet)
        if self._arriving:
            self.site.world.later(0.0, self._packets_arrive)

    def _take(self, packet: Packet[Published]) -> None:
        published, identifier, duplicate = packet
        if published.qos and self.ended.done():
            return  # the broker brings it back
        site = self.site
        if published.qos:
            self._waiting[identifier] = published
            site.unacknowledged_max = max(site.unacknowledged_max, len(self._waiting))
        else:
            published.reading.sent_as_new += 1
        site.world.note("arrived", identifier, published.reading.number, "again" * duplicate)
        site.book.arrived(published.reading, self._process.clock())
        message = Message(
            published.topic,
            published.payload,
            published.qos,
            published.retain,
            duplicate,
            identifier,
        )
        try:
            self._receive(self, message)
        except Exception as error:  # noqa: BLE001 -- as asyncio hands it to the transport
            self._end(error)
        self._has_enough |= len(self._waiting) > self._limit

    def _acknowledgements_arrive(self) -> None:
        identifiers, self._leaving = self._leaving, []
        if self._lost or not self._is_current():
            return
        for identifier in identifiers:
            self.site.sessions.acknowledge(self._client_id, identifier)


class SimulatedBroker:
    """What `edges.Broker` asks for: each `run` is one connection's life."""

    def __init__(self, site: BrokerSite, process: Process, entry: Mqtt, client_id: str) -> None:
        self._site, self._process, self._client_id = site, process, client_id
        self._limit = entry.max_unacknowledged
        self._mqtt5 = entry.protocol != "3.1.1"

    async def run(
        self,
        opened: Callable[[intake.Connection], None],
        receive: Callable[[intake.Connection, intake.Message], None],
    ) -> NoReturn:
        await asyncio.sleep(self._process.rng.uniform(0.001, 0.1))
        if self._site.away:
            raise TransportError(f"{self._site.name}: cannot connect: Connection refused")
        connection = Connection(
            self._site, self._process, self._client_id, receive, self._limit, mqtt5=self._mqtt5
        )
        self._process.on_death(lambda: connection.cut(0.0, 0.0))
        self._site.world.note(
            self._site.name, "connected", "present" if connection.session_present else "new"
        )
        try:
            opened(connection)
            raise await connection.ended
        finally:
            connection.leave("the gateway left")
