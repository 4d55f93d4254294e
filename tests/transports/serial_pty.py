"""A pseudo-terminal with a device at its far end, and a transport that listens to it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NoReturn

import pytest

from gateway.errors import TransportError
from gateway.polling import Port
from gateway.transports.serial import PortSettings, SerialTransport

PATIENCE_S = 10.0


class Device:
    """The far end of a pseudo-terminal: what a device on the wire sees.

    The kernel gives the terminal's number to the next one that is made, in whichever process: where
    somebody goes on looking for the port after it was unplugged, it is to be known by a `link`.
    """

    def __init__(self, link: Path | None = None) -> None:
        self.master, slave = os.openpty()
        self.path = os.ttyname(slave)
        os.close(slave)
        self._link = link
        if link is not None:
            link.symlink_to(self.path)
            self.path = str(link)
        self._plugged = True

    def say(self, data: bytes) -> None:
        os.write(self.master, data)

    def unplug(self) -> None:
        if self._plugged:
            self._plugged = False
            if self._link is not None:
                self._link.unlink()
            os.close(self.master)


class Listener:
    """Runs a transport and keeps what it says."""

    def __init__(self) -> None:
        self.received = b""
        self.opened = asyncio.Event()
        self.write: Callable[[bytes], None]
        self.ended: asyncio.Task[NoReturn]
        self._arrived = asyncio.Event()

    def receive(self, data: bytes) -> None:
        self.received += data
        self._arrived.set()

    async def wait_for(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while data not in self.received:
                self._arrived.clear()
                await self._arrived.wait()

    async def wait_for_open(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.opened.wait()

    async def failure(self) -> TransportError:
        with pytest.raises(TransportError) as caught:
            await asyncio.wait_for(self.ended, PATIENCE_S)
        return caught.value

    async def cancel(self) -> None:
        self.ended.cancel()
        await asyncio.wait((self.ended,))


@asynccontextmanager
async def listening(
    port: str | PortSettings | Port,
    receive: Callable[[bytes], None] | None = None,
    when_open: Callable[[], None] = lambda: None,
) -> AsyncIterator[Listener]:
    if isinstance(port, str):
        port = PortSettings(port, 115200)
    transport = SerialTransport(port) if isinstance(port, PortSettings) else port
    listener = Listener()

    def opened(write: Callable[[bytes], None]) -> None:
        listener.write = write
        listener.opened.set()
        when_open()

    listener.ended = asyncio.create_task(transport.run(opened, receive or listener.receive))
    try:
        yield listener
    finally:
        await listener.cancel()


def descriptors() -> list[str]:
    """What this process has open."""
    targets = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the directory itself
            targets.append(str(link.readlink()))
    return targets


def descriptors_of(path: str) -> int:
    return descriptors().count(path)
