"""A serial device behind a real pseudo-terminal, paced at the baud rate.

The reader opens a symbolic link with a stable name. The simulator keeps the master and closes its
own end of the slave, so the kernel says (POLLHUP) whether a reader is attached; raw mode survives
that. Bytes appear after the time they take on the wire, ten bits each, in portions of at most 16 ms
as from a USB adapter.

With a reader attached nothing is lost: when the kernel's buffer is full (about 20 kB) this one
device waits, and its later steps move on by as much. Without a reader a device waits for one
(`wait`) or talks to nobody (`lose`). A reader that has just opened the port may still flush its
input, so the device holds back for a moment, like a boot loader. Before the port goes away, unread
bytes get a moment to be read, because a hang-up discards them.

Limits: Linux. Bytes that a reader leaves unread when it closes the port count as sent. A reader
that asks for exclusive use (TIOCEXCL) hides what it hasn't read yet from everyone but root; then
the moment is a fixed one.
"""

import asyncio
import errno
import fcntl
import os
import select
import struct
import termios
import tty
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from simulators.pace import Pace
from simulators.readiness import HEARD_MAX, readable, writable
from simulators.script import Step
from simulators.tally import Account, Tally

BITS_PER_BYTE = 10
PORTION_S = 0.016
LOOK_S = 0.05  # how often a device looks for a reader
DRAIN_S = 2.0
DRAIN_LOOK_S = 0.005
DRAIN_LOOKS = 10


class WhenClosed(StrEnum):
    """What a device does while nobody has its port open."""

    WAIT = "wait"
    LOSE = "lose"


class Outlet(Protocol):
    """The device's end of whatever its reader reads; only `room` and `stirs` ever wait."""

    def plug(self) -> None:
        """Make it exist."""

    def unplug(self) -> None:
        """Make it disappear; harmless where it has."""

    def attached(self) -> bool:
        """Whether there is a reader; what it sent to the device is taken."""

    def heard(self) -> bytes:
        """Return what the reader sent since the last call."""

    def write(self, data: bytes) -> int:
        """Return how many bytes were taken."""

    async def room(self) -> None:
        """Return when bytes can be taken, or after a moment in any case."""

    async def stirs(self, seconds: float) -> None:
        """Return when the reader has sent something or has gone, or after so long."""

    def unread(self) -> int | None:
        """Return how many bytes have not arrived yet, or None where that can't be seen."""


class Port:
    """The device's end of a pseudo-terminal that can be unplugged; only `room` ever waits."""

    def __init__(self, link: Path) -> None:
        """Plan a port at a path; nothing exists until `plug`."""
        self.link = link
        self._master = -1
        self._slave_path = ""
        self._poll = select.poll()
        self._heard = b""

    def plug(self) -> None:
        """Make the port exist; a link that was left behind is replaced."""
        if self.link.exists() and not self.link.is_symlink():
            raise FileExistsError(errno.EEXIST, "not a symbolic link, left alone", str(self.link))
        self.link.parent.mkdir(parents=True, exist_ok=True)
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self._slave_path = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self._master, False)
        self._poll.register(self._master, select.POLLIN)
        beside = self.link.with_name(f".{self.link.name}.{os.getpid()}")
        beside.unlink(missing_ok=True)
        beside.symlink_to(self._slave_path)
        beside.replace(self.link)

    def unplug(self) -> None:
        """Make the port disappear: the reader is hung up."""
        if self._master < 0:
            return
        with suppress(OSError):
            if str(self.link.readlink()) == self._slave_path:
                self.link.unlink()
        self._poll.unregister(self._master)
        os.close(self._master)
        self._master = -1

    def attached(self) -> bool:
        """Whether a reader has the port open; what it sent to the device is taken."""
        events = self._poll.poll(0) if self._master >= 0 else []
        mask = events[0][1] if events else 0
        if mask & select.POLLIN:
            with suppress(OSError):
                self._heard = (self._heard + os.read(self._master, HEARD_MAX))[-HEARD_MAX:]
        return self._master >= 0 and not mask & select.POLLHUP

    def heard(self) -> bytes:
        """Return what the reader sent since the last call."""
        heard, self._heard = self._heard, b""
        return heard

    def write(self, data: bytes) -> int:
        """Return how many bytes the kernel took."""
        try:
            return os.write(self._master, data)
        except BlockingIOError:
            return 0

    async def room(self) -> None:
        """Return when the kernel can take bytes, or after a moment in any case."""
        await writable(self._master)

    async def stirs(self, seconds: float) -> None:
        """Return when the reader has sent something or has gone, or after so long."""
        await readable(self._master, seconds)

    def unread(self) -> int | None:
        """Return how many bytes the reader has still to read, or None where that can't be seen."""
        try:
            slave = os.open(self._slave_path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            answer = fcntl.ioctl(slave, termios.FIONREAD, bytes(4))
        finally:
            os.close(slave)
        return int(struct.unpack("i", answer)[0])


@dataclass(frozen=True, slots=True)
class Line:
    """The nature of a serial line."""

    baudrate: int = 9600
    when_closed: WhenClosed = WhenClosed.WAIT
    settle_s: float = 0.2


class SerialPlayer:
    """Plays one script on one port."""

    def __init__(
        self, port: Outlet, line: Line, pace: Pace, tally: Tally, account: Account
    ) -> None:
        """Take a plugged port."""
        self._port = port
        self._pace = pace
        self._tally = tally
        self._account = account
        self._byte_s = BITS_PER_BYTE / line.baudrate
        self._portion = max(1, int(PORTION_S / self._byte_s))
        self._settle_s = line.settle_s
        self._policy = line.when_closed
        self._free_at = 0.0  # when the line has transmitted everything so far
        self._whole = True  # no byte lost since the last line began

    async def play(self, steps: Iterable[Step]) -> None:
        """Play until the script or the simulation ends, then let the reader read the rest."""
        if self._policy is WhenClosed.WAIT and not await self._reader():
            return
        origin = self._pace.now()
        for step in steps:
            start = max(origin + step.at, self._free_at)
            if not await self._pace.until(
                start + min(len(step.data), self._portion) * self._byte_s
            ):
                break
            if self._policy is WhenClosed.WAIT and not self._port.attached():
                since = self._pace.now()
                if not await self._reader():
                    break
                origin += self._pace.now() - since
                start = self._pace.now()
            origin += await self._play(step, start)
            if step.away_s and not await self._outage(step.away_s):
                break
        await self._drain()

    async def _play(self, step: Step, start: float) -> float:
        """Put one step on the line; return for how long the kernel had no room."""
        taken, stalled_s = await self._send(step.data, start)
        self._whole = self._whole and taken
        self._tally.wrote(self._account, step)
        damaged = "" if self._whole else "closed"
        for sent in step.sent:
            self._tally.sent(self._account, sent, self._pace.wall(), damaged)
        if step.data.endswith(b"\n") or step.away_s:
            self._whole = True
        return stalled_s

    async def _send(self, data: bytes, start: float) -> tuple[bool, float]:
        """Send bytes at the pace of the line; return whether a reader was there for all of them."""
        self._free_at = start
        taken, stalled_s = True, 0.0
        for index in range(0, len(data), self._portion):
            portion = data[index : index + self._portion]
            self._free_at += len(portion) * self._byte_s
            await self._pace.until(self._free_at)
            while portion and self._port.attached():
                count = self._port.write(portion)
                portion = portion[count:]
                if count == 0:
                    if self._pace.stopping:
                        return False, stalled_s
                    since = self._pace.now()
                    await self._port.room()
                    stalled_s += self._pace.now() - since
            taken = taken and not portion
        self._free_at += stalled_s
        return taken, stalled_s

    async def _reader(self) -> bool:
        """Wait until a reader has opened the port and settled; return false at the end."""
        while not self._port.attached():
            if not await self._pace.until(self._pace.now() + LOOK_S):
                return False
        return await self._pace.until(self._pace.now() + self._settle_s)

    async def _outage(self, away_s: float) -> bool:
        await self._drain()
        self._port.unplug()
        alive = await self._pace.until(self._pace.now() + away_s)
        self._port.plug()
        return alive

    async def _drain(self) -> None:
        """Give the reader a moment for what it hasn't read yet."""
        loop = asyncio.get_running_loop()
        end = loop.time() + DRAIN_S
        quiet = 0  # what the kernel is still moving to the reader's side shows only a moment later
        while quiet < DRAIN_LOOKS and loop.time() < end and self._port.attached():
            await asyncio.sleep(DRAIN_LOOK_S)
            quiet = quiet + 1 if self._port.unread() == 0 else 0
