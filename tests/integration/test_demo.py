"""The demo, as a new user runs it: readings from both worlds in a store, and a balanced ledger."""

import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from gateway.demo_servers import SYSTEM_PATH

pytestmark = pytest.mark.integration


def run_demo(*arguments: str) -> str:
    """What `sensor-gateway demo` prints; it must end well."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def check_output(output: str) -> None:
    assert re.search(r"^Look at: +http://127\.0\.0\.1:\d+/$", output, re.MULTILINE)
    assert "The ledger is balanced" in output
    for name in ("mast", "bench"):
        assert re.search(rf"^{name} +serial: [1-9]\d* frames", output, re.MULTILINE)
        assert re.search(rf"^  {name} +[1-9]\d* temperatures", output, re.MULTILINE)
    assert re.search(r"^simulators +mqtt: [1-9]\d* frames", output, re.MULTILINE)
    assert re.search(r"^  room-1 +[1-9]\d* temperatures", output, re.MULTILINE)


def test_the_demo_uses_the_servers_that_are_installed() -> None:
    for program, package in (("mosquitto", "mosquitto"), ("influxd", "influxdb")):
        if shutil.which(program, path=SYSTEM_PATH) is None:
            pytest.skip(f"{program} is missing: apt install {package}")
    output = run_demo("--seconds", "5")
    assert re.search(r"^Broker: +mosquitto, started", output, re.MULTILINE)
    assert re.search(r"^Store: +InfluxDB 1\.\S+, started", output, re.MULTILINE)
    check_output(output)


def test_the_demo_needs_no_server_at_all() -> None:
    output = run_demo("--seconds", "5", "--embedded")
    assert re.search(r"^Broker: +amqtt \(embedded\)", output, re.MULTILINE)
    assert re.search(r"^Store: +an SQLite archive", output, re.MULTILINE)
    check_output(output)


def test_ctrl_c_ends_the_demo_with_everything_delivered() -> None:
    """A terminal sends it to the whole process group; servers and devices must not hear it."""
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as demo:
        assert demo.stdout is not None
        head = ""
        while "temperature=" not in head:
            line = demo.stdout.readline()
            assert line, demo.communicate()[1]
            head += line
        os.killpg(demo.pid, signal.SIGINT)
        rest, errors = demo.communicate(timeout=60)
    assert demo.returncode == 0, head + rest + errors
    assert "The ledger is balanced" in rest
    assert " pending" not in rest


def test_a_demo_whose_reader_leaves_ends_in_words() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", "demo", "--embedded"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        demo.stdout.close()
        assert demo.stderr is not None
        assert demo.stderr.read() == "nobody reads the output any more\n"
    assert demo.returncode == 1
