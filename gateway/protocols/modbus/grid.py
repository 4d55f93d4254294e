"""The instants at which a device is due: a fixed grid, so that lateness never adds up.

A beat that comes late moves nothing, but those that fall into the half interval behind it are
skipped, and counted: so a line that was busy, or has too much to do, finds back to the grid at once
instead of hurrying from one late beat to the next.
"""

from math import floor
from typing import Final, NamedTuple

WINDOW_S: Final = 60.0
"""Skipped beats are worth a word for so long, at most for twice as long."""


class Beats(NamedTuple):
    """How many there were, and how many of them were skipped."""

    total: int = 0
    skipped: int = 0


class Grid:
    """The beats of one device."""

    def __init__(self, interval_s: float, phase_s: float) -> None:
        self.interval_s = interval_s
        self.due_s = 0.0
        self._phase_s = phase_s
        self._base_s = 0.0
        self._beat = 0
        self._window_s = 0.0
        self._now = self._before = Beats()

    def begin(self, now_s: float) -> None:
        """Start anew."""
        self.due_s = self._base_s = now_s + self._phase_s
        self._beat = 0

    def advance(self, begun_s: float, *, counted: bool) -> None:
        """The beat that was due is over; it was begun then."""
        beat = floor((begun_s - self._base_s) / self.interval_s + 0.5) + 1
        if begun_s - self._window_s > WINDOW_S:
            self._window_s, self._before, self._now = begun_s, self._now, Beats()
        if counted:
            total, skipped = self._now
            over = beat - self._beat
            self._now = Beats(total + over, skipped + over - 1)
        self._beat = beat
        self.due_s = self._base_s + beat * self.interval_s

    def recent(self) -> Beats:
        """Those of the last minute or two."""
        return Beats(*map(sum, zip(self._now, self._before, strict=True)))
