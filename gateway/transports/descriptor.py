"""Reading a file descriptor on the event loop: pipes, terminals, sockets, and files.

The kernel says when there is something to read, so that nobody waits for it; a regular file, which
it does not watch, is read a piece in each of the loop's rounds. At most READ_BYTES at a time.

Limit: nobody else may read from it. What the kernel has announced might be gone then, and the loop
would wait for more.
"""

import asyncio
import os
from collections.abc import Callable

from gateway.transports.receiver import READ_BYTES, Receive


class DescriptorReader:
    """Reads one descriptor, from `start` to its end or `stop`."""

    def __init__(self, fd: int, receive: Receive, ended: Callable[[], None]) -> None:
        self._fd = fd
        self._receive = receive
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.Handle | None = None
        """The next piece of a file."""

    def start(self) -> None:
        """Raises OSError where it cannot be read at all."""
        try:
            self._loop.add_reader(self._fd, self._read)
        except PermissionError:  # epoll does not take files that are always ready
            self._next = self._loop.call_soon(self._read_file)

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()
        else:
            self._loop.remove_reader(self._fd)

    def _read_file(self) -> None:
        self._next = self._loop.call_soon(self._read_file)
        self._read()

    def _read(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # as a terminal whose other side is gone
            data = b""
        if data:
            self._receive(data)
        else:
            self.stop()
            self._ended()
