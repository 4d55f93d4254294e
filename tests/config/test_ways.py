"""Where a byte stream comes from: a port or a command, and what is said of the line."""

from pathlib import Path

import pytest

from gateway.config.ports import Way
from tests.config.conftest import Load, Problems

ENTRY = '[[serial]]\nname = "s"\ndecoder = "text"\n'
METER = '[[serial]]\nname = "s"\nport = "{}"\ndecoder = "{}"\n'


@pytest.mark.parametrize(
    ("written", "way"),
    [
        ('port = "/dev/stdin"', Way.SERIAL),
        ('port = "usb:0403:6001"', Way.SERIAL),
        ('port = "tcp://host:1"', Way.TCP),
        ('port = "rfc2217://host:1"', Way.RFC2217),
        ('port = "stdin"', Way.STDIN),
        ('command = ["rtl_433"]', Way.COMMAND),
    ],
)
def test_there_are_five_ways_in(read: Load, written: str, way: Way) -> None:
    assert read(ENTRY + written).serial[0].way() is way


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("", "port: missing, and there is no command; allowed: a path such as"),
        ('port = "stdin"\ncommand = ["a"]', "command: give port or command, not both"),
        ("command = []", "command: found a list; allowed: a list of words such as"),
        (
            'command = "rtl_433 -F json"',
            'command: found "rtl_433 -F json"; allowed: a list of words',
        ),
        ('command = ["a", 1]', "command: found a list; allowed: a list of words"),
        ('command = [""]', "command: found a list; allowed: a list of words"),
        ('command = ["a\\u0000"]', "command: found a list; allowed: a list of words"),
        ('command = ["a"]\nbaudrate = 9600', "baudrate: has no meaning for command"),
        ('port = "tcp://h:1"\nparity = "E"', "parity: has no meaning for tcp://"),
        ('port = "stdin"\ndtr = false', "dtr: has no meaning for stdin"),
    ],
)
def test_what_makes_no_sense_is_refused(problems: Problems, written: str, problem: str) -> None:
    (found,) = problems(ENTRY + written)
    assert found.startswith(f'serial[0] "s": {problem}')


def test_a_line_behind_a_device_server_is_set_as_one_of_our_own(read: Load) -> None:
    written = 'port = "rfc2217://h:1"\nbaudrate = 300\nbytesize = 7\nparity = "E"\nrts = false'
    (entry,) = read(ENTRY + written).serial
    assert (entry.baudrate, entry.bytesize, entry.parity, entry.rts) == (300, 7, "E", False)


def test_a_program_may_be_named_by_a_relative_path(read: Load, tmp_path: Path) -> None:
    (entry,) = read(f'{ENTRY}command = ["./read.py", "./x"]').serial
    assert entry.command == (str(tmp_path / "read.py"), "./x")
    (entry,) = read(f'{ENTRY}command = ["~/read.py"]').serial
    assert entry.command == ("/home/pi/read.py",)
    (entry,) = read(f'{ENTRY}command = ["rtl_433", "", "${{FORMAT}}"]', FORMAT="json").serial
    assert entry.command == ("rtl_433", "", "json")


@pytest.mark.parametrize("port", ["stdin", "tcp://Host:1", "rfc2217://host:1"])
def test_each_way_is_used_once(problems: Problems, port: str) -> None:
    other = METER.format(port.lower(), "text").replace('"s"', '"t"')
    (found,) = problems(METER.format(port, "text") + other)
    assert "serial[0] is this port already" in found


def test_the_rate_is_looked_for_where_frames_prove_themselves(
    read: Load, problems: Problems
) -> None:
    for port in ("/dev/ttyS0", "rfc2217://h:1"):
        text = METER.format(port, "nmea0183") + 'baudrate = "auto"'
        assert read(text).serial[0].baudrate == "auto"
    (found,) = problems(METER.format("/dev/ttyS0", "text") + 'baudrate = "auto"')
    assert found.startswith(
        'serial[0] "s": baudrate: found "auto"; allowed: the rate of the device'
    )
    assert "nothing in what text reads, such as a checksum, that proves" in found


@pytest.mark.parametrize("rate", ["0", "-1", "4000001", "true", "9600.0", '"9600"', '"fast"'])
def test_what_is_no_rate_is_refused(problems: Problems, rate: str) -> None:
    (found,) = problems(METER.format("/dev/ttyS0", "nmea0183") + f"baudrate = {rate}")
    assert found.endswith('allowed: a whole number from 1 to 4000000, or "auto"')


def test_devices_that_are_asked_cannot_be_asked_through_standard_input(problems: Problems) -> None:
    (found,) = problems(METER.format("stdin", "asker"))
    assert found == (
        'serial[0] "s": port: found "stdin"; asker asks its devices: nobody would hear it there'
    )
    assert problems(ENTRY.replace("text", "asker") + 'command = ["a"]') == []
