"""One device on the bus: when it is due, which blocks it is asked for, and how it stands.

A beat asks for every block, one request each; what they say together is one reading, made when the
last of them is answered. A block that fails costs the others nothing. Where the last one fails, no
frame is left to carry the reading, so one of the answered blocks is asked for once more.

A device that does not answer is asked once per beat, for another block each time, and then rests
(`standing`): what it is tried with then is the beginning of a beat, so that it is back with its
first answer. A refused block is split (`blocks`); what remains refused rests for long.

On a line without numbers an answer that comes too late would pass for that to another block. So
after a miss nothing but the same block is asked for until the answer may have come twice as late.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from gateway.asking import Poll
from gateway.model import Reading
from gateway.protocols.modbus.blocks import Block, Limits, plan, split
from gateway.protocols.modbus.grid import Beats, Grid
from gateway.protocols.modbus.pdu import ILLEGAL_ADDRESS, ILLEGAL_VALUE, TRY_AGAIN, Refusal
from gateway.protocols.modbus.registers import Register
from gateway.protocols.modbus.standing import Standing

BUSY_S: Final = 0.2
"""How long a device that is busy is left alone."""

_WORDS: Final = {
    Poll.TIMEOUT: "no answer",
    Poll.INVALID: "garbage instead of an answer",
    Poll.EXCEPTION: "the gateway cannot reach it",
}


class StationSettings(NamedTuple):
    """What the configuration and the template say of a device."""

    name: str
    address: int
    registers: Sequence[Register]
    limits: Limits
    template: str = ""
    own: frozenset[str] = frozenset()
    """Registers that the configuration names: not to have them is a problem."""
    interval_s: float = 10.0
    timeout_s: float = 0.5
    retries: int = 1
    measurement: str = ""
    tags: Mapping[str, str] = {}


class _Part:
    """A block and how it stands."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.standing = Standing()
        self.problem = ""
        """Why it rests."""


class _Beat:
    """One round of requests."""

    def __init__(self, parts: list[_Part], begun_s: float, *, is_trial: bool) -> None:
        self.pending = parts
        self.begun_s = begun_s
        self.is_trial = is_trial
        """The device rests, and is only tried."""
        self.answered: list[_Part] = []
        self.failed: list[_Part] = []
        self.values: dict[str, float | bool] = {}
        self.tries = 0
        """Of the block that is asked for."""
        self.is_alive = False
        """The device said something, be it that it cannot."""
        self.is_closing = False


class Station:
    """One device, in the hands of the master."""

    def __init__(self, settings: StationSettings, phase_s: float, *, numbered: bool) -> None:
        self.name = settings.name
        self.address = settings.address
        self.timeout_s = settings.timeout_s
        self.standing = Standing()
        self.was_heard = False
        """It rests, but deserves to be asked at once, and to have all of its time."""
        self._settings = settings
        self._numbered = numbered
        self._units = {r.name: r.unit for r in settings.registers if r.unit}
        self._parts = [_Part(block) for block in plan(settings.registers, settings.limits)]
        self._grid = Grid(settings.interval_s, phase_s)
        self._beat: _Beat | None = None
        self._owed: _Part | None = None
        self._hold_s = 0.0
        self._patience_s = 0.0
        self._why = Poll.TIMEOUT
        self._is_late = False

    # ------------------------------------------------------------------ when

    @property
    def ready_s(self) -> float:
        """When it wants to be asked next."""
        if self._beat is not None:
            return 0.0 if self._beat.pending[0] is self._owed else self._hold_s
        if self.was_heard:
            return self._hold_s
        return max(self.standing.until_s if self.standing.rests else self._grid.due_s, self._hold_s)

    @property
    def deadline_s(self) -> float:
        """When what is due now should be over."""
        return self._grid.due_s + self._grid.interval_s

    def begin(self, now_s: float) -> None:
        """The line was opened: whoever rests is tried at once."""
        self._beat = self._owed = None
        self._hold_s = now_s
        self.standing.until_s = min(self.standing.until_s, now_s)
        self._grid.begin(now_s)

    def ask(self, now_s: float, patience_s: float) -> Block:
        """What to ask for now, to be waited for so long."""
        self.was_heard = False
        self._patience_s = patience_s
        if self._beat is None:
            self._beat = _Beat(self._due_parts(now_s), now_s, is_trial=self.standing.rests)
        return self._beat.pending[0].block

    def _due_parts(self, now_s: float) -> list[_Part]:
        """In order; while the device is in doubt, another one goes first each time."""
        resting = [part for part in self._parts if part.standing.rests]
        parts = [part for part in self._parts if not part.standing.rests]
        if resting:
            tried = min(resting, key=lambda part: part.standing.until_s)
            if not parts or tried.standing.until_s <= now_s:
                parts.append(tried)
        first = self.standing.misses % len(parts)
        return parts[first:] + parts[:first]

    # ------------------------------------------------------------------ what became of it

    def heard(self) -> None:
        """It said something when its time was over: one that was only tried is there after all."""
        self._is_late = True
        self.was_heard = self.standing.rests and self._patience_s < self.timeout_s

    def take(self, data: bytes) -> Reading | None:
        """An answer; the reading, if that was the last one of the beat."""
        beat = self._running()
        part = beat.pending.pop(0)
        part.standing.answered()
        beat.values |= part.block.values(data)
        beat.answered.append(part)
        return self._next(beat)

    def refuse(self, refusal: Refusal, now_s: float) -> Reading | None:
        """Likewise for an answer that says that it cannot."""
        beat = self._running()
        part = beat.pending[0]
        if refusal.code in TRY_AGAIN and beat.tries < max(self._settings.retries, 1):
            beat.tries += 1
            self._lives(beat)
            self._owed, self._hold_s = None, now_s + BUSY_S
            return None
        del beat.pending[0]
        if refusal.code in {ILLEGAL_ADDRESS, ILLEGAL_VALUE}:
            self._divide(part, beat, refusal, now_s)
        else:
            part.problem = refusal.words
            beat.failed.append(part)
        return self._next(beat)

    def _divide(self, part: _Part, beat: _Beat, refusal: Refusal, now_s: float) -> None:
        smaller = [_Part(block) for block in split(part.block)]
        if smaller:
            at = self._parts.index(part)
            self._parts[at : at + 1] = smaller
            beat.pending[:0] = smaller
        else:
            part.problem = refusal.words
            part.standing.refused(now_s)

    def _running(self) -> _Beat:
        assert self._beat is not None  # noqa: S101 -- it was asked
        return self._beat

    def _lives(self, beat: _Beat) -> None:
        beat.is_alive = True
        self._is_late = False
        self.standing.answered()

    def _next(self, beat: _Beat) -> Reading | None:
        beat.tries = 0
        self._lives(beat)
        if beat.pending or not beat.values:
            return None
        settings = self._settings
        return Reading(beat.values, self._units, settings.name, settings.measurement, settings.tags)

    def miss(self, now_s: float, poll: Poll) -> None:
        """No answer, or none that can be understood."""
        beat = self._running()
        part = beat.pending[0]
        if not self._numbered:
            self._owed, self._hold_s = part, now_s + self.timeout_s
        self._why = poll
        beat.tries += 1
        if beat.tries <= self._retries(beat, part):
            return
        part.problem = _WORDS[poll]
        beat.tries = 0
        beat.failed.append(beat.pending.pop(0))
        if self.standing.misses and not beat.is_alive:
            beat.pending.clear()
        if not beat.pending and beat.values and not beat.is_closing:
            beat.is_closing = True
            beat.pending.append(beat.answered[0])

    def _retries(self, beat: _Beat, part: _Part) -> int:
        """Who is in doubt is worth one request only, and so is a beat that has its values."""
        device_in_doubt = not beat.is_alive and (self.standing.misses or beat.failed)
        once = device_in_doubt or part.standing.rests or beat.is_closing
        return 0 if once else self._settings.retries

    def settle(self, now_s: float) -> None:
        """If the beat is over: how device and blocks stand, and when the next one is due."""
        beat = self._beat
        if beat is None or beat.pending:
            return
        if beat.is_alive:
            for part in beat.failed:
                part.standing.missed(now_s)
        else:
            self.standing.missed(now_s)
        self._beat = None
        self._grid.advance(beat.begun_s, counted=not (beat.is_trial or beat.failed))

    # ------------------------------------------------------------------ words

    def recent(self) -> Beats:
        """Its beats of the last minute or two."""
        return self._grid.recent()

    def problems(self) -> list[str]:
        """In words for the operator."""
        who = f"{self.name} (address {self.address})"
        if self.standing.rests:
            why = "answers come too late (timeout)" if self._is_late else _WORDS[self._why]
            return [f"{who}: {why}, tried again every {self.standing.rest_s:g} s"]
        resting = [part for part in self._parts if part.standing.rests]
        if len(resting) == len(self._parts):
            template = self._settings.template
            hint = f": is it a {template}?" if template else ""
            return [f"{who}: {resting[0].problem} for every register{hint}"]
        return [
            f"{who}: {part.problem} for {part.block.span}" for part in resting if self._tells(part)
        ]

    def _tells(self, part: _Part) -> bool:
        """Models differ: what one of them does not have is no news where a template asks for it."""
        is_own = any(register.name in self._settings.own for register in part.block.registers)
        return is_own or not part.standing.is_refused
