"""An MQTT broker's sessions as mosquitto keeps them, without sockets: messages in, packets out.

What was tried with mosquitto 2.0 and holds here: a session outlives its connection and keeps what
comes at QoS 1 meanwhile; at most `window` messages are on their way; identifiers rise and wrap
after 65,535; on a new connection what was not acknowledged comes first, in order, as duplicates
with their old identifiers. `save` is the broker's autosave: after `crash` it knows what it knew
then, so that messages acknowledged since come back, and messages that came since are gone.

Seen with mosquitto 2.0.11, and here where `leaky`: after a client has come back to messages that it
had not acknowledged, its first acknowledgement lets everything out that is queued.

Limits: a subscription is to every topic; nothing expires; the queue has no bound
(`max_queued_messages 0`). QoS 2 is not offered.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

WINDOW = 20
IDENTIFIER_MAX = 65_535


class Publication(Protocol):
    """What somebody published."""

    @property
    def qos(self) -> int: ...


P = TypeVar("P", bound=Publication)


class Packet(NamedTuple, Generic[P]):
    """One PUBLISH on its way to a client; QoS 0 has identifier 0."""

    publication: P
    identifier: int = 0
    duplicate: bool = False


@dataclass(slots=True)
class Session(Generic[P]):
    """What the broker keeps for one client id."""

    last_identifier: int
    window: int
    queue: deque[P] = field(default_factory=deque)
    in_flight: dict[int, P] = field(default_factory=dict)
    """Sent and not acknowledged, in order."""
    send: Callable[[Packet[P]], None] | None = None
    """The way to the client while it is connected."""
    subscribed: bool = False
    """A new session gets nothing before."""
    leaks: bool = False
    """The next acknowledgement opens the window wide."""

    def copy(self) -> Self:
        """Return what would be written to the disk."""
        return type(self)(
            self.last_identifier,
            self.window,
            self.queue.copy(),
            self.in_flight.copy(),
            subscribed=self.subscribed,
        )


class Broker(Generic[P]):
    """All sessions; a client that is new starts after `first_identifier`."""

    def __init__(
        self, *, window: int = WINDOW, first_identifier: int = 0, leaky: bool = False
    ) -> None:
        """Start without any session."""
        self.sessions: dict[str, Session[P]] = {}
        self._window = window
        self._first_identifier = first_identifier
        self._leaky = leaky
        self._saved: dict[str, Session[P]] = {}

    def connect(
        self, client_id: str, send: Callable[[Packet[P]], None], receive_maximum: int = WINDOW
    ) -> bool:
        """Take a client in, and send what waits for it; return whether it has a session.

        With MQTT 5 a client says how many messages it wants to have on their way at most.
        """
        session = self.sessions.get(client_id)
        present = session is not None
        if session is None:
            session = self.sessions[client_id] = Session(self._first_identifier, self._window)
        session.send = send
        session.window = min(self._window, receive_maximum)
        session.leaks = self._leaky and bool(session.in_flight)
        for identifier, publication in session.in_flight.items():
            send(Packet(publication, identifier, duplicate=True))
        self._fill_window(session)
        return present

    def subscribe(self, client_id: str) -> None:
        """What is published from now on is for this client too."""
        self.sessions[client_id].subscribed = True

    def disconnect(self, client_id: str) -> None:
        """The client is gone; its session stays."""
        session = self.sessions.get(client_id)
        if session is not None:
            session.send = None

    def publish(self, publication: P) -> None:
        """Hand a message to every session that wants it, or keep it there."""
        for session in self.sessions.values():
            if not session.subscribed:
                continue
            if publication.qos:
                session.queue.append(publication)
                self._fill_window(session)
            elif session.send is not None:
                session.send(Packet(publication))

    def acknowledge(self, client_id: str, identifier: int) -> None:
        """Forget a message; an identifier that is not in flight means nothing."""
        session = self.sessions.get(client_id)
        if session is None or session.in_flight.pop(identifier, None) is None:
            return
        if session.leaks:
            session.window = IDENTIFIER_MAX
        self._fill_window(session)

    def save(self) -> None:
        """Write the sessions to the disk."""
        self._saved = {client_id: each.copy() for client_id, each in self.sessions.items()}

    def restart(self) -> None:
        """End in good order and start again: all connections are gone, nothing else is."""
        self.save()
        self.crash()

    def crash(self, *, lose_sessions: bool = False) -> None:
        """Start again with what was saved, or with nothing where the disk had nothing."""
        if lose_sessions:
            self._saved = {}
        self.sessions = {client_id: each.copy() for client_id, each in self._saved.items()}

    def _fill_window(self, session: Session[P]) -> None:
        while session.send and session.queue and len(session.in_flight) < session.window:
            identifier = session.last_identifier % IDENTIFIER_MAX + 1
            session.last_identifier = identifier
            publication = session.in_flight[identifier] = session.queue.popleft()
            session.send(Packet(publication, identifier))
