"""Getting through to a host takes bounded time, and giving up leaves nothing behind."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import TransportError
from gateway.transports.dial import Dialer, TlsSettings

LOOPBACK = "127.0.0.1"


class Nobody(asyncio.Protocol):
    """Whom a connection is made for."""

    connections = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connections += 1
        transport.close()


class HungResolver:
    """A `getaddrinfo` that takes its time."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.calls = 0

    def __call__(self, host: str, port: int, **_: object) -> list[object]:
        self.calls += 1
        self.go.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (LOOPBACK, port))]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[HungResolver]:
    resolver = HungResolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    yield resolver
    resolver.go.set()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Takes connections (the kernel does) and never says anything."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server


async def test_hung_look_ups_do_not_pile_up(
    resolver: HungResolver, listener: socket.socket
) -> None:
    dialer = Dialer("broker.invalid", listener.getsockname()[1], None, timeout_s=0.05)
    for _ in range(5):
        with pytest.raises(TransportError, match=r"address of .broker.invalid.: no answer"):
            await dialer.dial(Nobody())
    assert resolver.calls == 1
    assert threading.active_count() < 10
    resolver.go.set()
    nobody = Nobody()
    await dialer.dial(nobody)
    assert nobody.connections == 1


async def test_a_hung_look_up_is_left_at_once_when_cancelled(resolver: HungResolver) -> None:
    dialer = Dialer("broker.invalid", 1883, None, timeout_s=60)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await dialer.dial(Nobody())
    (thread,) = [t for t in threading.enumerate() if t.name == "look-up[broker.invalid]"]
    assert thread.daemon, "or else the process could not end before it"


async def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(TransportError, match="Name or service not known"):
        await Dialer("broker.invalid", 1883, None, timeout_s=5).dial(Nobody())


async def test_a_port_that_nobody_listens_on(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(TransportError, match=f"{LOOPBACK}:{port}: .*refused"):
        await Dialer(LOOPBACK, port, None, timeout_s=5).dial(Nobody())


async def test_the_next_address_is_tried(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = listener.getsockname()[1]

    def two(*_: object, **__: object) -> list[object]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", (LOOPBACK, port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    nobody = Nobody()
    await Dialer("broker.invalid", port, None, timeout_s=5).dial(nobody)
    assert nobody.connections == 1


async def test_a_peer_that_never_finishes_tls(listener: socket.socket) -> None:
    dialer = Dialer(LOOPBACK, listener.getsockname()[1], TlsSettings(), timeout_s=0.1)
    with pytest.raises(TransportError, match="no answer within"):
        await dialer.dial(Nobody())
    accepted, _ = listener.accept()
    with accepted:
        accepted.setblocking(False)  # noqa: FBT003
        async with asyncio.timeout(5):
            while await asyncio.get_running_loop().sock_recv(accepted, 4096):
                pass  # its hello; then the end: the socket is closed


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    ca_file = tmp_path / "ca.pem"
    if content:
        ca_file.write_text(content)
    with pytest.raises(TransportError, match=r"ca\.pem"):
        await Dialer(LOOPBACK, 1, TlsSettings(str(ca_file)), timeout_s=5).dial(Nobody())
