"""A byte stream over TCP: ser2net in raw mode, esp-link, whatever passes a device's bytes on.

One `run` is one connection's life; whoever calls it waits and calls it again. A bridge that is gone
without a word is noticed within GONE_S: by keep-alive, and where we have written something by
TCP_USER_TIMEOUT (Linux), since the kernel sends no keep-alive before that is acknowledged.

Limits: READ_BYTES at a time; UNSENT_BYTES_MAX wait for a bridge that takes nothing, then it counts
as gone. What happens between device and bridge is not seen from here.
"""

import asyncio
import errno
import os
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import NoReturn, cast

from gateway.transports.dial import Dialer
from gateway.transports.receiver import READ_BYTES, UNSENT_BYTES_MAX, Opened, Receive, Receiver

CONNECT_TIMEOUT_S = 10.0
"""For the host's address, and for the connection."""

GONE_S = 60

_PROBES = 3
_KEEP_ALIVE = (
    ("TCP_KEEPIDLE", GONE_S // 2),
    ("TCP_KEEPINTVL", GONE_S // 2 // _PROBES),
    ("TCP_KEEPCNT", _PROBES),
    ("TCP_USER_TIMEOUT", GONE_S * 1000),
)
"""Options of the kernel, as far as it has them."""

TAKES_NOTHING = "the other side takes nothing of what it is sent"

_CUT = "the other side has cut the connection: was it restarted, or does it serve another client?"
_SENTENCES = {
    errno.ECONNRESET: _CUT,
    errno.EPIPE: _CUT,
    errno.ETIMEDOUT: "the other side does not answer any more: is it off, or the network away?",
}


@dataclass(frozen=True, slots=True)
class TcpSettings:
    """One bridge."""

    host: str
    port: int
    silence_timeout_s: float | None = None
    """A device that says nothing for so long counts as gone; None: it may be silent."""


class TcpTransport:
    """One bridge, connected to anew by each `run`."""

    def __init__(self, settings: TcpSettings) -> None:
        self._settings = settings
        self._dialer = Dialer(settings.host, settings.port, None, timeout_s=CONNECT_TIMEOUT_S)

    async def run(self, opened: Opened, receive: Receive) -> NoReturn:
        """Connect and hand every chunk to `receive` until the connection ends.

        Raises TransportError, or what `receive` raised. Cancelled or not: it is closed.
        """
        connection = Connection(self._dialer.where, receive)
        await self._dialer.dial(connection)
        try:
            opened(connection.write)
            raise await connection.end(self._settings.silence_timeout_s)
        finally:
            connection.close()

    async def is_held_by(self, process: int) -> bool:
        """Whether the process is connected there."""
        peers = peers_of(process)
        return any(
            (address, self._settings.port) in peers for address in await self._dialer.look_up()
        )

    async def probe(self) -> str:
        """Connect and leave again; returns what to tell about it."""
        connection = Connection(self._dialer.where, lambda _: None)
        await self._dialer.dial(connection)
        connection.close()
        return f"{self._dialer.where} takes the connection"


class Connection(Receiver, asyncio.BufferedProtocol):
    """One connection."""

    _transport: asyncio.Transport

    def __init__(self, where: str, receive: Receive) -> None:
        super().__init__(where, receive)
        self._buffer = memoryview(bytearray(READ_BYTES))

    def write(self, data: bytes) -> None:
        """Send it as soon as the other side takes it."""
        if self._transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            self.lose(TAKES_NOTHING)
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        _keep_alive(self._transport.get_extra_info("socket"))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 -- asyncio has no idea
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._buffer[:nbytes]))

    def connection_lost(self, exc: Exception | None) -> None:
        code = exc.errno if isinstance(exc, OSError) else None
        if code is None:
            words = "closed by the other side: it may serve one client at a time"
        else:
            words = _SENTENCES.get(code, os.strerror(code))
        self.lose(words)


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        option = getattr(socket, name, None)
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def peers_of(process: int) -> set[tuple[str, int]]:
    """Addresses and ports that the process is connected to, as far as this user may see (Linux)."""
    sockets = set()
    tables = []
    with suppress(OSError):
        for file in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                sockets.add(str(file.readlink()))
        tables = [Path(f"/proc/{process}/net/{name}").read_text() for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table.splitlines()[1:]]
    return {_peer(fields[2]) for fields in lines if f"socket:[{fields[9]}]" in sockets}


def _peer(text: str) -> tuple[str, int]:
    """An address as in /proc/net/tcp: words of 32 bits as the machine has them, and the port."""
    words, _, port = text.partition(":")
    numbers = (int(words[start : start + 8], 16) for start in range(0, len(words), 8))
    address = ip_address(b"".join(number.to_bytes(4, sys.byteorder) for number in numbers))
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address), int(port, 16)
