"""A serial device behind a TCP port, as ser2net and the bridges of ESP boards offer it.

One reader at a time; whoever comes meanwhile is turned away. What is sent waits in the kernel's
buffer and reaches the reader also after the port is gone, for it is closed with a farewell.

Limits: Linux. Bytes that a reader leaves unread when it breaks off count as sent.
"""

import asyncio
import fcntl
import socket
import struct
import termios
from contextlib import suppress

from simulators.readiness import HEARD_MAX, readable, writable


class TcpPort:
    """The device's end of a TCP port that can disappear; only `room` ever waits."""

    def __init__(self, host: str, port: int) -> None:
        """Plan a port; nothing exists until `plug`."""
        self._address = (host, port)
        self._server: socket.socket | None = None
        self._reader: socket.socket | None = None
        self._heard = b""

    def plug(self) -> None:
        """Make the port exist."""
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        self._server = socket.create_server(self._address, family=family)
        self._server.setblocking(False)  # noqa: FBT003 -- the library's

    def unplug(self) -> None:
        """Make the port disappear: the reader gets what is on its way, and a farewell."""
        if self._server is not None:
            self._server.close()
        self._server = None
        self._part()

    def attached(self) -> bool:
        """Whether there is a reader; what it sent to the device is taken."""
        with suppress(BlockingIOError):
            while self._server is not None:
                reader, _ = self._server.accept()
                if self._reader is None or not self._listens():
                    self._part()
                    self._reader = reader
                    reader.setblocking(False)  # noqa: FBT003 -- likewise
                else:
                    reader.close()
        return self._listens()

    def heard(self) -> bytes:
        """Return what the reader sent since the last call."""
        heard, self._heard = self._heard, b""
        return heard

    def write(self, data: bytes) -> int:
        """Return how many bytes the kernel took."""
        try:
            return self._reader.send(data) if self._reader is not None else 0
        except OSError:  # BlockingIOError too
            return 0

    async def room(self) -> None:
        """Return when the kernel can take bytes, or after a moment in any case."""
        if self._reader is not None:
            await writable(self._reader)

    async def stirs(self, seconds: float) -> None:
        """Return when the reader has sent something or has gone, or after so long."""
        if self._reader is None:
            await asyncio.sleep(seconds)
        else:
            await readable(self._reader, seconds)

    def unread(self) -> int:
        """Return how many bytes have not arrived at the reader's side yet."""
        if self._reader is None:
            return 0
        answer = fcntl.ioctl(self._reader, termios.TIOCOUTQ, bytes(4))
        return int(struct.unpack("i", answer)[0])

    def _listens(self) -> bool:
        try:
            while self._reader is not None and (data := self._reader.recv(HEARD_MAX)):
                self._heard = (self._heard + data)[-HEARD_MAX:]
        except BlockingIOError:
            return True
        except OSError:
            pass
        self._part()
        return False

    def _part(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None
