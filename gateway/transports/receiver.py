"""What all byte streams share: chunks go on at once, and there is one reason why it ended.

A transport feeds a `Receiver` from the event loop's callbacks and waits in `end`. What `receive`
raises ends the stream too: a callback could only log it.
"""

import asyncio
from collections.abc import Callable

from gateway.asking import Write
from gateway.errors import TransportError

Opened = Callable[[Write], None]
Receive = Callable[[bytes], None]

READ_BYTES = 4096
"""Read at most so much before other sources have their turn, as the kernel does for terminals."""

UNSENT_BYTES_MAX = 64 * 1024
"""Requests are short and wait for their answers: so many bytes wait for one that takes nothing."""


class Receiver:
    """Hands chunks on, and knows why they ended."""

    def __init__(self, where: str, receive: Receive) -> None:
        self._where = where
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._heard_at_s = self._loop.time()
        self.ended: asyncio.Future[BaseException] = self._loop.create_future()
        """Done at the end; the result says why."""
        self._failure = Forward(self.end_with)

    def data_received(self, data: bytes) -> None:
        self._heard_at_s = self._loop.time()
        with self._failure:
            self._receive(data)

    def lose(self, words: str) -> None:
        """It ended, for the reason in words."""
        self.end_with(TransportError(f"{self._where}: {words}"))

    def end_with(self, exc: BaseException) -> None:
        """It ended; the first reason counts."""
        if not self.ended.done():
            self.ended.set_result(exc)

    async def end(self, silence_timeout_s: float | None) -> BaseException:
        """Wait for the end, or for too long a silence; returns what to raise."""
        timeout = silence_timeout_s
        while True:
            ended, _ = await asyncio.wait((self.ended,), timeout=timeout)
            if ended or silence_timeout_s is None:
                return self.ended.result()
            timeout = self._heard_at_s + silence_timeout_s - self._loop.time()
            if timeout <= 0:
                return TransportError(f"{self._where}: silent for {silence_timeout_s:g} s")


class Forward:
    """Hands what its block raises to the one who waits: a callback and a thread can only log it."""

    def __init__(self, to: Callable[[BaseException], None]) -> None:
        self._to = to

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, exc: BaseException | None, _traceback: object) -> bool:
        if exc is not None:
            self._to(exc)
        return exc is not None
