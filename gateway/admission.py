"""Who may bring how much: shares of the memory in front of the disk, and of the store behind it.

Memory is shared fairly: what is not on disk yet takes at most `bytes_max`, and each source at most
as much as it leaves free. So one that floods us gets half, the next one half of the rest, and those
that bring little never meet the bound. A source beyond its share pauses, or where it cannot, its
observations are shed.

Nor does a flood fill the disk for all. While the last eighth of the store's limit fills, sources
are stopped one by one, those first that bring most; all are stopped at the limit only. A stopped
source does what its `WhenFull` says. When the disk itself is full, those that can wait stay away,
and the others are shed. It all goes on by itself once there is room.
"""

import logging
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.ledger import Account
from gateway.model import Reason

log = logging.getLogger(__name__)

RELIEF = -0.5
"""Stopped sources go on when the store's pressure is so low again."""

FADING = 0.9
"""How much of what a source brought counts after another commit, while there is ample room."""


class WhenFull(StrEnum):
    """What a source does when the store has reached its limit."""

    BLOCK = "block"
    """Stay away, and let the broker keep what comes; whoever cannot wait is shed."""
    DROP_NEWEST = "drop_newest"
    """What it brings is shed."""
    DROP_OLDEST = "drop_oldest"
    """What it brings is taken, and the oldest of what such sources brought is evicted."""


class Valve(Protocol):
    """A source that can wait."""

    def pause(self) -> None:
        """Bring nothing for a moment, without going away."""

    def resume(self) -> None: ...

    def leave(self, why: str) -> None:
        """Go away, and do not come back before `Committer.ready`."""


@dataclass(slots=True, eq=False)
class Inlet:
    """One source's way in."""

    account: Account
    when_full: WhenFull = WhenFull.BLOCK
    valve: Valve | None = None
    """None: it cannot wait."""
    size: int = 0
    """Bytes of its observations that are not on disk yet."""
    recent: float = 0.0
    """Bytes that it brought lately."""
    paused: bool = False
    stopped: bool = False
    """There is no room for it in the store."""


class Admission:
    """All sources' ways in."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._inlets: list[Inlet] = []
        self._uncommitted = 0
        self._disk_is_full = False

    @property
    def has_room(self) -> bool:
        """Whether every source may bring what it has."""
        return not (self._disk_is_full or any(inlet.stopped for inlet in self._inlets))

    def inlet(self, account: Account, when_full: WhenFull, valve: Valve | None = None) -> Inlet:
        """A new source's way in."""
        made = Inlet(account, when_full, valve)
        self._inlets.append(made)
        return made

    def blocks(self, inlet: Inlet) -> bool:
        """Whether the source is to stay away."""
        if inlet.valve is None:
            return False
        return self._disk_is_full or (inlet.stopped and inlet.when_full is WhenFull.BLOCK)

    def refusal(self, inlet: Inlet) -> Reason | None:
        """Why the source's observations cannot be taken now, if they cannot."""
        if self._disk_is_full or (inlet.stopped and inlet.when_full is not WhenFull.DROP_OLDEST):
            return Reason.SPOOL_FULL
        if inlet.valve is None and self._is_beyond_its_share(inlet):
            return Reason.DISK_SLOW
        return None

    def take(self, inlet: Inlet, size: int) -> None:
        """So many bytes of the source wait for the disk now."""
        inlet.size += size
        self._uncommitted += size
        if inlet.valve is not None and not inlet.paused and self._is_beyond_its_share(inlet):
            inlet.paused = True
            inlet.valve.pause()

    def give_back(self, inlet: Inlet, size: int) -> None:
        """They are on disk."""
        inlet.size -= size
        inlet.recent += size
        self._uncommitted -= size

    def yield_to(self, pressure: float, problem: str) -> str:
        """Stop as many sources as the store's pressure asks for, or let them go on.

        Returns what keeps sources away, in words: `problem` or nothing.
        """
        had_room = self.has_room
        self._disk_is_full = pressure == math.inf
        if pressure <= RELIEF:
            for inlet in self._inlets:
                inlet.stopped = False
                inlet.recent *= FADING
        elif 0 < pressure < math.inf:
            self._stop_the_largest(pressure)
        if had_room and not self.has_room:
            log.warning("no room: %s", problem)
        elif self.has_room and not had_room:
            log.info("there is room again")
        for inlet in self._inlets:
            if inlet.valve is not None and self.blocks(inlet):
                inlet.valve.leave(problem)
            elif inlet.valve is not None and inlet.paused and not self._is_beyond_its_share(inlet):
                inlet.paused = False
                inlet.valve.resume()
        return "" if self.has_room else problem

    def _stop_the_largest(self, pressure: float) -> None:
        """The sources that bring most, as many as bring that part of everything."""
        goal = pressure * sum(inlet.recent for inlet in self._inlets)
        for inlet in sorted(self._inlets, key=lambda inlet: inlet.recent, reverse=True):
            if goal <= 0 and pressure < 1:
                return
            if not inlet.stopped:
                log.warning("%s is stopped: the store is nearly full", inlet.account.source)
            inlet.stopped = True
            goal -= inlet.recent

    def _is_beyond_its_share(self, inlet: Inlet) -> bool:
        """Never one that has nothing there, though a large message of others takes all."""
        return inlet.size > max(self._bytes_max - self._uncommitted, 0)
