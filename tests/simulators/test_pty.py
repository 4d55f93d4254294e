"""Ports: nothing is lost while somebody reads, and the line is as slow as its baud rate."""

import asyncio
import os
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from simulators.faults import Faults, Outage
from simulators.pty import Line, Port, WhenClosed
from simulators.script import Plan, Script, Sent, Step
from simulators.seeds import generator
from tests.simulators.ports import Reader, Rig, until
from tests.simulators.scripts import Counting


def lines(count: int, *, every_s: float = 0.001, first: int = 1) -> list[Step]:
    return [
        Step(index * every_s, b"n=%d\r\n" % n, sent=(Sent(n, {"n": n}),))
        for index, n in enumerate(range(first, first + count))
    ]


@pytest.fixture
def link(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "port"


async def test_a_device_waits_for_its_reader_and_loses_nothing(link: Path) -> None:
    rig = Rig(link)
    async with asyncio.TaskGroup() as group:
        group.create_task(rig.play(lines(100)))
        await asyncio.sleep(0.02)
        assert rig.account.readings == 0
        reader = Reader(link)
        await until(lambda: reader.hung_up)
    assert reader.numbers() == rig.whole() == list(range(1, 101))
    assert rig.account.totals() == {
        "readings": 100,
        "damaged": 0,
        "messages": 100,
        "bytes": len(reader.data),
        "acknowledged": 0,
        "faults": {},
    }
    assert not rig.linked()


async def test_bytes_take_the_time_of_the_line(link: Path) -> None:
    rig = Rig(link, Line(baudrate=9600, settle_s=0.0))
    data = b"x" * 190 + b"\r\n"
    reader = Reader(link)
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(rig.play([Step(0.0, data)]))
        await until(lambda: len(reader.data) == len(data))
    took = time.monotonic() - started
    assert 0.2 <= took < 1.0


async def test_a_reader_gets_time_to_settle(link: Path) -> None:
    rig = Rig(link, Line(baudrate=4_000_000, settle_s=0.1))
    started = time.monotonic()
    reader = Reader(link)
    async with asyncio.TaskGroup() as group:
        group.create_task(rig.play(lines(1)))
        await until(lambda: reader.numbers() == [1])
    assert time.monotonic() - started >= 0.1


async def test_a_full_buffer_holds_up_its_own_device_only(tmp_path: Path) -> None:
    stuck, free = Rig(tmp_path / "stuck"), Rig(tmp_path / "free")
    long = [
        Step(0.0, b"n=%d\r\n" % n + b"x" * 500 + b"\r\n", sent=(Sent(n, {"n": n}),))
        for n in range(1, 201)
    ]
    sleeper, reader = Reader(tmp_path / "stuck", reading=False), Reader(tmp_path / "free")
    async with asyncio.TaskGroup() as group:
        group.create_task(stuck.play(long))
        group.create_task(free.play(lines(100)))
        await until(lambda: reader.hung_up)
        assert reader.numbers() == list(range(1, 101))
        assert stuck.account.readings < 100
        sleeper.read()
        await until(lambda: sleeper.hung_up)
    assert sleeper.numbers() == stuck.whole() == list(range(1, 201))


async def test_an_unplugged_port_hangs_up_and_comes_back(link: Path) -> None:
    rig = Rig(link)
    away = Step(0.05, b"n=9", sent=(Sent(99, {"n": 99}, "unplug"),), away_s=0.1)
    steps = [*lines(20), away, *lines(20, first=100)]
    first = Reader(link)
    async with asyncio.TaskGroup() as group:
        group.create_task(rig.play(steps))
        await until(lambda: first.hung_up)
        assert not rig.linked()
        await until(rig.linked)
        second = Reader(link)
        await until(lambda: second.hung_up)
    assert first.data.endswith(b"n=20\r\nn=9")
    assert first.numbers() + second.numbers() == rig.whole()
    assert second.numbers() == list(range(100, 120))


async def test_a_reader_that_leaves_finds_whole_lines_when_it_returns(link: Path) -> None:
    rig = Rig(link)
    first = Reader(link)
    async with asyncio.TaskGroup() as group:
        group.create_task(rig.play(lines(60, every_s=0.002)))
        await until(lambda: len(first.numbers()) > 10)
        first.close()
        await asyncio.sleep(0.05)
        second = Reader(link)
        await until(lambda: second.hung_up)
    assert rig.account.readings == 60
    assert second.numbers() == list(range(second.numbers()[0], 61))
    assert second.numbers()[0] - first.numbers()[-1] <= 3


async def test_without_a_reader_the_other_policy_loses(link: Path) -> None:
    rig = Rig(link, Line(baudrate=4_000_000, when_closed=WhenClosed.LOSE))
    async with asyncio.TaskGroup() as group:
        group.create_task(rig.play(lines(60, every_s=0.002)))
        await until(lambda: rig.account.readings > 10)
        reader = Reader(link)
        await until(lambda: reader.hung_up)
    assert reader.numbers() == rig.whole()
    assert 0 < len(rig.whole()) < 50
    assert {each.fault for each in rig.record()} == {"", "closed"}


async def test_what_is_not_called_damaged_arrives_through_all_faults(link: Path) -> None:
    rig = Rig(link)
    faults = Faults(
        garbage=0.1, babble=0.02, split=0.1, merge=0.1, latin1=0.05, duplicate=0.1, delay=0.05,
        burst=0.02, silence=Outage(0.5, 0.05), unplug=Outage(0.15, 0.05), boot=True,
    )  # fmt: skip
    plan = Plan(0.003, readings=300, faults=faults)
    readers: list[Reader] = []
    async with asyncio.TaskGroup() as group:
        playing = group.create_task(rig.play(Script(Counting(), plan, generator(1))))
        while not playing.done():
            if rig.linked() and (not readers or readers[-1].hung_up):
                readers.append(Reader(link))
            await asyncio.sleep(0.002)
        await until(lambda: readers[-1].hung_up)
    assert len(readers) > 2
    assert [each.sequence for each in rig.record()] == list(range(1, 301))
    arrived = Counter(number for reader in readers for number in reader.numbers())
    expected = {each.sequence: each.copies for each in rig.record() if not each.fault}
    assert {number: arrived[number] for number in expected} == expected
    assert {"unplug", "latin1"} == {each.fault for each in rig.record() if each.fault}


async def test_stopping_finishes_the_line(link: Path) -> None:
    rig = Rig(link, Line(baudrate=1200, settle_s=0.0))
    reader = Reader(link)
    async with asyncio.TaskGroup() as group:
        group.create_task(rig.play(lines(1000, every_s=0.02)))
        await until(lambda: len(reader.data) > 3)
        rig.pace.stop()
        await until(lambda: reader.hung_up)
    assert reader.data.endswith(b"\r\n")
    assert reader.numbers() == rig.whole()


async def test_stopping_ends_the_wait_for_a_reader(link: Path) -> None:
    rig = Rig(link)
    async with asyncio.TaskGroup() as group:
        group.create_task(rig.play(lines(1)))
        await asyncio.sleep(0)
        rig.pace.stop()
    assert rig.record() == []


async def test_what_the_reader_sends_is_swallowed(link: Path) -> None:
    rig = Rig(link)
    reader = Reader(link)
    async with asyncio.TaskGroup() as group:
        group.create_task(rig.play(lines(50)))
        while not reader.hung_up:
            with suppress(OSError):
                reader.write(b"command\n" * 8)
            await asyncio.sleep(0.001)
    assert reader.data == b"".join(step.data for step in lines(50))


def test_a_link_left_behind_is_replaced_but_never_a_file(link: Path) -> None:
    link.parent.mkdir()
    link.symlink_to("/nowhere")
    port = Port(link)
    port.plug()
    assert os.path.realpath(link).startswith("/dev/pts/")
    port.unplug()
    port.unplug()
    assert not link.is_symlink()
    link.write_text("mine")
    with pytest.raises(FileExistsError, match="left alone"):
        port.plug()
    assert link.read_text() == "mine"


def test_a_port_is_raw(link: Path) -> None:
    port = Port(link)
    port.plug()
    try:
        slave = os.open(link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        assert port.attached()
        port.write(bytes(range(256)))
        time.sleep(0.01)
        assert os.read(slave, 1000) == bytes(range(256))
        assert port.unread() == 0
        os.close(slave)
        assert not port.attached()
    finally:
        port.unplug()
