"""Whether somebody answers, and when it is worth the time to ask.

Who has missed MISSES_MAX times running rests, each time twice as long, up to REST_MAX_S; the first
answer makes it all good. Used for devices, and for blocks that a device leaves unanswered.
"""

from math import inf
from typing import Final

MISSES_MAX: Final = 3
REST_MIN_S: Final = 2.0
REST_MAX_S: Final = 60.0
REFUSED_REST_S: Final = 600.0
"""A device may refuse everything while it starts, so what it refuses is asked for again."""


class Standing:
    """What is known of one who is asked."""

    def __init__(self) -> None:
        self.misses = 0
        self.rest_s = 0.0
        self.until_s = -inf
        """Do not ask before."""

    @property
    def rests(self) -> bool:
        return self.rest_s > 0.0

    @property
    def is_refused(self) -> bool:
        return self.rest_s == REFUSED_REST_S

    def answered(self) -> None:
        self.misses = 0
        self.rest_s = 0.0
        self.until_s = -inf

    def missed(self, now_s: float) -> None:
        self.misses += 1
        if self.misses >= MISSES_MAX:
            self._rest(now_s, min(2 * self.rest_s or REST_MIN_S, REST_MAX_S))

    def refused(self, now_s: float) -> None:
        """It does not exist, for all that is known."""
        self._rest(now_s, REFUSED_REST_S)

    def _rest(self, now_s: float, rest_s: float) -> None:
        self.rest_s = rest_s
        self.until_s = now_s + rest_s
