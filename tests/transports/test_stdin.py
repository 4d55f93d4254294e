"""Standard input as a stream: pipes, sockets, terminals and files, each to its end, once."""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from gateway.transports.receiver import READ_BYTES
from gateway.transports.stdin import StdinTransport
from tests.transports.serial_pty import PATIENCE_S, listening

ENDED = "standard input ended"


class Pipe:
    """Both ends of a pipe."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()

    def say(self, data: bytes) -> None:
        os.write(self.writing, data)

    def end(self) -> None:
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1


def opened(path: str) -> BinaryIO:
    return Path(path).open("rb")


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.end()
    os.close(pipe.reading)


async def test_what_comes_through_a_pipe_arrives_and_its_end_is_told(pipe: Pipe) -> None:
    async with listening(StdinTransport(fd=pipe.reading)) as listener:
        await listener.wait_for_open()
        pipe.say(b"a=1\n")
        await listener.wait_for(b"a=1\n")
        pipe.say(b"a=2\n")
        pipe.end()
        assert str(await listener.failure()) == ENDED
    assert listener.received == b"a=1\na=2\n"


async def test_the_end_is_final_and_nothing_spins(pipe: Pipe) -> None:
    transport = StdinTransport(fd=pipe.reading)
    pipe.end()
    for opened in (True, False, False):
        async with listening(transport) as listener:
            assert str(await listener.failure()) == ENDED
            assert listener.opened.is_set() is opened


@pytest.mark.parametrize("size", [0, 1, READ_BYTES, 1_000_001])
async def test_a_file_is_read_to_its_end_while_others_have_their_turn(
    tmp_path: Path, size: int
) -> None:
    content = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    (tmp_path / "input").write_bytes(content)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    with (tmp_path / "input").open("rb") as file:
        async with listening(StdinTransport(fd=file.fileno())) as listener:
            other = asyncio.create_task(others())
            assert str(await listener.failure()) == ENDED
            other.cancel()
    assert listener.received == content
    assert turns >= size // READ_BYTES


async def test_a_file_is_left_when_it_is_enough() -> None:
    with opened("/dev/zero") as endless:
        async with listening(StdinTransport(fd=endless.fileno())) as listener:
            await listener.wait_for(b"\0")
            await listener.cancel()
        received = len(listener.received)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(listener.received) == received


async def test_nothing_at_all_has_ended_at_once() -> None:
    with opened("/dev/null") as nothing:
        async with listening(StdinTransport(fd=nothing.fileno())) as listener:
            assert str(await listener.failure()) == ENDED


async def test_a_socket_and_a_terminal_are_read_too() -> None:
    ours, theirs = socket.socketpair()
    master, slave = os.openpty()
    with ours, theirs:
        async with listening(StdinTransport(fd=ours.fileno())) as listener:
            theirs.sendall(b"socket")
            await listener.wait_for(b"socket")
        async with listening(StdinTransport(fd=slave)) as listener:
            os.write(master, b"terminal\n")
            await listener.wait_for(b"terminal\n")
            os.close(master)
            assert str(await listener.failure()) == ENDED
    os.close(slave)


async def test_silence_is_no_end(pipe: Pipe) -> None:
    transport = StdinTransport(0.1, pipe.reading)
    async with listening(transport) as listener:
        assert str(await listener.failure()) == "standard input: silent for 0.1 s"
    async with listening(transport) as listener:
        pipe.say(b"here again")
        await listener.wait_for(b"here again")


async def test_what_receive_raises_ends_the_run(pipe: Pipe) -> None:
    def receive(_data: bytes) -> None:
        raise LookupError("a bug")

    async with listening(StdinTransport(fd=pipe.reading), receive) as listener:
        pipe.say(b"x")
        with pytest.raises(LookupError, match="a bug"):
            await asyncio.wait_for(listener.ended, PATIENCE_S)


async def test_a_standard_input_that_was_closed_is_not_somebody_elses_file(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "__stdin__", None)
    async with listening(StdinTransport(fd=pipe.reading)) as listener:
        assert str(await listener.failure()) == "standard input is closed"
