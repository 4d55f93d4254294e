"""`check --connect` against a real broker, a real InfluxDB and a running gateway."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway import check
from gateway.check import check_connections
from gateway.config import load
from gateway.config.models import Config
from gateway.console.status import Status
from tests.integration.black_holes import DEAD_NAME, gateway_with_dead_dns
from tests.integration.influxd import Influxd, needs_influxd
from tests.integration.mosquitto import Mosquitto, running
from tests.integration.rig import DATABASE, GATEWAY, GatewayProcess, at_rest
from tests.transports.serial_pty import Device

pytestmark = pytest.mark.integration

POLICY = {
    "defaultACLAccess": {"publishClientReceive": True, "subscribe": False, "unsubscribe": True},
    "anonymousGroup": "all",
    "groups": [{"groupname": "all", "roles": [{"rolename": "reader"}]}],
    "roles": [
        {
            "rolename": "reader",
            "acls": [{"acltype": "subscribePattern", "topic": "allowed/#", "allow": True}],
        }
    ],
}
"""For mosquitto's dynamic security: with an `acl_file` it grants all and then keeps silent."""


def broker_section(port: int, more: str = "", topics: str = '"sensors/{device}/#"') -> str:
    subscriptions = ", ".join(
        f'{{ topic = {topic}, decoder = "json" }}' for topic in topics.split(", ")
    )
    return (
        f'[[mqtt]]\nname = "home"\nurl = "mqtt://127.0.0.1:{port}"\n{more}\n'
        f"subscribe = [{subscriptions}]\n"
    )


def configure(folder: Path, text: str) -> Path:
    path = folder / "gateway.toml"
    path.write_text(
        f'[gateway]\nname = "test"\ndata_dir = "data"\n[console]\nlisten = ""\n'
        f'[spool]\nmin_free = "1MiB"\n{text}'
    )
    return path


def loaded(folder: Path, text: str) -> Config:
    return load(configure(folder, text), environ={})


async def connect(config: Config) -> tuple[int, list[str]]:
    lines: list[str] = []
    failed = await check_connections(config, lines.append)
    return failed, [line for line in lines if "data directory" not in line]


def sessions(broker: Mosquitto) -> int:
    """The sessions that the broker keeps, by what it stores when it ends."""
    broker.stop()
    stored = (broker.folder / "mosquitto.db").read_bytes()
    broker.start()
    return len(set(re.findall(rb"home-check-[0-9a-f]{8}", stored)))


def dynamic_security() -> Path:
    """Where mosquitto's plug-in is; skips the test where it is not."""
    for folder in ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib"):
        for found in Path(folder).rglob("mosquitto_dynamic_security.so"):
            return found
    pytest.skip("mosquitto_dynamic_security.so is missing: Debian has it with mosquitto")


def overflow(port: int) -> None:
    """Publish more than the broker keeps for a session that is away."""
    if shutil.which("mosquitto_sub") is None:
        pytest.skip("mosquitto_sub is missing: apt install mosquitto-clients")
    to = ["-p", str(port), "-q", "1", "-t", "t"]
    subprocess.run(["mosquitto_sub", *to, "-c", "-i", "away", "-E"], check=True)  # noqa: S607
    subprocess.run(["mosquitto_pub", *to, "-l"], input=b"x\n" * 100, check=True)  # noqa: S607


def check_command(
    config: Path, program: Sequence[str] = GATEWAY
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *program, "check", "--connect", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])
async def test_the_broker_knows_nothing_of_it_afterwards(tmp_path: Path, protocol: str) -> None:
    with running(tmp_path / "broker") as broker:
        section = broker_section(broker.port, f'protocol = "{protocol}"')
        failed, (line,) = await connect(loaded(tmp_path, section))
        assert failed == 0
        where = f"127.0.0.1:{broker.port}"
        assert line == f'ok      mqtt "home": {where} lets us subscribe to sensors/{{device}}/#'
        assert sessions(broker) == 0


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_refused_subscriptions_are_named(tmp_path: Path, protocol: str) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(POLICY))
    settings = (f"plugin {dynamic_security()}", f"plugin_opt_config_file {policy}")
    with running(tmp_path / "broker", *settings) as broker:
        section = broker_section(
            broker.port, f'protocol = "{protocol}"', '"secret/#", "allowed/{device}"'
        )
        failed, lines = await connect(loaded(tmp_path, section))
    assert failed == 1
    assert [line for line in lines if "refuses" in line] == lines
    assert 'FAILED  mqtt "home": the broker refuses the subscription of "secret/#"' in lines[0]


async def test_a_wrong_password_is_said_to_be_one(tmp_path: Path) -> None:
    with running(tmp_path / "broker", "allow_anonymous false") as broker:
        section = broker_section(broker.port, 'username = "u"\npassword = "p"\nclient_id = "mine"')
        failed, (line,) = await connect(loaded(tmp_path, section))
    assert failed == 1
    assert 'refuses the gateway (user "u"): Not authorized' in line
    assert 'so as not to disturb "mine"' in line


async def test_what_the_broker_dropped_is_reported(tmp_path: Path) -> None:
    """A session that is away, and more messages than the broker keeps for it."""
    settings = ("max_queued_messages 5", "sys_interval 1")
    with running(tmp_path / "broker", *settings) as broker:
        overflow(broker.port)
        async with asyncio.timeout(20):
            lines = [""]
            while len(lines) < 2:  # until the broker has published its count
                failed, lines = await connect(loaded(tmp_path, broker_section(broker.port)))
                assert failed == 0
    ok, warning = lines
    assert ok.startswith("ok ")
    assert warning.startswith('warning mqtt "home": the broker has dropped ')
    assert "max_queued_messages 0" in warning


async def test_a_broker_that_hangs_is_left_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "STEP_S", 0.3)
    with running(tmp_path / "broker") as broker:
        broker.freeze()
        failed, (line,) = await connect(loaded(tmp_path, broker_section(broker.port)))
    assert failed == 1
    assert "no answer within 0.3 s" in line


@needs_influxd
def test_a_running_gateway_is_not_disturbed(tmp_path: Path) -> None:
    """Port, session and database of the same configuration, while it runs."""
    device = Device()
    gateway = GatewayProcess(tmp_path)
    with running(tmp_path / "broker") as broker, Influxd(tmp_path) as influxd:
        port = f'[[serial]]\nname = "mast"\nport = "{device.path}"\ndecoder = "text"\n'
        gateway.configure(port + broker_section(broker.port), influxdb=influxd.url)
        with gateway.running():
            gateway.await_connected()
            checked = check_command(gateway.config)
            device.say(b"the first line may be half of one\ntemperature=21.5\n")
            gateway.await_status("at rest", at_rest_with_one)
            in_use = f"in use by the gateway (process {gateway.pid})"
        (row,) = influxd.query("SELECT * FROM sensor", DATABASE)
        assert broker.log.read_text().count("New client connected") == 1 + 2
    assert row["temperature"] == 21.5
    assert checked.returncode == 0, checked.stdout + checked.stderr
    lines = checked.stdout.splitlines()
    assert f'ok      serial "mast": {device.path}: {in_use}' in lines
    assert any(line.startswith("ok      InfluxDB: ") and "InfluxDB 1." in line for line in lines)
    assert any(line.startswith('ok      mqtt "home"') for line in lines)
    assert lines[-1] == "Everything answers."
    device.unplug()


def at_rest_with_one(status: Status) -> bool:
    return at_rest(status) and status["ledger"]["sources"]["mast"]["counts"]["spooled"] == 1


def test_the_exit_code_says_that_something_failed(tmp_path: Path) -> None:
    port = '[[serial]]\nname = "mast"\nport = "/dev/nosuch"\ndecoder = "text"\n'
    checked = check_command(configure(tmp_path, port))
    assert checked.returncode == 1
    assert checked.stderr == "1 check failed.\n"


def test_a_dead_resolver_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Its threads cannot be ended; the process ends without them."""
    config = configure(
        tmp_path,
        f'[influxdb]\nversion = 1\nurl = "http://{DEAD_NAME}:8086"\ndatabase = "d"\n'
        f'timeout = "1s"\n[[mqtt]]\nname = "home"\nurl = "mqtt://{DEAD_NAME}"\n'
        'subscribe = [{ topic = "a", decoder = "json" }]\n',
    )
    started = time.monotonic()
    checked = check_command(config, gateway_with_dead_dns())
    assert time.monotonic() - started < 2 * check.CHECK_S
    assert checked.stderr == "2 checks failed.\n"
    failed = sorted(line for line in checked.stdout.splitlines() if line.startswith("FAILED"))
    assert "InfluxDB: " in failed[0]
    assert f'cannot find the address of "{DEAD_NAME}": no answer within' in failed[1]
