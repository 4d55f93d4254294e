"""Serial ports: bytes in chunks cut anywhere, noise, and plugs that are pulled.

Nobody keeps what a device says while its port is closed. A line counts as having arrived when all
its bytes, the newline included, were handed to one and the same opening of the port.
"""

import asyncio
from collections.abc import Callable
from typing import NoReturn

from gateway.asking import Write
from gateway.errors import TransportError
from simulators import faults
from tests.simulation.book import Book, Reading
from tests.simulation.process import Process
from tests.simulation.world import World


class Opening:
    """One time that the port was open."""

    def __init__(self, process: Process, receive: Callable[[bytes], None]) -> None:
        self.process = process
        self.receive = receive
        self.ended: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    def end(self, why: Exception) -> None:
        if not self.ended.done():
            self.ended.set_result(why)


class PortSite:
    """A device and its cable."""

    def __init__(self, world: World, book: Book, name: str) -> None:
        self.name = name
        self.plugged = True
        self.opening: Opening | None = None
        self._world, self._book = world, book
        self._rng = world.chance("port", name)
        self._spoken_s = 0.0
        """When the last byte is out: lines do not overtake one another."""

    def say(self, line: bytes, reading: Reading, *, noise: bool = False) -> None:
        """Print a line, in one write or several, after a run of garbage or none."""
        if noise:
            self._write(faults.garbage(self._rng) + b"\n", self._deliver)
        handed_to: set[Opening] = set()
        pieces = faults.split(line, self._rng) if self._rng.random() < 0.3 else [line]
        missed: list[bytes] = []

        def deliver(piece: bytes) -> None:
            opening = self.opening
            if opening is None or not opening.process.alive:
                missed.append(piece)
                return
            handed_to.add(opening)
            if piece is pieces[-1] and not missed and len(handed_to) == 1:
                self._world.note(self.name, "said", reading.number)
                reading.sent_as_new = 1
                opening.process.hear(reading)
                self._book.arrived(reading, opening.process.clock())
            self._hand_over(opening, piece)

        for piece in pieces:
            self._write(piece, deliver)

    def unplug(self) -> None:
        self.plugged = False
        if self.opening is not None:
            self._world.note(self.name, "unplugged")
            self.opening.end(TransportError(f"{self.name}: the device is gone"))
            self.opening = None

    def plug(self) -> None:
        self.plugged = True

    def _write(self, data: bytes, deliver: Callable[[bytes], None]) -> None:
        self._spoken_s = max(self._spoken_s, self._world.now_s()) + self._rng.uniform(0.001, 0.02)
        self._world.later(self._spoken_s - self._world.now_s(), deliver, data)

    def _deliver(self, data: bytes) -> None:
        if self.opening is not None and self.opening.process.alive:
            self._hand_over(self.opening, data)

    def _hand_over(self, opening: Opening, data: bytes) -> None:
        try:
            opening.receive(data)
        except Exception as error:  # noqa: BLE001 -- as asyncio hands it to the transport
            opening.end(error)


def _unheard(_data: bytes) -> None:
    """These devices do not listen."""


class SimulatedPort:
    """What `edges.Port` asks for."""

    def __init__(self, site: PortSite, process: Process) -> None:
        self._site, self._process = site, process

    async def run(
        self, opened: Callable[[Write], None], receive: Callable[[bytes], None]
    ) -> NoReturn:
        site = self._site
        await asyncio.sleep(self._process.rng.uniform(0.001, 0.05))
        if not site.plugged:
            raise TransportError(f"{site.name}: no such port")
        opening = site.opening = Opening(self._process, receive)
        try:
            opened(_unheard)
            raise await opening.ended
        finally:
            if site.opening is opening:
                site.opening = None
