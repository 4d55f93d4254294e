"""The systemd unit agrees with the gateway, with systemd, and with the installation guide."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from gateway.cli import command
from gateway.config.load import PLACES, load
from gateway.errors import EXIT_USAGE

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "deploy" / "sensor-gateway.service"

START_S = 30.0
WATCHDOG_US = 400_000
EXPOSURE_MAX = 24
"""Of `systemd-analyze security`, in tenths: 0 is a sealed box, 100 an unprotected service.

Two of them for the call that asks about the clock, by which others, with rights, could set it."""

SERIAL_MAJORS = {"4", "166", "188", "204"}
"""ttyS, ttyACM, ttyUSB and ttyAMA (Linux, Documentation/admin-guide/devices.txt)."""


def settings(content: str) -> dict[str, list[str]]:
    """Every key's values; keys come more than once, which configparser does not allow."""
    found: dict[str, list[str]] = {}
    for line in content.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


UNIT_SETTINGS = settings(UNIT.read_text(encoding="utf-8"))


def the(key: str) -> str:
    """The one value of a key."""
    (value,) = UNIT_SETTINGS[key]
    return value


def test_it_starts_a_command_that_there_is() -> None:
    program, name, *arguments = the("ExecStart").split()
    assert Path(program).name == "sensor-gateway"
    assert isinstance(command, click.Group)
    run = command.commands[name]
    options = {option for parameter in run.params for option in parameter.opts}
    assert arguments == ["--config", str(PLACES[-1])]
    assert "--config" in options


def test_its_folders_are_those_of_the_gateway(tmp_path: Path) -> None:
    assert PLACES[-1].parent == Path("/etc") / the("ConfigurationDirectory")
    config = tmp_path / "gateway.toml"
    config.touch()
    state = f"/var/lib/{the('StateDirectory')}"
    loaded = load(config, environ={"STATE_DIRECTORY": state})
    assert str(loaded.gateway.data_dir) == state


def test_it_says_when_it_is_ready_and_is_watched() -> None:
    assert the("Type") == "notify"
    assert int(the("WatchdogSec")) == 30
    assert the("Restart") == "always"
    assert the("StartLimitIntervalSec") == "0"


def test_only_a_wrong_configuration_is_not_tried_again(tmp_path: Path) -> None:
    assert the("RestartPreventExitStatus") == str(EXIT_USAGE)
    wrong = tmp_path / "gateway.toml"
    wrong.write_text("[gateway]\nnmae = 1\n")
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "run", "--config", str(wrong)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert done.returncode == EXIT_USAGE
    assert "nmae" in done.stderr


def test_it_may_use_serial_ports_and_no_other_device() -> None:
    assert the("DevicePolicy") == "closed"
    assert set(UNIT_SETTINGS["DeviceAllow"]) == {f"char-{major} rw" for major in SERIAL_MAJORS}
    assert "PrivateDevices" not in UNIT_SETTINGS
    assert "dialout" in the("SupplementaryGroups")


def test_it_may_ask_whether_the_clock_is_synchronized_and_not_set_it() -> None:
    """The C library asks by the second, or third, of these calls; all belong to @privileged."""
    allowed = UNIT_SETTINGS["SystemCallFilter"]
    asked = "adjtimex clock_adjtime clock_adjtime64"
    assert allowed.index(asked) > allowed.index("~@privileged")
    assert "ProtectClock" not in UNIT_SETTINGS, "it forbids these calls too"
    assert the("CapabilityBoundingSet") == the("AmbientCapabilities") == ""


def test_the_guide_installs_what_the_unit_starts() -> None:
    guide = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    program = Path(the("ExecStart").split()[0])
    assert f"python3 -m venv {program.parents[1]}" in guide
    assert f"useradd --system --user-group --groups {the('SupplementaryGroups')}" in guide
    assert f"/var/lib/{the('StateDirectory')}" in guide


def test_the_guide_names_files_and_commands_that_there_are() -> None:
    assert isinstance(command, click.Group)
    for name in ("install.md", "grafana.md"):
        guide = (ROOT / "docs" / name).read_text(encoding="utf-8")
        for file in re.findall(r"\bdeploy/[\w./-]+\w", guide):
            assert (ROOT / file).exists(), file
        for link in re.findall(r"\]\(([\w./-]+)(?:#[\w-]+)?\)", guide):
            assert (ROOT / "docs" / link).exists(), link
        for used in re.findall(r"sensor-gateway ([a-z][a-z-]+) --", guide):
            assert used in command.commands, used


def test_the_configuration_of_the_guide_is_valid(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.+?)```", guide, flags=re.DOTALL)
    config = tmp_path / "gateway.toml"
    config.write_text(example)
    loaded = load(config, environ={})
    assert str(loaded.gateway.data_dir) == f"/var/lib/{the('StateDirectory')}"
    broker = (ROOT / "deploy" / "mosquitto.conf").read_text(encoding="utf-8")
    assert f"\nmax_inflight_messages {loaded.mqtt[0].broker_window}\n" in broker


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd's own look at units; skips the test where there is none."""
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is missing; Debian has it: apt-get install systemd")
    return subprocess.run([found, *arguments], capture_output=True, text=True, check=False)


def calls(name: str) -> set[str]:
    """The system calls of a filter; a set's name begins with @."""
    if not name.startswith("@"):
        return {name}
    members = (line.strip() for line in analyze("syscall-filter", name).stdout.splitlines()[1:])
    return set().union(*(calls(member) for member in members if member and member[0] != "#"))


def test_it_may_start_commands_and_use_the_network() -> None:
    allowed = calls("@system-service") - calls("@privileged")
    assert {"execve", "vfork", "clone", "setsid", "pipe2", "kill", "wait4", "connect"} <= allowed
    assert {"@system-service", "~@privileged"} <= set(UNIT_SETTINGS["SystemCallFilter"])
    assert "NoExecPaths" not in UNIT_SETTINGS
    assert {"AF_INET", "AF_INET6"} <= set(the("RestrictAddressFamilies").split())


def test_what_a_command_needs_for_usb_is_told_alike() -> None:
    guide = (ROOT / "docs" / "serial.md").read_text(encoding="utf-8")
    (extra,) = re.findall(r"```ini\n\[Service\]\n(.+?)```", guide, flags=re.DOTALL)
    commented = {line.removeprefix("#") for line in UNIT.read_text("utf-8").splitlines()}
    assert set(extra.splitlines()) <= commented


@pytest.mark.integration
def test_systemd_itself_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    program = the("ExecStart").split()[0]
    unit.write_text(UNIT.read_text(encoding="utf-8").replace(program, sys.executable))
    done = analyze("verify", "--recursive-errors=no", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.integration
def test_the_sandbox_stays_as_tight_as_it_was() -> None:
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(UNIT))
    assert done.returncode == 0, done.stdout[-200:]


@contextmanager
def service(tmp_path: Path, manager: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
    """The gateway as systemd starts it; ended with the block."""
    config = tmp_path / "gateway.toml"
    config.write_text('[console]\nlisten = ""\n')
    environment = os.environ | {
        "NOTIFY_SOCKET": str(manager.getsockname()),
        "WATCHDOG_USEC": str(WATCHDOG_US),
        "STATE_DIRECTORY": str(tmp_path / "state"),
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "run", "--config", str(config)],
            cwd=ROOT,
            env=environment,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Where systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(START_S)
        yield listening


@pytest.mark.integration
def test_systemd_hears_of_start_life_and_end(tmp_path: Path, manager: socket.socket) -> None:
    with service(tmp_path, manager) as process:
        heard = [manager.recv(1024) for _ in range(4)]
        assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        process.send_signal(signal.SIGTERM)
        while (message := manager.recv(1024)) == b"WATCHDOG=1":
            pass
        assert message == b"STOPPING=1"
        assert process.wait(float(the("TimeoutStopSec"))) == 0


@pytest.mark.integration
def test_a_process_that_hangs_is_silent(tmp_path: Path, manager: socket.socket) -> None:
    with service(tmp_path, manager) as process:
        assert manager.recv(1024) == b"READY=1"
        process.send_signal(signal.SIGSTOP)
        manager.settimeout(3 * WATCHDOG_US / 1e6)
        with pytest.raises(TimeoutError):
            [manager.recv(1024) for _ in range(100)]
