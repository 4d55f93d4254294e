"""A serial device on a real pseudo-terminal, and a reader of it."""

import asyncio
import io
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from simulators.pace import Pace
from simulators.pty import Line, Port, SerialPlayer
from simulators.script import Step
from simulators.tally import Tally

FAST = Line(baudrate=4_000_000, settle_s=0.0)
PATIENCE_S = 3.0
LOOK_S = 0.002


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so, but not for ever."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - the kernel rings no bell here
            await asyncio.sleep(LOOK_S)


class Recorded(NamedTuple):
    """One line of the record."""

    sequence: int
    fault: str
    copies: int


class Rig:
    """One port with its player, and the record of what it sent."""

    def __init__(self, link: Path, line: Line = FAST) -> None:
        self.pace = Pace()
        self.port = Port(link)
        self.port.plug()
        self._record = io.StringIO()
        self._tally = Tally(self._record)
        self.account = self._tally.open("serial", "test")
        self._player = SerialPlayer(self.port, line, self.pace, self._tally, self.account)

    async def play(self, steps: Iterable[Step]) -> None:
        await self._player.play(steps)
        self.port.unplug()

    def linked(self) -> bool:
        return self.port.link.is_symlink()

    def record(self) -> list[Recorded]:
        lines = map(json.loads, self._record.getvalue().splitlines())
        return [
            Recorded(line["sequence"], line.get("fault", ""), line.get("copies", 1))
            for line in lines
        ]

    def whole(self) -> list[int]:
        """The numbers of the readings that have to arrive."""
        return [each.sequence for each in self.record() if not each.fault]


class Reader:
    """Whoever has the port open."""

    def __init__(self, link: Path, *, reading: bool = True) -> None:
        self._fd = os.open(link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.data = b""
        self.hung_up = False
        if reading:
            self.read()

    def read(self) -> None:
        asyncio.get_running_loop().add_reader(self._fd, self._read)

    def write(self, data: bytes) -> int:
        return os.write(self._fd, data)

    def numbers(self) -> list[int]:
        """The numbers in the whole lines `n=...` so far."""
        lines = self.data.split(b"\r\n")[:-1]
        return [int(line[2:]) for line in lines if line.startswith(b"n=") and line[2:].isdigit()]

    def close(self) -> None:
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except OSError:
            data = b""
        self.data += data
        if not data:
            self.hung_up = True
            self.close()
