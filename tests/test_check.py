"""`sensor-gateway check`: every mistake by name, and in words what would go wrong here."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway import check
from gateway.check import check_config, check_connections
from gateway.cli import command
from gateway.config import load
from gateway.config.models import Config
from gateway.spool.lock import DataDir, holder
from simulators.influxdb import VERSIONS, Fault, Influx
from tests.transports.serial_pty import Device, listening

FIVE_MISTAKES = """
[gateway]
nane = "greenhouse"

[spool]
max_bytes = 2000000000

[influxdb]
version = 4
url = "http://localhost:8086"

[[serial]]
name = "mast"
port = "/dev/ttyUSB0"
baudrate = "fast"
decoder = "text"

[[mqtt]]
name = "home"
url = "mqtt://localhost"
subscribe = [{ topic = "a/#/b", decoder = "json" }]
"""

HOLD = """
import sys
from pathlib import Path
import os
from gateway.spool.lock import DataDir
with DataDir(Path(sys.argv[1])):
    port = os.open(sys.argv[2], os.O_RDWR | os.O_NOCTTY)
    print("held", flush=True)
    sys.stdin.read()
"""


def configure(tmp_path: Path, text: str = "", data_dir: str = "data") -> Config:
    path = tmp_path / "gateway.toml"
    gateway = f'[gateway]\nname = "test"\ndata_dir = "{data_dir}"\n'
    path.write_text(f'{gateway}[spool]\nmin_free = "1MiB"\nmax_bytes = "1MiB"\n{text}')
    return load(path, environ={})


def influxdb(server: Influx, version: int | None = None) -> str:
    version = version or server.version
    keys = (
        'org = "home"\nbucket = "sensors"\ntoken = "t"' if version == 2 else 'database = "sensors"'
    )
    return f'[influxdb]\nversion = {version}\nurl = "{server.url}"\n{keys}\n'


def serial(name: str, port: str) -> str:
    return f'[[serial]]\nname = "{name}"\nport = "{port}"\ndecoder = "text"\n'


async def connect(config: Config) -> tuple[int, list[str]]:
    """How many checks failed, and all lines but that of the data directory."""
    lines: list[str] = []
    failed = await check_connections(config, lines.append)
    return failed, [line for line in lines if "data directory" not in line]


@contextmanager
def holding(data_dir: Path, port: str) -> Iterator[int]:
    """Another process that holds both, as a running gateway does."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data_dir), port],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()


def test_a_file_with_five_mistakes_names_all_five(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(FIVE_MISTAKES)
    ended = subprocess.run(
        [sys.executable, "-m", "gateway", "check", "--config", str(tmp_path / "gateway.toml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    *problems, count = ended.stderr.splitlines()
    places = [
        "gateway.nane",
        "spool.max_bytes",
        "influxdb.version",
        'serial[0] "mast": baudrate',
        'mqtt[0] "home": subscribe[0].topic',
    ]
    for place, problem in zip(places, problems, strict=True):
        assert problem.startswith(place)
    assert count == "5 problems"


def test_a_good_file_is_fine_and_its_warnings_are_counted(tmp_path: Path) -> None:
    port = serial("mast", "/dev/ttyUSB0")
    configure(tmp_path, port)
    arguments = ["check", "--config", str(tmp_path / "gateway.toml")]
    result = CliRunner().invoke(command, arguments)
    assert (result.exit_code, result.output) == (0, "The configuration is fine.\n")
    configure(tmp_path, port + '[console]\nlisten = "0.0.0.0:9280"\n')
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0
    warning, summary = result.output.splitlines()
    assert warning.startswith("warning: console.listen")
    assert summary == "The configuration is valid, with 1 warning."


def test_messages_that_nobody_keeps_are_pointed_out(tmp_path: Path) -> None:
    broker = """
        [[mqtt]]
        name = "home"
        url = "mqtt://localhost"
        subscribe = [
            { topic = "fleeting/#", decoder = "json", qos = 0 },
            { topic = "kept/#", decoder = "json" },
        ]
    """
    (warning,) = check_config(configure(tmp_path, broker))
    assert warning.startswith('mqtt[0] "home": QoS 0 for fleeting/#: ')
    assert "qos = 1" in warning


def test_more_ports_than_files_may_be_open_are_pointed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.transports.serial_ports.raise_open_file_limit", lambda: 200)
    ports = "".join(serial(f"s{i}", f"/dev/ttyUSB{i}") for i in range(40))
    (warning,) = check_config(configure(tmp_path, ports))
    assert "40 serial ports need about 300 open files, the limit is 200" in warning


def test_a_file_in_place_of_the_data_directory_is_pointed_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = configure(tmp_path, serial("mast", "/dev/ttyUSB0"), data_dir="file/below")
    assert check_config(config) == [f"{tmp_path}/file: is no directory"]


@pytest.mark.skipif(os.access("/proc/self", os.W_OK), reason="this user may write everywhere")
def test_a_data_directory_of_somebody_else_is_pointed_out(tmp_path: Path) -> None:
    config = configure(tmp_path, serial("mast", "/dev/ttyUSB0"), data_dir="/proc/self/new")
    (warning,) = check_config(config)
    assert warning.startswith("/proc/self: may not be written")


def test_checking_leaves_no_data_directory_behind(tmp_path: Path) -> None:
    config = configure(tmp_path, serial("mast", "/dev/nosuch"), data_dir="new/dir")
    check_config(config)
    asyncio.run(check_connections(config, lambda _: None))
    assert not (tmp_path / "new").exists()


async def test_a_disk_smaller_than_its_limits_is_pointed_out(tmp_path: Path) -> None:
    port = serial("mast", "/dev/ttyUSB0")
    async with Influx(1) as server:
        config = configure(tmp_path, port + influxdb(server))
    spool = config.spool.model_copy(update={"max_bytes": 2**54})
    (warning,) = check_config(config.model_copy(update={"spool": spool}))
    assert warning.startswith("spool.max_bytes: 16777216.0 GiB are allowed")
    spool = config.spool.model_copy(update={"min_free": 2**54})
    warning, _ = check_config(config.model_copy(update={"spool": spool}))
    assert "nothing is taken in below spool.min_free" in warning


def test_a_device_of_another_package_that_does_not_load_is_pointed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.decoders.problems", lambda: ("device 'x' cannot be loaded",))
    config = configure(tmp_path, serial("mast", "/dev/ttyUSB0"))
    assert check_config(config) == ["device 'x' cannot be loaded"]


async def test_ports_are_tried_each_and_a_missing_one_fails(tmp_path: Path) -> None:
    device = Device()
    config = configure(tmp_path, serial("here", device.path) + serial("gone", "/dev/nosuch"))
    failed, lines = await connect(config)
    assert failed == 1
    missing, found = sorted(lines)
    assert missing.startswith('FAILED  serial "gone": /dev/nosuch: no such port')
    assert found == f'ok      serial "here": {device.path}'
    device.unplug()


async def test_a_port_that_the_gateway_reads_is_left_alone(tmp_path: Path) -> None:
    device = Device()
    config = configure(tmp_path, serial("mast", device.path))
    data = tmp_path / "data"
    with holding(data, device.path) as process:
        lines: list[str] = []
        assert await check_connections(config, lines.append) == 0
        directory, port = sorted(lines)
        assert directory.endswith(f"in use by the gateway (process {process})")
        words = f"{device.path}: in use by the gateway (process {process})"
        assert port == f'ok      serial "mast": {words}'
    device.unplug()


async def test_bridges_are_connected_to_and_left(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bridge:
        port = bridge.getsockname()[1]
        address = f"tcp://127.0.0.1:{port}"
        config = configure(tmp_path, serial("here", address) + serial("gone", "tcp://127.0.0.1:1"))
        failed, lines = await connect(config)
        assert bridge.accept()[0].recv(1) == b""
    assert failed == 1
    assert sorted(lines) == [
        'FAILED  serial "gone": cannot connect to 127.0.0.1:1: Connection refused',
        f'ok      serial "here": 127.0.0.1:{port} takes the connection',
    ]


async def test_a_bridge_that_the_gateway_reads_is_left_alone(tmp_path: Path) -> None:
    with socket.create_server(("localhost", 0)) as bridge:
        port = bridge.getsockname()[1]
        text = f"tcp://localhost:{port}", f"rfc2217://127.0.0.1:{port}"
        config = configure(tmp_path, serial("a", text[0]) + serial("b", text[1]))
        with DataDir(tmp_path / "data"), socket.create_connection(("localhost", port)):
            failed, lines = await connect(config)
    assert failed == 0
    assert sorted(lines) == [
        f'ok      serial "{name}": {address}: in use by the gateway (process {os.getpid()})'
        for name, address in zip("ab", text, strict=True)
    ]


async def test_a_device_server_that_is_none_fails(tmp_path: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xff\xfe\x2c")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        failed, (line,) = await connect(
            configure(tmp_path, serial("s", f"rfc2217://127.0.0.1:{port}"))
        )
    assert failed == 1
    assert "it does not speak RFC 2217" in line


async def test_commands_are_looked_for_and_not_started(tmp_path: Path) -> None:
    touch = serial("touch", "x").replace('port = "x"', f'command = ["touch", "{tmp_path}/x"]')
    gone = serial("gone", "x").replace('port = "x"', 'command = ["no-such-command"]')
    failed, lines = await connect(configure(tmp_path, touch + gone + serial("in", "stdin")))
    assert failed == 1
    missing, stdin, found = sorted(lines)
    assert missing.startswith('FAILED  serial "gone": no-such-command: no such command')
    assert stdin == 'ok      serial "in": standard input is read while the gateway runs'
    assert found == f'ok      serial "touch": there is {shutil.which("touch")}'
    assert not (tmp_path / "x").exists()


async def test_a_port_that_another_program_reads_fails(tmp_path: Path) -> None:
    device = Device()
    config = configure(tmp_path, serial("mast", device.path))
    async with listening(device.path) as listener:
        await listener.wait_for_open()
        failed, (line,) = await connect(config)
    assert failed == 1
    assert "in use" in line
    device.unplug()


def test_who_holds_a_directory_can_be_told_without_taking_it(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    with holding(tmp_path, "/dev/null") as process:
        assert holder(tmp_path) == process
    assert holder(tmp_path) is None
    with DataDir(tmp_path):
        pass


@pytest.mark.parametrize("version", VERSIONS)
async def test_influxdb_takes_a_test_point_of_its_own_measurement(
    tmp_path: Path, version: int
) -> None:
    async with Influx(version) as server:
        failed, (line,) = await connect(configure(tmp_path, influxdb(server)))
        assert (failed, list(server.points.values())) == (0, [{"ok": 1.0}])
        ((series, _),) = server.points
        assert series == "sensor_gateway_check,gateway=test"
        assert line == (
            f"ok      InfluxDB: {server.url} answers as InfluxDB {VERSIONS[version]}; a test point "
            'is in sensor_gateway_check of "sensors"'
        )


async def test_the_wrong_version_is_named_beside_the_refusal(tmp_path: Path) -> None:
    async with Influx(1) as server:
        failed, lines = await connect(configure(tmp_path, influxdb(server, version=2)))
    assert failed == 1
    assert lines[0].startswith(f"FAILED  InfluxDB: {server.url}: HTTP 404")
    assert lines[1].startswith("warning InfluxDB")
    assert lines[1].endswith("answers as InfluxDB 1.6.7, but influxdb.version is 2")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(401, '{"error": "authorization failed"}'), "HTTP 401: authorization failed"),
        (Fault(503, '{"error": "busy"}'), "HTTP 503: busy"),
        (Fault(413, '{"error": "too large"}'), "HTTP 413: too large"),
        (Fault(400, '{"error": "unable to parse"}'), "HTTP 400: unable to parse"),
        (Fault(cut=True), "Server disconnected"),
    ],
)
async def test_what_influxdb_says_is_passed_on(tmp_path: Path, fault: Fault, words: str) -> None:
    async with Influx(1) as server:
        server.faults.append(fault)
        failed, (line,) = await connect(configure(tmp_path, influxdb(server)))
    assert failed == 1
    assert line.startswith("FAILED  InfluxDB: ")
    assert words in line


async def test_nobody_there(tmp_path: Path) -> None:
    broker = (
        '[[mqtt]]\nname = "home"\nurl = "mqtt://127.0.0.1:{port}"\n'
        'subscribe = [{{ topic = "a/#", decoder = "json" }}]\n'
    )
    async with Influx(3) as server:
        text = influxdb(server) + broker.format(port=server.url.rpartition(":")[2])
    failed, lines = await connect(configure(tmp_path, text))
    assert failed == 2
    assert all("onnect" in line for line in lines)


async def test_a_black_hole_is_left_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "CHECK_S", 0.2)
    async with Influx(1) as server:
        server.faults.append(Fault(delay_s=3600))
        failed, (line,) = await connect(configure(tmp_path, influxdb(server)))
    assert failed == 1
    assert "no answer within 0." in line


async def test_results_come_as_they_are_there(tmp_path: Path) -> None:
    """The slow one does not hold up the others."""
    device = Device()
    async with Influx(1) as server:
        server.faults.append(Fault(delay_s=1.0))
        config = configure(tmp_path, influxdb(server) + serial("mast", device.path))
        _, lines = await connect(config)
    assert [line.split()[1] for line in lines] == ["serial", "InfluxDB:"]
    device.unplug()
