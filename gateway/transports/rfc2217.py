"""A serial port behind a device server that speaks RFC 2217: ser2net's telnet mode and others.

A TCP connection as in `tcp`; `com_port` holds the conversation in it and sets the line. Telnet's
own bytes are no bytes of the stream: they are neither handed on nor counted, and do not end a
silence. The client that comes with pyserial is not used: it reads in a thread per port, and its
calls wait.

Limits: SETTING_TIMEOUT_S for the server's consent and the confirmation of the line's settings; else
those of `tcp`, what the server has asked us to hold back included.
"""

import asyncio
from typing import NoReturn

from gateway.transports.com_port import ComPort, Line, TelnetError
from gateway.transports.receiver import UNSENT_BYTES_MAX, Opened, Receive
from gateway.transports.tcp import TAKES_NOTHING, Connection, TcpSettings, TcpTransport

SETTING_TIMEOUT_S = 5.0


class Rfc2217Transport(TcpTransport):
    """One port of a device server, connected to anew by each `run`."""

    def __init__(self, settings: TcpSettings, line: Line) -> None:
        super().__init__(settings)
        self._line = line

    async def run(self, opened: Opened, receive: Receive) -> NoReturn:
        """Connect, set the line, and hand every chunk to `receive` until the connection ends.

        Raises TransportError, or what `receive` raised. Cancelled or not: it is closed.
        """
        connection = _Connection(self._dialer.where, ComPort(self._line), opened, receive)
        await self._dialer.dial(connection)
        try:
            await connection.set_up()
            raise await connection.end(self._settings.silence_timeout_s)
        finally:
            connection.close()

    async def probe(self) -> str:
        """Connect, set the line and leave again; returns what to tell about it."""
        connection = _Connection(self._dialer.where, ComPort(self._line), _ignore, _ignore)
        await self._dialer.dial(connection)
        try:
            await connection.set_up()
        finally:
            connection.close()
        if connection.ended.done():
            raise connection.ended.result()
        return f"{self._dialer.where} has set the line to {self._line.baudrate} baud"


class _Connection(Connection):
    """A connection whose bytes are those of the line behind it."""

    def __init__(self, where: str, com_port: ComPort, opened: Opened, receive: Receive) -> None:
        super().__init__(where, receive)
        self._com_port = com_port
        self._opened = opened
        self._is_set = self._loop.create_future()

    async def set_up(self) -> None:
        """Wait until the line is as it should be, or the connection has ended."""
        await asyncio.wait(
            (self.ended, self._is_set),
            timeout=SETTING_TIMEOUT_S,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not self._is_set.done():
            self.lose(self._com_port.missing())

    def write(self, data: bytes) -> None:
        """Send it down the line as soon as everybody takes it."""
        self._com_port.send(data)
        self._flush()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._flush()

    def buffer_updated(self, nbytes: int) -> None:
        try:
            data = self._com_port.receive(bytes(self._buffer[:nbytes]))
        except TelnetError as error:
            self.lose(str(error))
            return
        self._flush()
        if self._com_port.ready and not self._is_set.done():
            self._is_set.set_result(None)
            with self._failure:
                self._opened(self.write)
        if data:
            self.data_received(data)

    def _flush(self) -> None:
        """Send what the conversation asks for."""
        outgoing = self._com_port.outgoing
        if self._com_port.unsent > UNSENT_BYTES_MAX:
            self.lose(TAKES_NOTHING)
        elif outgoing:
            super().write(bytes(outgoing))
            outgoing.clear()


def _ignore(_: object) -> None:
    """A probe is not there to listen."""
