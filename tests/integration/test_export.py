"""`export` as a command: beside a running gateway, into a real InfluxDB, interrupted."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.model import Group, Observation, TimeSource
from gateway.sinks.line_protocol import make_series
from gateway.spool.archive import Archive
from tests.integration.influxd import Influxd, needs_influxd
from tests.integration.rig import GATEWAY, GatewayProcess
from tests.transports.serial_pty import Device

pytestmark = pytest.mark.integration

START_S = 20.0
T0_NS = 1_720_000_000 * 10**9


def configure(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f'[gateway]\ndata_dir = "data"\n{text}')
    return path


def influxdb(folder: Path, url: str) -> Path:
    return configure(
        folder, "influxdb.toml", f'[influxdb]\nversion = 1\nurl = "{url}"\ndatabase = "d"\n'
    )


def start(config: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *GATEWAY, "export", "--config", str(config), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def export(config: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and what it said."""
    process = start(config, *arguments)
    _, said = process.communicate(timeout=60)
    return process.returncode, said.decode()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def make_archive(folder: Path, count: int, *more: Observation) -> None:
    (folder / "data").mkdir(exist_ok=True)
    archive = Archive.open(folder / "data" / "archive.db", min_free=0)
    archive.commit(Group(rows=[*(point(i, float(i)) for i in range(count)), *more]))
    archive.close()


def point(i: int, value: float | str) -> Observation:
    series = make_series("sensor", {"device": "d"})
    time_ns = T0_NS + i * 10**9
    return Observation(series, {"f": value}, time_ns, time_ns, TimeSource.ARRIVAL)


@needs_influxd
def test_the_archive_of_a_running_gateway_goes_to_influxdb(tmp_path: Path) -> None:
    """There is an [influxdb] now, and the gateway was not started again yet."""
    device = Device()
    gateway = GatewayProcess(tmp_path)
    gateway.configure(f'[[serial]]\nname = "mast"\nport = "{device.path}"\ndecoder = "text"\n')

    def say(temperature: int) -> None:
        device.say(b"temperature=%d\n" % temperature)
        gateway.await_status(
            "archived",
            lambda status: status["ledger"]["sources"]["mast"]["counts"]["spooled"] == temperature,
        )

    with Influxd(tmp_path) as influxd, gateway.running():
        config = influxdb(tmp_path, influxd.url)
        gateway.await_connected()
        device.say(b"the first line may be half of one\n")
        for temperature in (1, 2, 3):
            say(temperature)
        for _ in range(2):
            code, said = export(config)
            assert code == 0, said
            assert said.endswith(f" points exported to {influxd.url}, 0 refused\n")
        say(4)
        assert export(config)[0] == 0
        say(5)
        rows = influxd.query("SELECT * FROM sensor", "d")
    assert [(row["device"], row["temperature"]) for row in rows] == [
        ("mast", temperature) for temperature in (1, 2, 3, 4)
    ]
    device.unplug()


@needs_influxd
def test_what_influxdb_refuses_is_listed(tmp_path: Path) -> None:
    make_archive(tmp_path, 5_000, point(2_500, "text"))
    with Influxd(tmp_path) as influxd:
        code, said = export(influxdb(tmp_path, influxd.url))
        (row,) = influxd.query("SELECT count(f) FROM sensor", "d")
    assert code == 1
    assert row["count"] == 4_999
    *_, refused, summary, verdict = said.splitlines()
    assert refused.startswith("refused: partial write: field type conflict")
    assert refused.endswith(f'sensor,device=d f="text" {T0_NS + 2_500 * 10**9}')
    assert summary == f"4999 points exported to {influxd.url}, 1 refused"
    assert verdict.startswith("Not everything was taken")
    assert "Traceback" not in said


@needs_influxd
def test_ctrl_c_ends_it_at_once_and_the_next_time_completes_it(tmp_path: Path) -> None:
    make_archive(tmp_path, 30_000)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = start(influxdb(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}"))
        silent.settimeout(START_S)
        request, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=5)
        request.close()
    assert process.returncode == 1
    assert said.startswith(b"0 points exported")
    with Influxd(tmp_path) as influxd:
        assert export(influxdb(tmp_path, influxd.url))[0] == 0
        (row,) = influxd.query("SELECT count(f) FROM sensor", "d")
    assert row["count"] == 30_000


def test_ctrl_c_leaves_no_half_file(tmp_path: Path) -> None:
    make_archive(tmp_path, 60_000)
    out = tmp_path / "out.lp.gz"
    process = start(configure(tmp_path, "gateway.toml", ""), "--output", str(out))
    wait_for((tmp_path / "out.lp.gz.part").exists)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=5)
    assert process.returncode == 1
    assert b"Traceback" not in said
    assert list(tmp_path.glob("out*")) == []


def test_a_reader_that_has_seen_enough_is_no_accident(tmp_path: Path) -> None:
    make_archive(tmp_path, 50_000)
    process = start(configure(tmp_path, "gateway.toml", ""), "--output", "-")
    assert process.stdout is not None
    assert process.stdout.readline() == b"sensor,device=d f=0.0 %d\n" % T0_NS
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read().decode()
    assert process.wait(START_S) == 1
    assert "Broken pipe" in said
    assert "Traceback" not in said
    process.stderr.close()
