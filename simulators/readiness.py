"""Waiting until the kernel can take or give bytes, but not for ever: for ports of all kinds.

Limit: one waiter at a time for a file descriptor and direction.
"""

import asyncio
from contextlib import suppress
from socket import socket

HEARD_MAX = 4096  # what a device keeps of what its reader sent
STALL_S = 0.05  # how long to trust the kernel to report room in its buffer


async def writable(file: int | socket) -> None:
    """Return when the kernel can take bytes, or after STALL_S in any case."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(file, ready.set)
    try:
        await _happens(ready, STALL_S)
    finally:
        loop.remove_writer(file)


async def readable(file: int | socket, seconds: float) -> None:
    """Return when there are bytes to read, or the other side has gone, or after so long."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(file, ready.set)
    try:
        await _happens(ready, seconds)
    finally:
        loop.remove_reader(file)


async def _happens(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
