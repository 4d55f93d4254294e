"""One run of the gateway's process: what it holds of the world is worth nothing once it is dead.

`kill -9` is `revoke`: nothing that the process still does reaches the disk, a broker or InfluxDB;
what was on its way goes on.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import ParamSpec, TypeVar

from gateway.app import Gateway
from gateway.clock import SystemClock
from tests.simulation.book import Reading
from tests.simulation.machine import Machine
from tests.simulation.world import World

P = ParamSpec("P")
T = TypeVar("T")


class Process:
    """Whether it lives, and whom its death concerns."""

    gateway: Gateway | None = None
    """Once it has started."""

    def __init__(self, world: World, machine: Machine, number: int) -> None:
        self.number = number
        self.alive = True
        self.stop = asyncio.Event()
        """SIGTERM."""
        self.died = asyncio.Event()
        self.heard: list[Reading] = []
        self.store_calls = 0
        self.clock = SystemClock(machine)
        self.rng = world.chance("jitter", str(number))
        self._revocations: list[Callable[[], None]] = []

    def started(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def task_done(self, _: asyncio.Task[None]) -> None:
        self.died.set()

    def hear(self, reading: Reading) -> None:
        """Remember what came by a port: nobody says it again."""
        self.heard.append(reading)

    def on_death(self, call: Callable[[], None]) -> None:
        self._revocations.append(call)

    def revoke(self) -> None:
        self.alive = False
        for call in self._revocations:
            call()
        self._revocations.clear()


class SimulatedWorker:
    """Blocking calls, in order, each at an instant of its own; nobody blocks.

    As with the thread that it stands for, a call runs also if nobody waits for it any more. A call
    has its effect between two delays: a process that dies in the second one will never know.
    """

    def __init__(self, process: Process, delays: Callable[[], tuple[float, float]]) -> None:
        self._process = process
        self._delays = delays
        self._loop = asyncio.get_running_loop()
        self._free_s = 0.0

    async def call(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        future: asyncio.Future[T] = self._loop.create_future()
        if self._process.alive:
            self._process.store_calls += 1
            before, after = self._delays()
            effect_s = max(self._free_s, self._loop.time()) + before
            self._free_s = effect_s + after

            def work() -> None:
                if not self._process.alive:
                    return
                try:
                    result = fn(*args, **kwargs)
                except Exception as error:  # noqa: BLE001 -- it belongs to whoever waits
                    self._loop.call_later(after, self._fail, future, error)
                else:
                    self._loop.call_later(after, self._resolve, future, result)

            self._loop.call_at(effect_s, work)
        return await future

    def _resolve(self, future: asyncio.Future[T], result: T) -> None:
        if self._process.alive and not future.done():
            future.set_result(result)

    def _fail(self, future: asyncio.Future[T], error: Exception) -> None:
        if self._process.alive and not future.done():
            future.set_exception(error)


def delays(rng: Random, usual_s: float, slow: Callable[[], float]) -> tuple[float, float]:
    """How long a call takes before and after its effect; `slow` says how bad the disk is now."""
    longest = max(usual_s, slow())
    return rng.uniform(0.0, longest), rng.uniform(0.0, longest)
