"""Devices that speak when asked: one request after the other on a line, and what became of each.

    Asker --Request--> write ... receive --frames--> Asker     answered, an exception, or given up

The decoder says what is asked and when (`gateway.asking.Asker`); here are the waiting and the
counting. Before each request the line is left silent for GAP_CHARACTERS, as Modbus demands and
everybody else bears; what has come until then is no part of the answer, nor the beginning of one.
On a line where every character takes its time, waiting for an answer ends once it would have
arrived; or earlier, when what has come is none and is followed by silence: a damaged answer costs
the others little.
"""

import asyncio
from collections.abc import Callable
from typing import Final, NoReturn, Protocol

from gateway.asking import Asker, Poll, Request, Write
from gateway.ledger import Account

GAP_CHARACTERS: Final = 3.5
"""Modbus over serial line V1.02, 2.5.1.1: what ends a frame."""

GAP_MIN_S: Final = 0.00175
"""Ibid.: above 19,200 baud the gap does not shrink any more."""

SPOILT_BYTES: Final = 4
"""So many bytes that are no frame are more than a glitch of the line before the answer."""

QUIET_S: Final = 0.1
QUIET_CHARACTERS: Final = 20
"""No answer pauses for so long; drivers and adapters hold characters back for 20 ms."""


class Port(Protocol):
    """A byte stream; each `run` opens it anew, and raises when it ends."""

    async def run(
        self, opened: Callable[[Write], None], receive: Callable[[bytes], None]
    ) -> NoReturn:
        """Hand a way to write to `opened`, then every chunk to `receive`."""


class Poller:
    """Asks the devices of one line, in the order that the decoder says."""

    def __init__(
        self, account: Account, asker: Asker, flush: Callable[[], None], *, character_s: float
    ) -> None:
        """Ask what `asker` says.

        Args:
            account: the source's.
            asker: the source's decoder.
            flush: gives up what the framer still waits for.
            character_s: how long one character takes on the line.
        """
        self._account = account
        self._asker = asker
        self._flush = flush
        self.character_s = character_s
        """It may change from one opening of the line to the next."""
        self._loop = asyncio.get_running_loop()
        self._heard = asyncio.Event()
        self._quiet_since_s = 0.0

    def problems(self) -> list[str]:
        """What is wrong though the line is there."""
        return list(self._asker.problems())

    def received(self) -> None:
        """Bytes came, and went through the pipeline."""
        self._quiet_since_s = self._loop.time()
        self._heard.set()

    async def run(self, write: Write) -> NoReturn:
        """Ask for ever, from the opening of the line to its end."""
        self._quiet_since_s = self._loop.time()
        self._asker.begin(self._loop.time())
        while True:
            await self._keep_gap()
            request = self._asker.ask(self._loop.time())
            if isinstance(request, Request):
                await self._exchange(request, write)
            else:
                await asyncio.sleep(max(request - self._loop.time(), 0.0))

    async def _keep_gap(self) -> None:
        """Wait until nothing was heard for long enough, but not for a device that babbles."""
        gap_s = max(GAP_CHARACTERS * self.character_s, GAP_MIN_S)
        patience_s = self._loop.time() + 20 * gap_s
        while (wait_s := self._quiet_since_s + gap_s - self._loop.time()) > 0:
            if self._loop.time() > patience_s:
                return
            await asyncio.sleep(wait_s)

    async def _exchange(self, request: Request, write: Write) -> None:
        if self._account.bytes_buffered:
            self._flush()
        write(request.data)
        sent_s = len(request.data) * self.character_s
        if not request.answer_size:
            self._quiet_since_s = self._loop.time() + sent_s
            return
        account = self._account
        account.polls += 1
        account.outstanding += 1
        self._heard.clear()
        heard = False
        spoilt = account.bytes_noise, account.malformed
        try:
            async with asyncio.timeout(
                sent_s + request.answer_size * self.character_s + request.timeout_s
            ):
                while self._asker.outcome() is None:
                    async with asyncio.timeout(self._patience_s(spoilt)):
                        await self._heard.wait()
                    self._heard.clear()
                    heard = True
        except TimeoutError:
            self._flush()
        finally:
            self._settle(self._asker.outcome(), heard=heard or self._heard.is_set())

    def _patience_s(self, spoilt: tuple[int, int]) -> float | None:
        """How long to wait for more: not long where what came since the request is no answer.

        A network may pause where it likes, so this is for lines with characters only.
        """
        account = self._account
        wasted = account.bytes_noise - spoilt[0] + account.bytes_buffered
        is_spoilt = wasted >= SPOILT_BYTES or account.malformed > spoilt[1]
        if not (is_spoilt and self.character_s):
            return None
        return max(QUIET_S, QUIET_CHARACTERS * self.character_s)

    def _settle(self, poll: Poll | None, *, heard: bool) -> None:
        """Count what became of the request, the end of the line included."""
        account = self._account
        settled = poll or (Poll.INVALID if heard else Poll.TIMEOUT)
        counter = _COUNTERS[settled]
        account.outstanding -= 1
        setattr(account, counter, getattr(account, counter) + 1)
        if poll is None:
            self._asker.give_up(self._loop.time(), settled)


_COUNTERS: Final = {
    Poll.ANSWERED: "answered",
    Poll.EXCEPTION: "exceptions",
    Poll.TIMEOUT: "timeouts",
    Poll.INVALID: "invalid",
}
