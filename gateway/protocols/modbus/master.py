"""The bus master: whose turn it is, and whether what comes is the answer.

Of the devices that are due the one with the earliest deadline is asked: a long interval yields to a
short one, and nobody starves. In the beginning the beats are spread over a second.

Devices that rest because they do not answer are tried where the schedule has a gap, for no longer
than the gap (at least TRIAL_S): a trial costs nobody else his beat. One that found no gap for
TRIAL_WAIT_S is made anyhow. A device that takes longer than that is known by its late answer: then
it is tried once more, with all of its time.

What is heard and was not asked for is another master, a late answer, or our own request, which some
half-duplex adapters repeat. Who never asks, as with a capture, listens to others (`listening`).
"""

from collections.abc import Sequence
from math import inf
from typing import Final, NamedTuple

from gateway.asking import Poll, Request
from gateway.model import Decoded, Frame, Ignored, Learned, Malformed, Reason, Verdict
from gateway.protocols.modbus.listening import Listener
from gateway.protocols.modbus.pdu import UNREACHABLE, Refusal, Span
from gateway.protocols.modbus.station import Station, StationSettings
from gateway.protocols.modbus.wires import Message, Wire

SPREAD_S: Final = 1.0
TRIAL_S: Final = 0.1
TRIAL_WAIT_S: Final = 10.0
SKIPPED_PART: Final = 20
"""One in so many beats may be skipped without a word."""

OTHER_MASTER_NS: Final = 60 * 10**9
"""For how long another master is worth a word."""


class _Asked(NamedTuple):
    """What is under way."""

    station: Station
    span: Span
    message: Message
    data: bytes
    at_s: float


class Master:
    """`gateway.asking.Asker` for any kind of line."""

    def __init__(self, wire: Wire, settings: Sequence[StationSettings]) -> None:
        self._wire = wire
        self._stations = [
            Station(
                each,
                min(each.interval_s, SPREAD_S) * number / len(settings),
                numbered=wire.numbered,
            )
            for number, each in enumerate(settings)
        ]
        self._listener: Listener | None = Listener(settings)
        """Until the line is opened for us to ask."""
        self._asked: _Asked | None = None
        self._outcome: Poll | None = None
        self._echoes = False
        self._other: Message | None = None
        """What another master asked last; its answer is not ours."""
        self._other_ns = -OTHER_MASTER_NS
        self._heard_ns = 0

    # ------------------------------------------------------------------ asking

    def begin(self, now_s: float) -> None:
        self._listener = self._asked = self._outcome = self._other = None
        self._wire.restart()
        for station in self._stations:
            station.begin(now_s)

    def ask(self, now_s: float) -> Request | float:
        if self._asked is not None:
            self._asked.station.settle(now_s)
            self._asked = None
        awake = [station for station in self._stations if not station.standing.rests]
        next_s = min((station.ready_s for station in awake), default=inf)
        trial = self._trial()
        if trial is not None and (patience_s := _patience_s(trial, now_s, next_s - now_s)):
            return self._request(trial, now_s, patience_s)
        ready = [station for station in awake if station.ready_s <= now_s]
        if ready:
            station = min(ready, key=lambda station: station.deadline_s)
            return self._request(station, now_s, station.timeout_s)
        return min(next_s, trial.ready_s) if trial and trial.ready_s > now_s else next_s

    def _trial(self) -> Station | None:
        """Of those that rest, the one that has waited longest."""
        resting = (station for station in self._stations if station.standing.rests)
        return min(resting, key=lambda station: station.ready_s, default=None)

    def _request(self, station: Station, now_s: float, timeout_s: float) -> Request:
        span = station.ask(now_s, timeout_s).span
        message, data = self._wire.seal(station.address, span.request())
        self._asked = _Asked(station, span, message, data, now_s)
        self._outcome = None
        repeated = len(data) if self._echoes else 0
        return Request(data, repeated + self._wire.overhead + span.data_size, timeout_s)

    def outcome(self) -> Poll | None:
        return self._outcome

    def give_up(self, now_s: float, poll: Poll) -> None:
        if self._asked is not None:
            self._asked.station.miss(now_s, poll)
            self._asked.station.settle(now_s)
            self._asked = None

    # ------------------------------------------------------------------ listening

    def decode(self, frame: Frame) -> Verdict:
        self._heard_ns = frame.received_at_ns
        asked = self._asked
        if asked is not None and frame.data == asked.data:
            self._echoes = True
            return Ignored(Reason.ECHO)
        message = self._wire.open(frame.data)
        if isinstance(message, Malformed):
            return message
        if self._listener is not None:
            return self._listener.hear(message)
        answer = self._answer(message)
        if asked is None or answer is None:
            return self._overheard(message)
        if isinstance(answer, Refusal):
            return self._refused(asked, answer)
        self._outcome = Poll.ANSWERED
        reading = asked.station.take(answer)
        return Decoded([reading]) if reading else Learned()

    def _answer(self, message: Message) -> bytes | Refusal | None:
        """What it says to what we asked; None: it is none of our business."""
        asked = self._asked
        if asked is None or self._outcome is not None or self._is_for_other(message):
            return None
        answers = self._wire.answers(asked.message, message)
        return asked.span.answer(message.pdu) if answers else None

    def _refused(self, asked: _Asked, refusal: Refusal) -> Verdict:
        self._outcome = Poll.EXCEPTION
        if refusal.code in UNREACHABLE:
            asked.station.miss(asked.at_s, Poll.EXCEPTION)
            return Malformed(Reason.EXCEPTION)
        reading = asked.station.refuse(refusal, asked.at_s)
        malformed = Malformed(Reason.EXCEPTION)
        return Decoded([reading], [malformed]) if reading else malformed

    def _is_for_other(self, message: Message) -> bool:
        """Whether it answers what another master asked meanwhile."""
        other = self._other
        if other is None or message.is_request or other.address != message.address:
            return False
        self._other = None
        return True

    def _overheard(self, message: Message) -> Verdict:
        station = next((s for s in self._stations if s.address == message.address), None)
        if message.is_request:
            self._other = message
        elif station is not None and not self._is_asked(station):
            station.heard()
        if message.is_request or station is None:
            self._other_ns = self._heard_ns
        return Ignored(Reason.UNASKED)

    def _is_asked(self, station: Station) -> bool:
        """Whether its answer is waited for."""
        asked = self._asked
        return asked is not None and asked.station is station and self._outcome is None

    # ------------------------------------------------------------------ words

    def problems(self) -> Sequence[str]:
        found = [words for station in self._stations for words in station.problems()]
        if self._heard_ns - self._other_ns < OTHER_MASTER_NS:
            found.append("another master, or a device that nobody knows, talks on this line")
        beats, skipped = map(sum, zip(*(s.recent() for s in self._stations), strict=True))
        if skipped * SKIPPED_PART > beats:
            found.append(
                f"{skipped} of the last {beats} beats were skipped: too many devices or too short"
                " intervals for this line"
            )
        return found


def _patience_s(trial: Station, now_s: float, gap_s: float) -> float:
    """How long a device that rests may be waited for now; 0: this is not the time."""
    if trial.ready_s > now_s:
        return 0.0
    if trial.was_heard:
        return trial.timeout_s
    overdue = now_s >= trial.ready_s + TRIAL_WAIT_S
    if overdue or gap_s >= min(TRIAL_S, trial.timeout_s):
        return min(max(gap_s, TRIAL_S), trial.timeout_s)
    return 0.0
