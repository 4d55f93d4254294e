"""A byte stream over TCP: order, ends in words, silence, floods, bridges that vanish."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from gateway.transports.receiver import READ_BYTES, UNSENT_BYTES_MAX
from gateway.transports.tcp import GONE_S, TcpSettings, TcpTransport, peers_of
from tests.transports.serial_pty import PATIENCE_S, Listener, listening

LOOPBACK = "127.0.0.1"
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: close without a farewell."""


class Bridge:
    """The far end: takes one connection."""

    def __init__(self) -> None:
        self._server = socket.create_server((LOOPBACK, 0))
        self._server.settimeout(PATIENCE_S)
        self.port: int = self._server.getsockname()[1]
        self.where = f"{LOOPBACK}:{self.port}"
        self.peer: socket.socket

    async def accept(self) -> socket.socket:
        self.peer, _ = await asyncio.to_thread(self._server.accept)
        return self.peer

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    bridge = Bridge()
    yield bridge
    bridge.close()


def transport(bridge: Bridge, silence_timeout_s: float | None = None) -> TcpTransport:
    return TcpTransport(TcpSettings(LOOPBACK, bridge.port, silence_timeout_s))


@asynccontextmanager
async def connected(bridge: Bridge) -> AsyncIterator[Listener]:
    async with listening(transport(bridge)) as listener:
        with await bridge.accept():
            await listener.wait_for_open()
            yield listener


async def test_bytes_pass_unchanged_in_both_directions(bridge: Bridge) -> None:
    everything = bytes(range(256)) * 100
    async with connected(bridge) as listener:
        await asyncio.to_thread(bridge.peer.sendall, everything + b"end")
        await listener.wait_for(b"end")
        listener.write(b"question\xff")
        assert await asyncio.to_thread(bridge.peer.recv, 100) == b"question\xff"
    assert listener.received == everything + b"end"


async def test_a_farewell_is_told_in_words_after_the_last_bytes(bridge: Bridge) -> None:
    async with connected(bridge) as listener:
        bridge.peer.sendall(b"last words")
        bridge.peer.close()
        problem = await listener.failure()
    assert str(problem).startswith(f"{bridge.where}: closed by the other side")
    assert listener.received == b"last words"


async def test_a_cut_is_told_in_words(bridge: Bridge) -> None:
    async with connected(bridge) as listener:
        bridge.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        bridge.peer.close()
        problem = await listener.failure()
    assert "the other side has cut the connection" in str(problem)


async def test_a_bridge_that_is_not_there_is_told_in_words(bridge: Bridge) -> None:
    bridge.close()
    async with listening(transport(bridge)) as listener:
        problem = await listener.failure()
    assert str(problem) == f"cannot connect to {bridge.where}: Connection refused"


async def test_the_kernel_is_asked_to_notice_a_bridge_that_vanishes(bridge: Bridge) -> None:
    async with connected(bridge) as listener:
        ours = [s for s in _sockets() if s.getpeername() == bridge.peer.getsockname()]
        (found,) = [s for s in ours if s.getsockname() == bridge.peer.getpeername()]
        with found:
            assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            tcp = [
                found.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            ]
            assert tcp[0] + tcp[1] * tcp[2] == GONE_S
            assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == GONE_S * 1000
        assert not listener.ended.done()


def _sockets() -> Iterator[socket.socket]:
    """What this process is connected to."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 -- numbers are wanted
        try:
            found = socket.socket(fileno=os.dup(int(name)))
            found.getpeername()
        except OSError:
            continue
        yield found


async def test_silence_ends_the_connection(bridge: Bridge) -> None:
    async with listening(transport(bridge, 0.2)) as listener:
        with await bridge.accept():
            problem = await listener.failure()
    assert str(problem) == f"{bridge.where}: silent for 0.2 s"


async def test_what_receive_raises_ends_the_connection(bridge: Bridge) -> None:
    def receive(_data: bytes) -> None:
        raise LookupError("a bug")

    async with listening(transport(bridge), receive) as listener:
        with await bridge.accept() as peer:
            peer.sendall(b"x")
            with pytest.raises(LookupError, match="a bug"):
                await asyncio.wait_for(listener.ended, PATIENCE_S)
            assert peer.recv(1) == b""


async def test_cancelling_closes_the_connection(bridge: Bridge) -> None:
    async with connected(bridge) as listener:
        await listener.cancel()
        assert await asyncio.to_thread(bridge.peer.recv, 1) == b""


async def test_a_flood_comes_in_pieces_between_which_others_have_their_turn(
    bridge: Bridge,
) -> None:
    sizes: list[int] = []
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with listening(transport(bridge), lambda data: sizes.append(len(data))) as listener:
        with await bridge.accept() as peer:
            await listener.wait_for_open()
            flood = asyncio.create_task(asyncio.to_thread(peer.sendall, b"x" * 1_000_000))
            other = asyncio.create_task(others())
            await flood
            async with asyncio.timeout(PATIENCE_S):
                while sum(sizes) < 1_000_000:  # noqa: ASYNC110 -- the loop's rounds are the point
                    await asyncio.sleep(0)
            other.cancel()
    assert max(sizes) <= READ_BYTES
    assert turns >= len(sizes)


async def test_a_bridge_that_takes_nothing_is_given_up(bridge: Bridge) -> None:
    async with connected(bridge) as listener:
        async with asyncio.timeout(PATIENCE_S):
            while not listener.ended.done():
                listener.write(b"x" * UNSENT_BYTES_MAX)
                await asyncio.sleep(0)
        problem = await listener.failure()
    assert str(problem).endswith("the other side takes nothing of what it is sent")


async def test_a_probe_connects_and_leaves(bridge: Bridge) -> None:
    words = await transport(bridge).probe()
    assert words == f"{bridge.where} takes the connection"
    with await bridge.accept() as peer:
        assert peer.recv(1) == b""


@pytest.mark.parametrize("host", [LOOPBACK, "::1"])
async def test_who_is_connected_can_be_told(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        port = server.getsockname()[1]
        assert not await TcpTransport(TcpSettings(host, port)).is_held_by(os.getpid())
        with socket.create_connection((host, port)):
            assert (host, port) in peers_of(os.getpid())
            assert await TcpTransport(TcpSettings(host, port)).is_held_by(os.getpid())
            assert not await TcpTransport(TcpSettings(host, port)).is_held_by(os.getppid())
    assert peers_of(2**22 + 1) == set()
