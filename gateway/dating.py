"""Giving a time to what arrived before there was one.

While the clock is not trusted (`gateway.clock`) observations are committed as they are, with the
time since the machine's start, and the store holds them. Once the clock is trusted the start has a
date, and the store releases them with their times, part by part, between commits; so also those
that an earlier process left behind. What an earlier run of the machine left never gets a time.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from gateway.backoff import Backoff
from gateway.clock import SystemClock
from gateway.committer import Worker
from gateway.errors import StoreError
from gateway.model import Store
from gateway.series import SeriesRegistry

log = logging.getLogger(__name__)


class Dating:
    """Watches the clock, then the store."""

    def __init__(
        self,
        clock: SystemClock,
        store: Store[Any],
        worker: Worker,
        registry: SeriesRegistry,
        *,
        backoff: Backoff,
        released: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._store = store
        self._worker = worker
        self._registry = registry
        self._backoff = backoff
        self._released = released
        self._committed = asyncio.Event()
        self._committed.set()
        self._disk_problem = ""

    @property
    def problem(self) -> str:
        """Why readings have no time yet, in words for the operator; empty where all have one."""
        if self._clock.problem:
            return f"{self._clock.problem}: {self._store.held()} readings wait for their time"
        return self._disk_problem

    def notify(self) -> None:
        """Something was committed: some of it may have arrived while there was no time."""
        self._committed.set()

    async def run(self) -> None:
        """Release whatever is held, from when the clock is trusted until cancelled."""
        offset_ns = await self._clock.watch()
        self._registry.date(offset_ns)
        await self._release(offset_ns)  # whatever the count says: it may be damaged
        while True:
            await self._committed.wait()
            self._committed.clear()
            if self._store.held():
                await self._release(offset_ns)

    async def _release(self, offset_ns: int) -> None:
        if held := self._store.held():
            log.info("%d readings that waited for it get their time", held)
        while not await self._release_some(offset_ns) or self._store.held():
            pass

    async def _release_some(self, offset_ns: int) -> bool:
        try:
            await self._worker.call(self._store.release, offset_ns)
        except StoreError as error:
            if not self._disk_problem:
                log.warning("the store fails, trying again: %s", error)
            self._disk_problem = str(error)
            await asyncio.sleep(self._backoff.next_s())
            return False
        self._disk_problem = ""
        self._backoff.reset()
        self._released()
        return True
