"""`dead-letters` and `spool` as commands, beside a running gateway and a real InfluxDB."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.influxd import Influxd, needs_influxd
from tests.integration.letters import fill, refused, run, write
from tests.integration.rig import DATABASE, GATEWAY, GatewayProcess, at_rest, memory_kib
from tests.spool.test_desk import points
from tests.transports.serial_pty import Device

pytestmark = pytest.mark.integration


@pytest.fixture
def influxd(tmp_path: Path) -> Iterator[Influxd]:
    with Influxd(tmp_path) as server:
        server.query(f'CREATE DATABASE "{DATABASE}"')
        yield server


def temperatures(influxd: Influxd) -> list[object]:
    rows = influxd.query("SELECT temperature FROM sensor WHERE device = 'mast'", DATABASE)
    return [row["temperature"] for row in rows]


@needs_influxd
def test_a_line_that_died_is_listed_mended_and_retried(tmp_path: Path, influxd: Influxd) -> None:
    """Another program has made the field an integer: our floats are refused."""
    write(influxd, f"sensor,device=other temperature=20i {time.time_ns()}")
    device = Device()
    gateway = GatewayProcess(tmp_path)
    gateway.configure(
        f'[[serial]]\nname = "mast"\nport = "{device.path}"\ndecoder = "json"\n',
        influxdb=influxd.url,
        commit_interval="50ms",
    )
    with gateway.running():
        gateway.await_connected()
        for temperature in (21.5, 22.5, 23.5):
            device.say(b'{"temperature": %.1f}\n' % temperature)
        gateway.await_status("refused", lambda s: s["store"]["dead_letters"] == 3)

        listed = run(gateway, "dead-letters", "list")
        assert listed.code == 0
        assert listed.out.startswith("3 dead letters kept, ")
        assert listed.out.count("field type conflict") == 3
        assert re.search(r"\n +3  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  400  partial write", listed.out)

        shown = run(gateway, "dead-letters", "show", "1").out
        line = re.search(r"line +(sensor,device=mast temperature=21\.5 (\d+))\n", shown)
        assert line is not None
        assert "retry        possible as it is" in shown

        in_vain = run(gateway, "dead-letters", "retry", "2")
        assert (in_vain.code, in_vain.out) == (0, "1 line put back for delivery.\n")
        gateway.await_status("refused again", lambda s: s["ledger"]["lines"]["dead"] == 4)

        bad = run(gateway, "dead-letters", "retry", "1", "--line", "sensor,device=mast t=21")
        assert (bad.code, bad.err) == (1, "the new line has no time at its end\n")
        mended = f"sensor,device=mast temperature=21i {line[2]}"
        done = run(gateway, "dead-letters", "retry", "1", "--line", mended)
        assert (done.code, done.out) == (0, "1 line put back for delivery.\n")
        gateway.await_status("delivered", lambda s: s["ledger"]["lines"]["delivered"] == 2)
        assert temperatures(influxd) == [21]

        influxd.query("DROP MEASUREMENT sensor", DATABASE)
        assert run(gateway, "dead-letters", "retry", "--all").out.startswith("2 lines put back")
        status = gateway.await_status("delivered", at_rest)
        assert sorted(map(str, temperatures(influxd))) == ["22.5", "23.5"]
        assert status["store"]["dead_letters"] == 0
        lines = status["ledger"]["lines"]
        assert (lines["spooled"], lines["retried"], lines["dead"], lines["delivered"]) == (
            4,
            4,
            4,
            4,
        )
        assert status["ledger"]["balanced"]
        assert run(gateway, "dead-letters", "list").code == 0
        assert gateway.end()[0] == 0
    device.unplug()


@needs_influxd
def test_what_waits_is_shown_and_exported_while_the_gateway_runs(
    tmp_path: Path, influxd: Influxd
) -> None:
    device = Device()
    gateway = GatewayProcess(tmp_path)
    gateway.configure(
        f'[[serial]]\nname = "mast"\nport = "{device.path}"\ndecoder = "json"\n',
        influxdb=influxd.url,
        commit_interval="50ms",
    )
    fill(gateway, refused(points(1, 3)), [])
    influxd.suspend()
    with gateway.running():
        gateway.await_connected()
        for n in range(20):
            device.say(b'{"temperature": %d}\n' % n)
        gateway.await_status("committed", lambda s: s["store"]["pending_lines"] == 21)
        look = json.loads(run(gateway, "spool", "show", "--json").out)
        assert (look["pending_lines"], look["letters"]["kept"]) == (21, 3)
        assert look["oldest_ns"] <= look["newest_ns"]
        out = run(gateway, "spool", "export")
        assert out.code == 0
        found = out.out.splitlines()
        assert len([line for line in found if line.startswith("sensor,device=mast temp")]) == 20
        assert out.err == "21 pending lines exported to -\n"
        assert run(gateway, "dead-letters", "drop", "--up-to", "2", "--yes").code == 0
        assert "1 dead letters kept" in run(gateway, "dead-letters", "list").out
        influxd.resume()
        status = gateway.await_status("delivered", at_rest)
        assert status["store"]["dead_letters"] == 1
    device.unplug()


def export_peak_kib(gateway: GatewayProcess, file: Path) -> int:
    """The most memory that the command took, as far as one can look while it runs."""
    command = [sys.executable, *GATEWAY, "dead-letters", "export", str(file)]
    process = subprocess.Popen(
        [*command, "--config", str(gateway.config)], stderr=subprocess.DEVNULL
    )
    peak = 0
    while process.poll() is None:
        with suppress(FileNotFoundError, StopIteration):  # it has just ended
            peak = max(peak, memory_kib(process.pid, "VmHWM"))
        time.sleep(0.01)
    assert process.returncode == 0
    return peak


def test_an_export_of_100_000_letters_is_never_in_memory(tmp_path: Path) -> None:
    """Neither in the command nor in the gateway: 40 MB of lines go through both."""
    device = Device()
    gateway = GatewayProcess(tmp_path)
    gateway.configure(
        f'[[serial]]\nname = "mast"\nport = "{device.path}"\ndecoder = "json"\n',
        influxdb="http://127.0.0.1:9",
    )
    fill(gateway, refused(points(1, 100_000, size=300)), [])
    with gateway.running():
        gateway.await_connected()
        assert run(gateway, "dead-letters", "list").code == 0
        before_kib = gateway.memory_kib()
        peak = export_peak_kib(gateway, tmp_path / "dead.lp")
        grown_kib = gateway.memory_kib("VmHWM") - before_kib
        assert gateway.end(signal.SIGTERM)[0] == 0
    device.unplug()
    assert (tmp_path / "dead.lp").stat().st_size > 40_000_000
    with (tmp_path / "dead.lp").open("rb") as file:
        assert sum(line.startswith(b"m,device=d") for line in file) == 100_000
    assert 10 * 1024 < peak < 90 * 1024
    assert grown_kib < 20 * 1024
