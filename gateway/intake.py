"""Everything left of the store: sources, each with its decoders, kept alive and kept apart.

    byte stream --bytes--> Framer --.
                                     >-- Pipeline (decode, normalize) --> Committer
    MQTT broker --messages--> Router'

`supervise` keeps one source connected: a failure of whatever kind is logged with its traceback and
backed off, and touches no other source. What happens within a source is `gateway.pipeline`'s.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from gateway.admission import WhenFull
from gateway.backoff import Backoff
from gateway.clock import Clock
from gateway.committer import Acknowledger, Committer
from gateway.errors import TransportError
from gateway.ledger import Account, Ledger, Stage
from gateway.model import (
    Frame,
    Framer,
    Observation,
    Reason,
    Row,
)
from gateway.pipeline import Pipeline, Stream
from gateway.redelivery import Ring
from gateway.topics import Router

log = logging.getLogger(__name__)

TOPIC_MAX = 1_024
"""Characters of a topic; MQTT allows 65,535 bytes, and topics are what caches remember."""

STEADY_S = 30.0
"""A connection that lasted this long starts the back-off anew."""


class StreamIntake:
    """A byte stream's way into the committer: `receive` is the transport's call."""

    def __init__(
        self,
        account: Account,
        ledger: Ledger,
        framer: Framer,
        pipeline: Pipeline,
        committer: Committer[Row],
        clock: Clock,
        *,
        when_full: WhenFull = WhenFull.DROP_NEWEST,
    ) -> None:
        self._account = account
        self._stream = Stream(account, ledger, framer, pipeline)
        self._committer = committer
        self._inlet = committer.admission.inlet(account, when_full)
        self._clock = clock

    def opened(self) -> None:
        note_connected(self._account)

    def receive(self, data: bytes) -> None:
        """Take a chunk of any size."""
        self._add(self._stream.feed(data, self._clock()))

    def flush(self) -> None:
        """See `Stream.close`."""
        self._add(self._stream.close(self._clock()))

    def _add(self, observations: list[Observation]) -> None:
        if observations:
            self._committer.add(self._inlet, observations)


class Connection(Acknowledger, Protocol):
    """What the MQTT intake needs of a connection."""

    @property
    def session_present(self) -> bool: ...

    @property
    def unacknowledged_messages(self) -> int: ...

    @property
    def problems(self) -> Sequence[str]: ...

    def subscribe(self) -> None:
        """To be called in a new session, which gets no messages before."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def leave(self, why: str) -> None: ...


class Message(Protocol):
    """What the MQTT intake needs of a message."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def qos(self) -> int: ...
    @property
    def retain(self) -> bool: ...
    @property
    def duplicate(self) -> bool: ...
    @property
    def identifier(self) -> int: ...
    @property
    def skipped(self) -> int: ...


class Subscription:
    """What becomes of the messages of one topic pattern."""

    def __init__(self, pipeline: Pipeline, *, retained: bool) -> None:
        self.pipeline = pipeline
        self.retained = retained
        """Take retained messages too: they are history, and dropped by default."""


class MqttIntake:
    """A broker's messages and their way into the committer, each acknowledged after its commit.

    Ignored, malformed and unroutable messages are acknowledged likewise: nothing comes back but
    what was not committed. A broker can wait, so this is the committer's `Valve` to it.
    """

    def __init__(
        self,
        account: Account,
        ledger: Ledger,
        router: Router[Subscription],
        committer: Committer[Row],
        clock: Clock,
        *,
        session: str,
        seen: Iterable[tuple[int, bytes]],
        window: int,
        when_full: WhenFull = WhenFull.BLOCK,
    ) -> None:
        self._account = account
        self._ledger = ledger
        self._router = router
        self._committer = committer
        self._clock = clock
        self._inlet = committer.admission.inlet(account, when_full, valve=self)
        self._session = session
        self._taken = Ring(seen)
        self._hurry_at = max(window // 2, 1)
        self._connection: Connection | None = None

    def opened(self, connection: Connection) -> None:
        """A connection is there; without the broker's session its identifiers mean nothing.

        The new session gets no messages before the old one is forgotten on disk: a crash would
        bring them back as duplicates, and some may look like messages of the old one.
        """
        if not connection.session_present:
            self._taken.clear()
            self._committer.forget(self._session, connection.subscribe)
        if self._connection is not None:
            self._committer.abandon(self._connection)
        self._connection = connection
        note_connected(self._account)

    def receive(self, connection: Connection, message: Message) -> None:
        """Take one message; it is acknowledged when its group is on disk."""
        if message.qos and self._committer.admission.blocks(self._inlet):
            # Not taken: the broker keeps it, but brings it back on another connection only.
            connection.leave(self._committer.problem)
            return
        account = self._account
        now_ns = self._clock()
        account.frames += 1
        account.last_frame_ns = now_ns
        digest = _digest(message) if message.qos else b""
        if message.duplicate and self._taken.knows(message.identifier, digest):
            self._lose(Stage.REPEATED_FRAME, Reason.REDELIVERED, message, now_ns)
        else:
            observations = self._process(message, now_ns)
            if observations:
                self._committer.add(self._inlet, observations)
            if message.qos:
                self._taken.add(message.identifier, digest)
                self._committer.remember(self._session, message.identifier, digest)
        if message.qos:
            self._committer.acknowledge_later(connection, message.identifier)
            if connection.unacknowledged_messages >= self._hurry_at:
                self._committer.hurry()

    async def ready(self) -> None:
        """Wait until another connection is of use: there is room for what it brings."""
        await self._committer.ready(self._inlet)

    def pause(self) -> None:
        """Read no more for the moment."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        if self._connection is not None:
            self._connection.resume()

    def leave(self, why: str) -> None:
        """Disconnect: the broker keeps what is not acknowledged."""
        if self._connection is not None:
            self._connection.leave(why)

    def problems(self) -> Sequence[str]:
        """What the broker has against some of our subscriptions, in words."""
        return self._connection.problems if self._connection is not None else ()

    def _process(self, message: Message, now_ns: int) -> list[Observation]:
        if message.skipped:  # so long that its payload was not even read into memory
            self._lose(Stage.MALFORMED, Reason.TOO_LARGE, message, now_ns)
            return []
        if len(message.topic) > TOPIC_MAX:
            self._lose(Stage.MALFORMED, Reason.TOO_LONG, message, now_ns)
            return []
        routed = self._router.route(message.topic)
        if routed is None:
            self._lose(Stage.IGNORED, Reason.UNROUTED, message, now_ns)
            return []
        subscription, captures = routed
        if message.retain and not subscription.retained:
            self._lose(Stage.IGNORED, Reason.RETAINED, message, now_ns)
            return []
        return subscription.pipeline.process(
            Frame(message.payload, now_ns, message.topic, captures)
        )

    def _lose(self, stage: Stage, reason: Reason, message: Message, now_ns: int) -> None:
        example = f"{message.topic} ".encode() + message.payload[:100]
        self._ledger.lose(self._account, stage, reason, example, now_ns=now_ns)


def _digest(message: Message) -> bytes:
    return hashlib.blake2b(message.topic.encode() + b"\0" + message.payload, digest_size=8).digest()


def note_connected(account: Account) -> None:
    """The source is there: the operator sees no problem any more."""
    account.connected = True
    account.connections += 1
    account.problem = ""
    log.info("%s: connected", account.source)


async def supervise(
    account: Account,
    run: Callable[[], Awaitable[None]],
    *,
    backoff: Backoff,
    ready: Callable[[], Awaitable[None]],
) -> None:
    """Keep one source connected for ever; `run` returns or raises when its connection ended.

    Args:
        account: the source's, for its state and problem.
        run: one connection's life, from opening to the end.
        backoff: the delays between attempts.
        ready: waits until a connection is of use; awaited before each attempt.
    """
    loop = asyncio.get_running_loop()
    while True:
        await ready()
        started = loop.time()
        try:
            await run()
            problem = "the connection ended"
        except TransportError as error:
            problem = str(error)
            if problem != account.problem:
                log.warning("%s: %s", account.source, problem)
        except Exception as error:
            problem = f"failed: {error!r}"
            log.exception("%s: failed and is started again", account.source)
        account.connected = False
        account.problem = problem
        if loop.time() - started > STEADY_S:
            backoff.reset()
        await asyncio.sleep(backoff.next_s())
