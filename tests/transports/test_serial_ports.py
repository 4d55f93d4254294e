"""Ports by identity, and the sentences that tell the operator what to do."""

import errno
import os
import resource
import termios
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import serial

from gateway.errors import TransportError
from gateway.transports import serial_ports
from gateway.transports.serial_ports import (
    describe,
    explain,
    open_file_limit_problem,
    raise_open_file_limit,
    resolve,
)

GUIDE = (Path(__file__).parents[2] / "docs" / "serial.md").read_text(encoding="utf-8")


@dataclass
class Plugged:
    device: str
    description: str = "n/a"
    vid: int | None = None
    pid: int | None = None
    serial_number: str | None = None


FTDI_A = Plugged("/dev/ttyUSB0", "FT232R USB UART", 0x0403, 0x6001, "A1")
FTDI_B = Plugged("/dev/ttyUSB1", "FT232R USB UART", 0x0403, 0x6001, "B2")
CLONE = Plugged("/dev/ttyUSB2", "USB Serial", 0x1A86, 0x7523)
ONBOARD = Plugged("/dev/ttyAMA0")


def plugged(*ports: Plugged) -> Callable[[], Sequence[Plugged]]:
    return lambda: ports


EVERYTHING = plugged(FTDI_B, CLONE, FTDI_A, ONBOARD)


@pytest.mark.parametrize(
    ("port", "path"),
    [
        ("/dev/ttyUSB7", "/dev/ttyUSB7"),
        ("/dev/serial/by-id/usb-FTDI-if00-port0", "/dev/serial/by-id/usb-FTDI-if00-port0"),
        ("usb:1a86:7523", "/dev/ttyUSB2"),
        ("usb:1A86:7523", "/dev/ttyUSB2"),
        ("usb:0403:6001:B2", "/dev/ttyUSB1"),
    ],
)
def test_a_path_stays_and_an_identity_finds_its_path(port: str, path: str) -> None:
    assert resolve(port, EVERYTHING) == path


def test_several_matches_are_listed() -> None:
    with pytest.raises(TransportError) as caught:
        resolve("usb:0403:6001", EVERYTHING)
    assert str(caught.value) == (
        "usb:0403:6001: several devices match "
        "(/dev/ttyUSB0 (usb:0403:6001:A1, FT232R USB UART), "
        "/dev/ttyUSB1 (usb:0403:6001:B2, FT232R USB UART)): add the serial number, or where that "
        "is the same too, give a path below /dev/serial/by-path"
    )


def test_no_match_says_what_is_there() -> None:
    with pytest.raises(TransportError) as caught:
        resolve("usb:0403:6001:C3", plugged(CLONE, ONBOARD))
    assert str(caught.value) == (
        "usb:0403:6001:C3: no such device, unplugged? There is: /dev/ttyAMA0, "
        "/dev/ttyUSB2 (usb:1a86:7523, USB Serial)"
    )


def test_a_long_list_is_cut() -> None:
    many = [Plugged(f"/dev/ttyS{n}") for n in range(20)]
    with pytest.raises(TransportError, match="and 12 more"):
        resolve("usb:0403:6001", plugged(*many))


@pytest.mark.parametrize("port", ["usb:", "usb:403:6001", "usb:0403:6001:", "usb:0403-6001"])
def test_a_wrong_identity_shows_a_right_one(port: str) -> None:
    with pytest.raises(TransportError, match="looks like usb:0403:6001 or"):
        resolve(port, EVERYTHING)


def test_a_device_that_disappears_while_pyserial_looks_is_no_bug() -> None:
    def vanishing() -> Sequence[Plugged]:
        return [Plugged("/dev/ttyUSB0", vid=int(None, 16))]  # type: ignore[call-overload]

    with pytest.raises(TransportError, match="changed while"):
        resolve("usb:0403:6001", vanishing)
    assert "changed while" in explain(OSError(errno.ENOENT, ""), "/dev/ttyUSB0", vanishing)


def test_a_description_names_what_is_plugged_in(tmp_path: Path) -> None:
    assert describe("/dev/ttyUSB2", EVERYTHING) == "/dev/ttyUSB2 (usb:1a86:7523, USB Serial)"
    assert describe("/dev/pts/3", EVERYTHING) == "/dev/pts/3"
    link = tmp_path / "mast"
    link.symlink_to("/dev/ttyUSB0")
    expected = f"{link} -> /dev/ttyUSB0 (usb:0403:6001:A1, FT232R USB UART)"
    assert describe(str(link), EVERYTHING) == expected


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.EPERM, "this process may not use the device"),
        (errno.EISDIR, "is a directory, not a serial port"),
        (errno.ENOTTY, "is not a serial port"),
        (errno.ENXIO, "no hardware behind this port"),
        (errno.EIO, "the port does not answer any more: unplugged, or no hardware behind it"),
        (errno.EINVAL, "refuses the settings: look at baudrate, bytesize, parity and stopbits"),
        (errno.EMFILE, "too many open files"),
        (errno.ENOENT, "no such port, unplugged?"),
        (errno.EBUSY, "in use by another program"),
        (errno.EAGAIN, "in use by another program"),
    ],
)
def test_every_error_of_the_system_has_its_words_and_its_line_in_the_guide(
    code: int, words: str, tmp_path: Path
) -> None:
    path = str(tmp_path / "port")
    for exc in (OSError(code, "x"), serial.SerialException(code, "x"), termios.error(code, "x")):
        assert explain(exc, path, EVERYTHING).startswith(f"{path}: {words}")
    assert words in GUIDE


@pytest.mark.parametrize(
    "words",
    [
        "several devices match",
        "no such device, unplugged?",
        "in use by this program itself: is the port configured twice?",
        "a port has one reader, stop the other",
        "its driver refuses the settings, most likely the baud rate",
        "its driver does not answer within 10 s",
        "silent for",
        "is in group dialout, but not yet in this session",
        "only its owner root may use it",
    ],
)
def test_the_guide_explains_the_other_sentences(words: str) -> None:
    assert words in GUIDE


def test_an_error_that_pyserial_wraps_keeps_its_meaning() -> None:
    with pytest.raises(serial.SerialException) as caught:
        serial.Serial("/dev/null", 9600)
    assert caught.value.errno is None
    assert explain(caught.value, "/dev/null") == "/dev/null: is not a serial port"


def test_a_refused_baud_rate_is_named() -> None:
    exc = ValueError("Failed to set custom baud rate (31337): [Errno 22] Invalid argument")
    assert explain(exc, "/dev/ttyS0").startswith(
        "/dev/ttyS0: its driver refuses the settings, most likely the baud rate (Failed to set"
    )


def test_an_unknown_error_is_passed_on() -> None:
    assert explain(OSError(errno.EPROTO, "x"), "/dev/ttyS0") == "/dev/ttyS0: Protocol error"
    assert explain(serial.SerialException("odd"), "/dev/ttyS0") == "/dev/ttyS0: odd"


DENIED = PermissionError(errno.EACCES, "Permission denied")


def device_file(directory: Path, mode: int) -> str:
    file = directory / "ttyUSB0"
    file.touch()
    file.chmod(mode)
    if os.geteuid() == 0:
        os.chown(file, -1, 20)
    return str(file)


def test_permission_denied_names_the_group_of_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_ports, "_group", lambda _gid: ("dialout", ["somebody"]))
    monkeypatch.setattr(serial_ports, "_name_of_user", lambda _uid: "pi")
    path = device_file(tmp_path, 0o660)
    assert explain(DENIED, path) == (
        f"{path}: permission denied: add the user to group dialout: "
        "sudo usermod -aG dialout pi, then log in again (a service: restart it)"
    )


def test_a_group_that_the_session_does_not_know_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_ports, "_group", lambda _gid: ("dialout", ["pi"]))
    monkeypatch.setattr(serial_ports, "_name_of_user", lambda _uid: "pi")
    problem = explain(DENIED, device_file(tmp_path, 0o660))
    assert "user pi is in group dialout, but not yet in this session: log in again" in problem


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o620])
def test_a_group_that_may_not_use_the_port_does_not_help(tmp_path: Path, mode: int) -> None:
    problem = explain(DENIED, device_file(tmp_path, mode))
    assert "only its owner" in problem
    assert "usermod" not in problem


def test_a_directory_that_may_not_be_searched() -> None:
    assert "may not look into its directory" in explain(DENIED, "/dev/does-not-exist")


class Limits:
    """The limit of open files of an imaginary process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, soft: int, hard: int) -> None:
        self.limits = soft, hard
        self.refuses = False
        monkeypatch.setattr(resource, "getrlimit", lambda _which: self.limits)
        monkeypatch.setattr(resource, "setrlimit", self.set)

    def set(self, _which: int, limits: tuple[int, int]) -> None:
        if self.refuses:
            raise ValueError("current limit exceeds maximum limit")
        self.limits = limits


def test_the_limit_of_open_files_is_raised_before_anybody_complains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = Limits(monkeypatch, soft=256, hard=4096)
    assert open_file_limit_problem(100) is None
    assert limits.limits == (4096, 4096)


def test_too_many_ports_for_the_limit_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    Limits(monkeypatch, soft=256, hard=512)
    assert open_file_limit_problem(82) is None
    assert open_file_limit_problem(83) == (
        "83 serial ports need about 515 open files, the limit is 512: "
        "raise LimitNOFILE= of the service, or `ulimit -n`"
    )


def test_a_limit_that_cannot_be_raised_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(monkeypatch, soft=256, hard=resource.RLIM_INFINITY)
    limits.refuses = True
    assert raise_open_file_limit() == 256
    assert open_file_limit_problem(100) is not None


def test_no_limit_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    Limits(monkeypatch, soft=256, hard=resource.RLIM_INFINITY)
    assert open_file_limit_problem(10_000) is None
