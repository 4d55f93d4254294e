"""An asyncio event loop whose clock jumps: hours of waiting take no time, and repeat exactly.

    virtual_time.run(main())        as asyncio.run, on a clock of its own that starts at 0

Whenever nothing is ready, the clock jumps to the next timer. Timers of one instant fire in the
order in which they were set, so a program without other sources of chance does the same each time.
There are no sockets, threads or processes; whoever asks for one gets NotImplementedError.

Waiting that can never end is an error here: `DeadlockError` when nothing is ready and no timer is
set, `LivelockError` when ROUNDS_MAX rounds pass at one instant.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from heapq import heappop, heappush
from typing import Any, NoReturn, TypeVar, TypeVarTuple

ROUNDS_MAX = 100_000

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class DeadlockError(RuntimeError):
    """Everybody waits for somebody else."""


class LivelockError(RuntimeError):
    """Something goes on and on while no time passes."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a program from beginning to end; returns what it returns."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class VirtualLoop(asyncio.BaseEventLoop):
    """asyncio's own loop but for its clock and its selector."""

    _ready: deque[asyncio.Handle]
    _stopping: bool

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timers_set = 0
        self._rounds = 0
        """At the present instant."""

    def time(self) -> float:
        return self._now_s

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers_set += 1
        heappush(self._timers, (when, self._timers_set, timer))
        return timer

    def call_soon_threadsafe(self, *_: object, **__: object) -> NoReturn:
        raise NotImplementedError("there are no threads in virtual time")

    run_in_executor = call_soon_threadsafe

    def _run_once(self) -> None:
        """What asyncio's loop repeats: let time pass, then call everything that is ready."""
        ready = self._ready
        self._pass_time(may_jump=not ready and not self._stopping)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()  # noqa: SLF001 -- as every event loop does

    def _pass_time(self, *, may_jump: bool) -> None:
        """Make ready what is due; where nothing else is to be done, go to the next timer."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heappop(timers)
        if may_jump and not timers:
            raise DeadlockError(
                f"at {self._now_s:.6f} s nothing is ready and no timer is set:"
                " everybody waits for somebody else"
            )
        if may_jump and timers[0][0] > self._now_s:
            self._now_s = timers[0][0]
            self._rounds = 0
        self._rounds += 1
        if self._rounds > ROUNDS_MAX:
            self._rounds = 0  # the tasks are about to be cancelled, which takes some too
            raise LivelockError(f"{ROUNDS_MAX} rounds at {self._now_s:.6f} s, and no end of it")
        while timers and timers[0][0] <= self._now_s:
            self._ready.append(heappop(timers)[2])

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nobody counts them: they fall out of the heap when their time comes."""
