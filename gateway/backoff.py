"""How long to wait before trying again: exponential, with full jitter.

The n-th delay is drawn evenly from 0 to `first_s * 2**n`, at most `max_s`: clients that failed
together spread out instead of coming back together. The random source is a parameter, so a
simulation repeats itself.
"""

from typing import Protocol


class RandomSource(Protocol):
    """`random.Random` is one."""

    def uniform(self, a: float, b: float, /) -> float:
        """A number from `a` to `b`."""


class Backoff:
    """Delays in seconds, growing until `reset`."""

    def __init__(self, first_s: float, max_s: float, rng: RandomSource) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._rng = rng
        self._ceiling_s = first_s

    def next_s(self) -> float:
        """The next delay; the one after is drawn from twice the range."""
        ceiling_s = min(self._ceiling_s, self._max_s)
        self._ceiling_s = ceiling_s * 2.0
        return self._rng.uniform(0.0, ceiling_s)

    def reset(self) -> None:
        """It worked: start small again."""
        self._ceiling_s = self._first_s
