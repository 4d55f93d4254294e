"""One device's whole life as a lazy sequence of steps, with the faults worked in.

A script is a pure function of the device, the plan and the generator. Its instants are nominal: a
player may be late, wait for a reader or stop early, and the bytes stay the same.

Steps of one script never go back in time, except that a delayed one leaves those after it overdue;
players send overdue steps at once, in order. A reading belongs to the step that holds its last
byte.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

from simulators import faults as wrong
from simulators.devices import Device, Item, Values
from simulators.faults import HEALTHY, Fault, Faults

PIECE_S = 0.03  # pause between the pieces of a split line: longer than any driver's own buffering


@dataclass(frozen=True, slots=True)
class Sent:
    """A reading on its way; `damaged` names the fault that may keep it from arriving."""

    sequence: int
    values: Values
    damaged: str = ""
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Step:
    """Bytes for the wire at a nominal instant; then the port is gone for `away_s`."""

    at: float
    data: bytes
    topic: str = ""
    sent: tuple[Sent, ...] = ()
    faults: tuple[Fault, ...] = ()
    away_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """When a device speaks: every `interval_s`, up to `jitter_s` late, for ever if not counted."""

    interval_s: float
    jitter_s: float = 0.0
    readings: int | None = None
    faults: Faults = HEALTHY
    serial: bool = True


class Script:
    """The steps of one device; iterate once."""

    def __init__(self, device: Device, plan: Plan, rng: random.Random) -> None:
        """Prepare to run one device by one plan."""
        self._device = device
        self._plan = plan
        self._rng = rng
        self._rates = plan.faults.rates()
        self._end = b"\r\n" if plan.serial else b""
        self._held: Step | None = None
        self._pending: tuple[
            Fault, ...
        ] = ()  # faults of the schedule, counted with the next reading
        self._burst = 0
        self._base = rng.uniform(0.0, plan.interval_s)
        self._silence_at = plan.faults.silence.after(self._base, rng)
        self._unplug_at = plan.faults.unplug.after(self._base, rng)

    def __iter__(self) -> Iterator[Step]:
        """Yield every step, for ever if the plan knows no number of readings."""
        plan = self._plan
        yield from self._boot(self._base)
        for sequence in count(1) if plan.readings is None else range(1, plan.readings + 1):
            self._fall_silent()
            at = self._base + self._rng.uniform(0.0, plan.jitter_s)
            if self._base >= self._unplug_at:
                yield from self._outage(sequence, at)
                continue
            for item in self._device.emit(sequence, at):
                yield from self._item(item, sequence, at)
            self._base += self._interval()
        yield from self._flush()

    def _fall_silent(self) -> None:
        if self._base >= self._silence_at:
            self._base += self._plan.faults.silence.lasts_s
            self._silence_at = self._plan.faults.silence.after(self._base, self._rng)
            self._pending += (Fault.SILENCE,)

    def _interval(self) -> float:
        if self._burst > 0:
            self._burst -= 1
        elif self._happens(Fault.BURST):
            self._burst = self._rng.randint(wrong.BURST_MIN, wrong.BURST_MAX)
            self._pending += (Fault.BURST,)
        return 0.0 if self._burst else self._plan.interval_s

    def _outage(self, sequence: int, at: float) -> Iterator[Step]:
        """Cut a line short by the loss of the port, and start again when it is back."""
        yield from self._flush()
        item = self._device.emit(sequence, at)[-1]
        self._device.reset()
        lost = Sent(sequence, item.values, Fault.UNPLUG)
        away_s = self._plan.faults.unplug.lasts_s
        data = wrong.cut(item.data, self._rng)
        yield Step(at, data, item.topic, (lost,), (*self._take(), Fault.UNPLUG), away_s)
        self._base += away_s
        self._unplug_at = self._plan.faults.unplug.after(self._base, self._rng)
        yield from self._boot(self._base)

    def _take(self) -> tuple[Fault, ...]:
        pending, self._pending = self._pending, ()
        return pending

    def _happens(self, fault: Fault) -> bool:
        rate = self._rates.get(fault, 0.0)
        return rate > 0.0 and self._rng.random() < rate

    def _boot(self, at: float) -> Iterator[Step]:
        if self._plan.faults.boot:
            yield Step(at, wrong.boot(self._rng), faults=(Fault.BOOT,))

    def _item(self, item: Item, sequence: int, at: float) -> Iterator[Step]:
        kinds = self._take()
        sent = (Sent(sequence, item.values),) if item.values else ()
        if not self._rates:
            yield Step(at, item.data, item.topic, sent, kinds)
            return
        if self._happens(Fault.DELAY):
            at += self._rng.uniform(0.5, 2.0) * self._plan.interval_s
            kinds += (Fault.DELAY,)
        for fault, noise in ((Fault.GARBAGE, wrong.garbage), (Fault.BABBLE, wrong.babble)):
            if self._happens(fault):
                yield Step(at, noise(self._rng) + self._end, item.topic, faults=(fault,))
        step = Step(at, item.data, item.topic, sent, kinds)
        if sent:
            step = self._damaged(step, sent[0])
        yield from self._written(step)

    def _damaged(self, step: Step, sent: Sent) -> Step:
        for fault, damage in wrong.DAMAGES.items():
            if self._happens(fault):
                sent = replace(sent, damaged=fault)
                return replace(
                    step,
                    data=damage(step.data, self._rng),
                    sent=(sent,),
                    faults=(*step.faults, fault),
                )
        if self._happens(Fault.DUPLICATE):
            data = step.data * 2 if self._plan.serial else step.data
            sent = replace(sent, copies=2)
            return replace(step, data=data, sent=(sent,), faults=(*step.faults, Fault.DUPLICATE))
        return step

    def _written(self, step: Step) -> Iterator[Step]:
        """Yield the step in one write, in several, together with the one before, or twice."""
        if self._held is not None:
            held, self._held = self._held, None
            data = held.data + step.data
            yield replace(
                step, data=data, sent=held.sent + step.sent, faults=held.faults + step.faults
            )
        elif self._happens(Fault.MERGE):
            self._held = replace(step, faults=(*step.faults, Fault.MERGE))
        elif self._happens(Fault.SPLIT):
            yield from self._pieces(step)
        else:
            yield step
        if not self._plan.serial and Fault.DUPLICATE in step.faults:
            yield replace(step, sent=(), faults=())

    def _pieces(self, step: Step) -> Iterator[Step]:
        pieces = wrong.split(step.data, self._rng)
        for index, piece in enumerate(pieces[:-1]):
            yield Step(step.at + index * PIECE_S, piece, step.topic)
        at = step.at + (len(pieces) - 1) * PIECE_S
        yield replace(step, at=at, data=pieces[-1], faults=(*step.faults, Fault.SPLIT))

    def _flush(self) -> Iterator[Step]:
        if self._held is not None:
            yield self._held
            self._held = None
