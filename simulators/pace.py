"""The players' clock: sleeping until an instant, and being woken when everything ends.

One timer per sleeper and no task, because a thousand devices sleep all the time. Stopping wakes all
sleepers at once, so that each can finish its line, which cancelling would cut.
"""

import asyncio
import time


class Pace:
    """The event loop's clock, with an end."""

    def __init__(self) -> None:
        """Start in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._sleepers: set[asyncio.Future[None]] = set()
        self._stopping = False

    @property
    def stopping(self) -> bool:
        """Whether players are to come to an end."""
        return self._stopping

    def now(self) -> float:
        """Return the loop's time in seconds."""
        return self._loop.time()

    def wall(self) -> float:
        """Return seconds since 1970, for the record."""
        return time.time_ns() / 1e9

    def stop(self) -> None:
        """Wake all sleepers, now and from now on."""
        self._stopping = True
        for sleeper in self._sleepers:
            _wake(sleeper)

    async def until(self, when: float) -> bool:
        """Sleep until an instant; return false if the players are to come to an end."""
        if self._stopping:
            return False
        if when <= self.now():
            return True
        sleeper: asyncio.Future[None] = self._loop.create_future()
        timer = self._loop.call_at(when, _wake, sleeper)
        self._sleepers.add(sleeper)
        try:
            await sleeper
        finally:
            timer.cancel()
            self._sleepers.discard(sleeper)
        return not self._stopping


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
