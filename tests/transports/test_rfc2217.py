"""A serial port behind a device server: a conversation of telnet on a socket, and only data."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.errors import TransportError
from gateway.transports import rfc2217
from gateway.transports.com_port import Line
from gateway.transports.receiver import UNSENT_BYTES_MAX
from gateway.transports.rfc2217 import Rfc2217Transport
from gateway.transports.tcp import TcpSettings
from tests.transports.device_server import DeviceServer
from tests.transports.serial_pty import PATIENCE_S, Listener, listening

LOOPBACK = "127.0.0.1"
SUSPEND = b"\xff\xfa\x2c\x6c\xff\xf0"
MODEM_STATE = b"\xff\xfa\x2c\x6b\x30\xff\xf0"
REFUSE = b"\xff\xfe\x2c"


class Site(asyncio.Protocol):
    """A device server on a socket."""

    transport: asyncio.Transport
    port: int

    def __init__(self) -> None:
        self.server = DeviceServer()
        self.heard = bytearray()
        self.left = asyncio.Event()
        self._arrived = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._flush()

    def data_received(self, data: bytes) -> None:
        self.heard += self.server.receive(data)
        self._arrived.set()
        self._flush()

    async def wait_for(self, size: int) -> None:
        """Until so many bytes came down the line."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.heard) < size:
                self._arrived.clear()
                await self._arrived.wait()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.left.set()

    def say(self, data: bytes) -> None:
        self.server.say(data)
        self._flush()

    def _flush(self) -> None:
        self.transport.write(bytes(self.server.outgoing))
        self.server.outgoing.clear()


class Stubborn(Site):
    """Says one thing, whatever it hears."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self._answer = answer

    def data_received(self, _data: bytes) -> None:
        self.transport.write(self._answer)

    def _flush(self) -> None:
        """Not even a greeting."""


@asynccontextmanager
async def serving(site: Site) -> AsyncIterator[Site]:
    server = await asyncio.get_running_loop().create_server(lambda: site, LOOPBACK, 0)
    async with server:
        site.port = server.sockets[0].getsockname()[1]
        yield site


def transport(
    site: Site, line: Line | None = None, silence_s: float | None = None
) -> Rfc2217Transport:
    return Rfc2217Transport(TcpSettings(LOOPBACK, site.port, silence_s), line or Line(19_200))


@asynccontextmanager
async def connected(site: Site) -> AsyncIterator[Listener]:
    async with serving(site), listening(transport(site)) as listener:
        await listener.wait_for_open()
        yield listener


async def test_the_line_is_set_before_the_port_counts_as_open() -> None:
    async with connected(site := Site()):
        port = site.server.serial
        assert (port.baudrate, port.bytesize, port.parity, port.stopbits) == (19_200, 8, "N", 1)
        assert (port.dtr, port.rts) == (True, True)


async def test_data_passes_unchanged_and_telnet_does_not() -> None:
    everything = bytes(range(256)) * 100
    site = Site()
    async with connected(site) as listener:
        site.say(everything)
        site.transport.write(MODEM_STATE)
        site.say(b"end")
        await listener.wait_for(b"end")
        listener.write(everything)
        await site.wait_for(len(everything))
    assert listener.received == everything + b"end"
    assert site.heard == everything


async def test_a_server_that_refuses_is_told_in_words() -> None:
    async with serving(Stubborn(REFUSE)) as site, listening(transport(site)) as listener:
        problem = await listener.failure()
        assert str(problem).startswith(f"{LOOPBACK}:{site.port}: it does not speak RFC 2217")
        await site.left.wait()


async def test_a_bridge_that_only_passes_bytes_on_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rfc2217, "SETTING_TIMEOUT_S", 0.05)
    async with serving(Stubborn(b"$GPGGA,1\r\n")) as site, listening(transport(site)) as listener:
        problem = await listener.failure()
    assert str(problem).endswith("if it passes bytes on as they are, write tcp://")
    assert not listener.opened.is_set()


async def test_a_rate_that_the_server_cannot_set_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Slow(Site):
        def data_received(self, data: bytes) -> None:
            super().data_received(data.replace(b"\0\1\x24\xf8", b"\0\0\x25\x80"))

    monkeypatch.setattr(rfc2217, "SETTING_TIMEOUT_S", 0.05)
    async with serving(Slow()) as site, listening(transport(site, Line(75_000))) as listener:
        problem = await listener.failure()
    assert str(problem).endswith("it sets baudrate to 9600 instead of 75000")


async def test_the_chatter_of_telnet_is_no_sign_of_life() -> None:
    site = Site()
    async with serving(site), listening(transport(site, silence_s=0.2)) as listener:
        await listener.wait_for_open()
        async with asyncio.timeout(PATIENCE_S):
            while not listener.ended.done():
                site.transport.write(MODEM_STATE)
                await asyncio.sleep(0.01)
        problem = await listener.failure()
    assert str(problem).endswith("silent for 0.2 s")


async def test_a_server_that_goes_away_while_it_sets_the_line() -> None:
    class Fickle(Site):
        def data_received(self, _data: bytes) -> None:
            self.transport.close()

    async with serving(Fickle()) as site, listening(transport(site)) as listener:
        problem = await listener.failure()
    assert "the other side" in str(problem)
    assert not listener.opened.is_set()


async def test_what_it_asks_us_to_hold_back_is_bounded() -> None:
    site = Site()
    async with connected(site) as listener:
        site.transport.write(SUSPEND)
        site.say(b"suspended")
        await listener.wait_for(b"suspended")
        listener.write(b"x" * UNSENT_BYTES_MAX)
        assert not listener.ended.done()
        listener.write(b"x")
        problem = await listener.failure()
    assert str(problem).endswith("the other side takes nothing of what it is sent")


async def test_what_receive_raises_ends_the_connection() -> None:
    def receive(_data: bytes) -> None:
        raise LookupError("a bug")

    async with serving(Site()) as site, listening(transport(site), receive) as listener:
        await listener.wait_for_open()
        site.say(b"x")
        with pytest.raises(LookupError, match="a bug"):
            await asyncio.wait_for(listener.ended, PATIENCE_S)
        await asyncio.wait_for(site.left.wait(), PATIENCE_S)


async def test_cancelling_closes_the_connection() -> None:
    async with connected(site := Site()) as listener:
        await listener.cancel()
        await asyncio.wait_for(site.left.wait(), PATIENCE_S)


async def test_a_probe_sets_the_line_and_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(Site()) as site:
        words = await transport(site).probe()
        assert words == f"{LOOPBACK}:{site.port} has set the line to 19200 baud"
        await asyncio.wait_for(site.left.wait(), PATIENCE_S)
    async with serving(Stubborn(REFUSE)) as site:
        with pytest.raises(TransportError, match="does not speak RFC 2217"):
            await transport(site).probe()
