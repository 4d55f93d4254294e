"""An open serial port, on real pseudo-terminals: order, unplugging, silence, bugs, numbers."""

import asyncio
import errno
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.transports.receiver import UNSENT_BYTES_MAX
from gateway.transports.serial import PortSettings, SerialTransport, _Port
from gateway.transports.serial_ports import raise_open_file_limit
from tests.transports.serial_pty import PATIENCE_S, Device, descriptors_of, listening

pytestmark = pytest.mark.integration


@pytest.fixture
def device() -> Iterator[Device]:
    device = Device()
    yield device
    device.unplug()


async def test_bytes_arrive_in_order(device: Device) -> None:
    lines = b"".join(b"temperature=%d.5\r\n" % n for n in range(2000))
    async with listening(device.path) as listener:
        await listener.wait_for_open()
        await asyncio.to_thread(device.say, lines)
        await listener.wait_for(b"temperature=1999.5\r\n")
    assert listener.received == lines


async def test_every_byte_value_passes_unchanged(device: Device) -> None:
    everything = bytes(range(256)) * 2
    async with listening(device.path) as listener:
        await listener.wait_for_open()
        device.say(everything)
        await listener.wait_for(everything)
    assert listener.received == everything


async def test_stale_bytes_are_dropped_and_the_first_new_ones_are_kept(device: Device) -> None:
    device.say(b"from before\n")
    async with listening(device.path, when_open=lambda: device.say(b"first\n")) as listener:
        await listener.wait_for(b"first\n")
    assert listener.received == b"first\n"


async def test_unplugging_ends_the_run_in_words(device: Device) -> None:
    async with listening(device.path) as listener:
        await listener.wait_for_open()
        device.say(b"last words\n")
        await listener.wait_for(b"last words\n")
        device.unplug()
        problem = await listener.failure()
    assert str(problem).startswith(f"{device.path}: the port does not answer any more: unplugged")
    assert descriptors_of(device.path) == 0


async def test_a_link_finds_the_device_that_was_plugged_in_again(tmp_path: Path) -> None:
    device = Device(tmp_path / "ttyACM0")
    link = tmp_path / "arduino"
    link.symlink_to(device.path)
    transport = SerialTransport(PortSettings(str(link), 9600))
    async with listening(transport) as listener:
        await listener.wait_for_open()
        device.unplug()
        await listener.failure()
    async with listening(transport) as listener:
        assert "no such port (it points to" in str(await listener.failure())

    other = Device()
    link.unlink()
    link.symlink_to(other.path)
    async with listening(transport, when_open=lambda: other.say(b"back\n")) as listener:
        await listener.wait_for(b"back\n")
    other.unplug()


async def test_what_receive_raises_ends_the_run(device: Device) -> None:
    calls: list[bytes] = []

    def receive(data: bytes) -> None:
        calls.append(data)
        raise LookupError("a bug")

    async with listening(device.path, receive) as listener:
        await listener.wait_for_open()
        device.say(b"x")
        with pytest.raises(LookupError, match="a bug"):
            await asyncio.wait_for(listener.ended, PATIENCE_S)
    assert len(calls) == 1
    assert descriptors_of(device.path) == 0


async def test_an_error_of_the_system_in_receive_is_not_taken_for_one_of_the_port(
    device: Device,
) -> None:
    def receive(_data: bytes) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    async with listening(device.path, receive) as listener:
        await listener.wait_for_open()
        device.say(b"x")
        with pytest.raises(OSError, match="disk full"):
            await asyncio.wait_for(listener.ended, PATIENCE_S)


async def test_silence_ends_the_run(device: Device) -> None:
    settings = PortSettings(device.path, 9600, silence_timeout_s=0.2)
    async with listening(settings) as listener:
        problem = await listener.failure()
    assert str(problem) == f"{device.path}: silent for 0.2 s"
    assert descriptors_of(device.path) == 0


async def test_a_byte_now_and_then_is_no_silence(device: Device) -> None:
    settings = PortSettings(device.path, 9600, silence_timeout_s=0.3)
    async with listening(settings) as listener:
        await listener.wait_for_open()
        for _ in range(8):
            await asyncio.sleep(0.05)
            device.say(b".")
        await listener.failure()
    assert listener.received == b"........"


async def test_a_hundred_ports_at_once() -> None:
    devices = [Device() for _ in range(100)]
    async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE_S):
        listeners = [await stack.enter_async_context(listening(d.path)) for d in devices]
        for listener in listeners:
            await listener.wait_for_open()
        for number, device in enumerate(devices):
            device.say(b"port %d\n" % number)
        for listener in listeners:
            await listener.wait_for(b"\n")
    for device in devices:
        device.unplug()
    assert [x.received for x in listeners] == [b"port %d\n" % number for number in range(100)]


async def test_ports_work_beyond_the_descriptors_that_select_takes() -> None:
    raise_open_file_limit()
    low: list[int] = []
    try:
        while not low or low[-1] < 1024:
            low.append(os.dup(0))
    except OSError:
        for fd in low:
            os.close(fd)
        pytest.skip("needs more than 1024 open files: raise the hard limit with `ulimit -Hn 4096`")
    device = Device()
    async with listening(device.path) as listener:
        await listener.wait_for_open()
        device.say(b"far away\n")
        await listener.wait_for(b"far away\n")
    device.unplug()
    for fd in low:
        os.close(fd)


async def test_a_device_that_takes_nothing_of_what_it_is_sent_counts_as_gone(
    device: Device,
) -> None:
    """Else requests would pile up in memory, for days."""
    async with listening(device.path) as listener:
        await listener.wait_for_open()
        for _ in range(3):
            listener.write(bytes(UNSENT_BYTES_MAX))
            await asyncio.sleep(0)
        problem = await listener.failure()
    assert str(problem) == f"{device.path}: the device takes nothing of what it is sent"
    assert descriptors_of(device.path) == 0


def test_a_write_of_which_nothing_is_taken_ends_at_once() -> None:
    """As where the kernel's buffer is full although it was announced to have room."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    port = _Port(write_timeout=0)
    port.fd, port.is_open = writing, True
    while port.write(bytes(4096)):
        pass
    assert port.write(b"more") == 0
    port.is_open = False
    os.close(reading)
    os.close(writing)
