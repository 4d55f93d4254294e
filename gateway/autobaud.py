"""A line whose baud rate is found by listening: opened at one rate after the other.

    BaudrateSearch (which rate, how long) --> port at that rate --> frames that prove it, or not

What comes at a wrong rate goes through the pipeline as well, and ends as noise. Opening a port anew
may restart the board behind it: it is done where `baudrate = "auto"` asks for it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn

from gateway.asking import Write
from gateway.baudrates import BaudrateSearch
from gateway.ledger import Account
from gateway.polling import Port

log = logging.getLogger(__name__)


class Autobaud:
    """Finds the rate of one line, and keeps to it."""

    def __init__(
        self,
        account: Account,
        search: BaudrateSearch,
        ports: Mapping[int, Port],
        listen: Callable[[Port, int], Awaitable[None]],
    ) -> None:
        """Listen as `search` says.

        Args:
            account: the source's; its good frames are the proof.
            search: the rule.
            ports: the port at each rate.
            listen: one opening of a port at a rate, until it ends.
        """
        self._account = account
        self._search = search
        self._ports = ports
        self._listen = listen

    def problems(self) -> list[str]:
        """What is wrong though the line is there."""
        if self._search.is_found or not self._account.connected:
            return []
        return [f"no valid frame yet: listening at {self._search.rate} baud"]

    async def run(self) -> None:
        """Listen until the port fails. Raises what ends it."""
        while True:
            rate = self._search.rate
            try:
                async with asyncio.timeout(None) as chance:
                    port = _Watched(self._ports[rate], self._account, self._search, chance)
                    await self._listen(port, rate)
            except TimeoutError:
                if not chance.expired():
                    raise
                self._account.detail = ""
                self._search.give_up()


class _Watched:
    """A port, and whether what it brings proves its rate."""

    def __init__(
        self, port: Port, account: Account, search: BaudrateSearch, chance: asyncio.Timeout
    ) -> None:
        self._port = port
        self._account = account
        self._search = search
        self._chance = chance
        self._loop = asyncio.get_running_loop()

    async def run(
        self, opened: Callable[[Write], None], receive: Callable[[bytes], None]
    ) -> NoReturn:
        search = self._search

        def watch_opened(write: Write) -> None:
            def watch_write(data: bytes) -> None:
                self._end_at(search.asked(self._loop.time()))
                write(data)

            self._end_at(search.opened(self._loop.time(), self._proofs()))
            opened(watch_write)

        def watch_receive(data: bytes) -> None:
            receive(data)
            was_found = search.is_found
            self._end_at(search.heard(self._loop.time(), len(data), self._proofs()))
            if search.is_found and not was_found:
                self._account.detail = f"{search.rate} baud, found by listening"
                log.info("%s: %s", self._account.source, self._account.detail)

        await self._port.run(watch_opened, watch_receive)

    def _proofs(self) -> int:
        """Frames that nothing but the right rate can have brought."""
        account = self._account
        return account.decoded + account.state + account.repeated_frames + account.exceptions

    def _end_at(self, when_s: float | None) -> None:
        if not self._chance.expired():
            self._chance.reschedule(when_s)
