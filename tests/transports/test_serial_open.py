"""Opening and closing serial ports: who may, what is refused in words, and that nothing waits."""

import asyncio
import os
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
import serial

from gateway.errors import TransportError
from gateway.transports import serial as transport_module
from gateway.transports.serial import PortSettings, SerialTransport
from gateway.transports.serial_ports import FILES_PER_PORT
from tests.transports.serial_pty import PATIENCE_S, Device, descriptors, descriptors_of, listening

pytestmark = pytest.mark.integration


@pytest.fixture
def device() -> Iterator[Device]:
    device = Device()
    yield device
    device.unplug()


async def test_a_port_configured_twice_is_refused_and_the_first_one_goes_on(
    device: Device,
) -> None:
    async with listening(device.path) as first:
        await first.wait_for_open()
        async with listening(device.path) as second:
            problem = await second.failure()
        device.say(b"still here\n")
        await first.wait_for(b"still here\n")
    assert str(problem) == (
        f"{device.path}: in use by this program itself: is the port configured twice?"
    )


async def test_a_port_that_another_program_holds_names_it(device: Device) -> None:
    other = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import serial, sys\n"
        "port = serial.Serial(sys.argv[1], 9600, exclusive=True)\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n",
        device.path,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert other.stdout
    try:
        assert await asyncio.wait_for(other.stdout.readline(), PATIENCE_S) == b"open\n"
        async with listening(device.path) as listener:
            problem = await listener.failure()
    finally:
        other.terminate()
        await other.wait()
    assert f"(process {other.pid}): a port has one reader, stop the other" in str(problem)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/dev/does-not-exist", "no such port, unplugged?"),
        ("/dev", "is a directory, not a serial port"),
        ("/dev/null", "is not a serial port"),
    ],
)
async def test_what_is_no_port_is_said_in_words(path: str, words: str) -> None:
    async with listening(path) as listener:
        assert str(await listener.failure()).startswith(f"{path}: {words}")


async def test_a_baud_rate_out_of_this_world_is_said_in_words(device: Device) -> None:
    async with listening(PortSettings(device.path, 10**12)) as listener:
        assert "most likely the baud rate" in str(await listener.failure())
    assert descriptors_of(device.path) == 0


@pytest.mark.parametrize("used_before", [False, True])
async def test_7e1_on_a_pseudo_terminal_is_refused_in_words(
    device: Device, *, used_before: bool
) -> None:
    """A fresh one takes it silently and stays at 8N1, one that is set up already says EINVAL."""
    if used_before:
        serial.Serial(device.path, 9600).close()
    async with listening(PortSettings(device.path, 9600, 7, "E")) as listener:
        assert "refuses the settings" in str(await listener.failure())
    assert descriptors_of(device.path) == 0


async def test_an_unusual_baud_rate_is_taken(device: Device) -> None:
    async with listening(PortSettings(device.path, 74880)) as listener:
        await listener.wait_for_open()


async def test_cancelling_closes_the_port_at_once(device: Device) -> None:
    async with listening(device.path) as listener:
        await listener.wait_for_open()
        assert descriptors_of(device.path) == 1
        before = len(descriptors())
        listener.ended.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listener.ended
        assert descriptors_of(device.path) == 0
        assert len(descriptors()) == before - FILES_PER_PORT


async def test_closing_waits_for_no_output(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pseudo-terminal drains at once even when it is full, a stopped device never does."""

    def drain(_fd: int) -> None:
        pytest.fail("waited for the device to take its output")

    monkeypatch.setattr(termios, "tcdrain", drain)
    side_entrance = os.open(device.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    async with listening(device.path) as listener:
        await listener.wait_for_open()
        fill(side_entrance)
        await asyncio.wait_for(listener.cancel(), PATIENCE_S)
        await asyncio.sleep(0)  # where pyserial-asyncio closes
        await asyncio.sleep(0)
    os.close(side_entrance)
    assert descriptors_of(device.path) == 0


def fill(fd: int) -> None:
    with suppress(BlockingIOError):
        while True:
            os.write(fd, bytes(4096))


async def test_the_event_loop_never_configures_the_port(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each set-up may wait for the device, and pyserial-asyncio would do it twice."""
    threads: list[threading.Thread] = []
    read_settings = termios.tcgetattr

    def tcgetattr(fd: int) -> object:
        threads.append(threading.current_thread())
        return read_settings(fd)

    monkeypatch.setattr(termios, "tcgetattr", tcgetattr)
    async with listening(device.path) as listener:
        await listener.wait_for_open()
        await asyncio.sleep(0)
    assert threads
    assert threading.main_thread() not in threads


async def test_modem_lines_are_set_before_the_port_is_handed_out(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        serial.Serial, "_update_dtr_state", lambda port: lines.append(("dtr", port.dtr))
    )
    monkeypatch.setattr(
        serial.Serial, "_update_rts_state", lambda port: lines.append(("rts", port.rts))
    )
    async with listening(PortSettings(device.path, 9600, dtr=False, rts=False)) as listener:
        await listener.wait_for_open()
    assert lines == [("dtr", False), ("rts", False)]


async def test_what_opened_raises_closes_the_port(device: Device) -> None:
    def opened(_write: object) -> None:
        raise LookupError("a bug")

    with pytest.raises(LookupError):
        await SerialTransport(PortSettings(device.path, 9600)).run(opened, lambda _data: None)
    assert descriptors_of(device.path) == 0


async def test_probe_opens_and_closes(device: Device) -> None:
    assert await SerialTransport(PortSettings(device.path, 9600)).probe() == device.path
    assert descriptors_of(device.path) == 0
    with pytest.raises(TransportError, match="no such port"):
        await SerialTransport(PortSettings("/dev/does-not-exist", 9600)).probe()


class SlowDriver:
    """Opens only when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers = threading.Event()
        self.asked = threading.Event()
        self.thread: threading.Thread | None = None
        self._open = transport_module._open
        monkeypatch.setattr(transport_module, "_open", self.open)

    def open(self, settings: PortSettings) -> object:
        self.thread = threading.current_thread()
        self.asked.set()
        assert self.answers.wait(PATIENCE_S)
        return self._open(settings)

    async def answer(self) -> None:
        assert self.thread
        self.answers.set()
        await asyncio.to_thread(self.thread.join, PATIENCE_S)


async def test_a_cancelled_open_closes_the_port_that_opens_later(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = SlowDriver(monkeypatch)
    async with listening(device.path) as listener:
        await asyncio.to_thread(driver.asked.wait, PATIENCE_S)
        await asyncio.wait_for(listener.cancel(), PATIENCE_S)
    await driver.answer()
    assert descriptors_of(device.path) == 0
    assert not listener.opened.is_set()


async def test_a_driver_that_does_not_answer_is_asked_once(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = SlowDriver(monkeypatch)
    monkeypatch.setattr(transport_module, "OPEN_TIMEOUT_S", 0.05)
    transport = SerialTransport(PortSettings(device.path, 9600))

    async def attempt() -> None:
        await asyncio.wait_for(transport.run(lambda _write: None, lambda _data: None), PATIENCE_S)

    with pytest.raises(TransportError, match="does not answer within"):
        await attempt()
    first = driver.thread
    with pytest.raises(TransportError, match="still does not answer"):
        await attempt()
    assert driver.thread is first
    await driver.answer()
    assert descriptors_of(device.path) == 0


async def test_a_bug_while_opening_surfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_settings: PortSettings) -> object:
        raise LookupError("a bug")

    monkeypatch.setattr(transport_module, "_open", broken)
    with pytest.raises(LookupError, match="a bug"):
        await SerialTransport(PortSettings("/dev/ttyUSB0", 9600)).probe()
