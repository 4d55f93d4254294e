"""A device behind a TCP port: one reader, nothing lost while it reads, a farewell at the end."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from simulators.answers import AnsweringPlayer
from simulators.devices.modbus import make
from simulators.pace import Pace
from simulators.pty import Line, SerialPlayer
from simulators.script import Sent, Step
from simulators.tally import Tally
from simulators.tcp import TcpPort
from tests.ports import free_port

HOST = "127.0.0.1"


@pytest.fixture
def address() -> tuple[str, int]:
    return HOST, free_port()


@pytest.fixture
def port(address: tuple[str, int]) -> Iterator[TcpPort]:
    port = TcpPort(*address)
    port.plug()
    yield port
    port.unplug()


async def test_a_device_waits_for_its_reader_and_says_farewell(
    port: TcpPort, address: tuple[str, int]
) -> None:
    tally = Tally()
    account = tally.open("serial", "test")
    player = SerialPlayer(port, Line(4_000_000, settle_s=0.0), Pace(), tally, account)
    steps = [
        Step(n / 1000, b"n=%d\r\n" % n + b"x" * 2000 + b"\r\n", sent=(Sent(n, {"n": n}),))
        for n in range(100)
    ]

    async def play() -> None:
        await player.play(steps)
        port.unplug()

    async with asyncio.TaskGroup() as group:
        group.create_task(play())
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"unheard")
        data = await reader.read(-1)
        writer.close()
    assert data == b"".join(step.data for step in steps)
    assert account.totals()["damaged"] == 0
    with pytest.raises(OSError, match="Connect"):
        await asyncio.open_connection(*address)


def test_there_is_one_reader_and_another_after_it(port: TcpPort, address: tuple[str, int]) -> None:
    assert not port.attached()
    with socket.create_connection(address) as first:
        assert port.attached()
        with socket.create_connection(address) as second:
            assert port.attached()
            assert second.recv(1) == b""
        assert port.write(b"hello") == 5
        assert first.recv(5) == b"hello"
    assert not port.attached()
    assert port.write(b"lost") == 0
    with socket.create_connection(address) as third:
        assert port.attached()
        assert port.write(b"again") == 5
        assert third.recv(5) == b"again"


def test_a_reader_that_replaces_one_that_has_just_left_is_taken(
    port: TcpPort, address: tuple[str, int]
) -> None:
    first = socket.create_connection(address)
    assert port.attached()
    first.close()
    with socket.create_connection(address) as second:
        assert port.attached()
        port.write(b"x")
        assert second.recv(1) == b"x"


async def test_a_device_that_is_asked_answers_over_tcp(
    port: TcpPort, address: tuple[str, int]
) -> None:
    pace, tally = Pace(), Tally()
    account = tally.open("serial", "meter")
    player = AnsweringPlayer(port, 4_000_000, pace, tally, {"": account})
    request = bytes.fromhex("01 04 00 00 00 02 71 cb")
    async with asyncio.TaskGroup() as group:
        group.create_task(player.play(make("meter", lambda _quantity, _t: 230.0, "sdm120@1")))
        for _ in range(2):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(request)
            assert (await reader.readexactly(9)).startswith(b"\x01\x04\x04\x43\x66")
            writer.close()
        pace.stop()
    assert account.totals()["readings"] == 2
