"""One daemon thread that runs blocking calls, in order, so that a slow disk never stops the loop.

Strategy: a queue in, `call_soon_threadsafe` out; what a call returns or raises travels back as a
value and is raised where it is awaited. A daemon thread, because the pools of the standard
library are joined when the interpreter ends: a disk that hangs would hang the process for ever.
Limits: the queue is unbounded; whoever awaits every call has at most one in it.
"""

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Generic, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")


class _Outcome(Generic[T]):
    """What a function returned or raised, to be handed from one thread to another."""

    def __init__(self) -> None:
        self._value: T | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> "_Outcome[T]":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._error = error
        return True  # whatever it is, it belongs to whoever awaits the call

    def take(self, value: T) -> None:
        self._value = value

    def unpack(self) -> T:
        if self._error is not None:
            raise self._error
        return cast("T", self._value)


class Worker:
    """A thread of one's own for blocking calls."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._closed = False
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def call(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn` in the thread, after all earlier calls, and return or raise what it does.

        Cancelling the await cancels nothing: a call that is queued or under way runs to its end,
        and only its outcome is dropped.
        """
        if self._closed:
            raise RuntimeError(f"the worker {self._thread.name} is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Outcome[T]] = loop.create_future()

        def job() -> None:
            with _Outcome[T]() as outcome:
                outcome.take(fn(*args, **kwargs))
            _report(loop, future, outcome)

        self._jobs.put(job)
        return (await future).unpack()

    def close(self, timeout_s: float) -> bool:
        """Let the calls made so far finish; False if they do not in time.

        Waits without the event loop, at most `timeout_s`. A call that hangs is left behind; it
        does not keep the process alive.
        """
        self._closed = True
        self._jobs.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        # Nothing of a call stays referenced here while the thread waits for the next one.
        while self._run_next():
            pass

    def _run_next(self) -> bool:
        job = self._jobs.get()
        if job is None:
            return False
        job()
        return True


def _report(
    loop: asyncio.AbstractEventLoop,
    future: "asyncio.Future[_Outcome[T]]",
    outcome: _Outcome[T],
) -> None:
    def resolve() -> None:
        if not future.done():
            future.set_result(outcome)

    try:
        loop.call_soon_threadsafe(resolve)
    except RuntimeError:
        return  # the loop is closed: nobody waits any more
