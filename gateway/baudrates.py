"""Which baud rate to listen at next, where it is to be found out: the rule, without I/O.

A candidate is listened to until good frames prove it, or until it has had its chance: LISTEN_S,
BYTES of garbage, or REQUESTS without an answer. The rate that was found stays, over silences and
reopenings, until BYTES of garbage and nothing else have come for DOUBT_S; then all candidates have
their chance again.

Times are seconds of one monotonic clock.
"""

from collections.abc import Sequence
from typing import Final

COMMON: Final = (9600, 115_200, 19_200, 4800, 38_400, 57_600, 2400, 1200)
"""The most usual first."""

LISTEN_S: Final = 12.0
"""Meters speak every 10 s."""
BYTES: Final = 8192
"""More than two of the longest telegrams (DSMR, 3 kB)."""
REQUESTS: Final = 4
DOUBT_S: Final = 60.0


class BaudrateSearch:
    """The rate of one line. What happens there is told, and answered with when to give it up."""

    def __init__(self, candidates: Sequence[int]) -> None:
        self._candidates = candidates
        self._index = 0
        self.is_found = False
        self._since_s = 0.0
        """The opening of the line, or the last proof."""
        self._proofs = 0
        self._bytes = 0
        self._requests = 0

    @property
    def rate(self) -> int:
        """Where to listen."""
        return self._candidates[self._index]

    def opened(self, now_s: float, proofs: int) -> float | None:
        """The line is open; `proofs` is how many good frames there were in all.

        This and the next two return the time to go on to the next rate; None: not at all.
        """
        self._begin(now_s, proofs)
        return self._end_s(now_s)

    def heard(self, now_s: float, size: int, proofs: int) -> float | None:
        """So many bytes came, and are decoded."""
        self._bytes += size
        if proofs > self._proofs:
            self.is_found = True
            self._begin(now_s, proofs)
        return self._end_s(now_s)

    def asked(self, now_s: float) -> float | None:
        """A request is about to be sent."""
        self._requests += 1
        return self._end_s(now_s)

    def give_up(self) -> None:
        """It is not this one."""
        self._index = (self._index + 1) % len(self._candidates)
        self.is_found = False

    def _begin(self, now_s: float, proofs: int) -> None:
        self._since_s = now_s
        self._proofs = proofs
        self._bytes = 0
        self._requests = 0

    def _end_s(self, now_s: float) -> float | None:
        if self.is_found:
            return self._since_s + DOUBT_S if self._bytes >= BYTES else None
        if self._bytes >= BYTES or self._requests > REQUESTS:
            return now_s
        return self._since_s + LISTEN_S
