"""The command: what it prints, what it writes, and how it ends."""

import json
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from simulators.__main__ import main
from tests.simulators.broker import Broker, Subscriber, needs_mosquitto

ROOT = Path(__file__).parents[2]
SERIAL = '[[serial]]\nname = "mast"\n'
ROOMS = """
seed = 3
[[mqtt]]
name = "room"
count = 5
topic = "sensors/{location}/{device}/state"
interval = "10ms"
readings = 20
sequence = true
faults = { flip = 0.1, garbage = 0.1 }
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    return tmp_path / "scenario.toml"


def command(scenario: Path, *options: str) -> list[str]:
    directory = ["--directory", str(scenario.parent)]
    return [sys.executable, "-m", "simulators", str(scenario), *directory, *options]


def test_no_time_at_all_prints_the_configuration(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario.write_text(SERIAL)
    config = scenario.with_name("gateway.toml")
    options = ["--seconds", "0", "--directory", str(scenario.parent), "--config", str(config)]
    assert main([str(scenario), *options]) == 0
    *lines, totals = capsys.readouterr().out.splitlines()
    assert tomllib.loads("\n".join(lines)) == tomllib.loads(config.read_text())
    assert tomllib.loads(config.read_text())["serial"][0]["port"] == f"{scenario.parent}/mast"
    assert json.loads(totals)["devices"]["mast"]["readings"] == 0
    assert not scenario.with_name("mast").is_symlink()


def test_quiet_prints_the_totals_only(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario.write_text(SERIAL)
    options = ["--quiet", "--seconds", "10ms", "--directory", str(scenario.parent)]
    assert main([str(scenario), *options]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {
        "seed", "seconds", "connections", "unacknowledged", "total", "devices",
    }  # fmt: skip


def test_a_wrong_scenario_is_explained(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario.write_text('[[serial]]\nname = "a"\nform = "jsno"\n')
    assert main([str(scenario)]) == 2
    assert "serial[0].form: found 'jsno'" in capsys.readouterr().err


def test_a_file_in_the_way_is_no_traceback(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario.write_text(SERIAL)
    scenario.with_name("mast").write_text("mine")
    assert main([str(scenario), "--seconds", "1", "--directory", str(scenario.parent)]) == 1
    assert "left alone" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(scenario: Path, number: signal.Signals) -> None:
    scenario.write_text(SERIAL)
    with subprocess.Popen(command(scenario), cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"[[serial]]\n"
        assert scenario.with_name("mast").is_symlink()
        started = time.monotonic()
        process.send_signal(number)
        rest, _ = process.communicate()
        assert process.returncode == 0
    assert time.monotonic() - started < 2.0
    assert json.loads(rest.splitlines()[-1])["seed"] == 1
    assert not scenario.with_name("mast").is_symlink()


@needs_mosquitto
@pytest.mark.integration
def test_the_record_tells_what_must_arrive(scenario: Path, tmp_path: Path) -> None:
    scenario.write_text(ROOMS)
    record = tmp_path / "sent.jsonl"
    broker = Broker(tmp_path)
    broker.start()
    try:
        with Subscriber(broker) as subscriber:
            options = ("--broker", broker.url, "--record", str(record), "--quiet")
            done = subprocess.run(
                command(scenario, *options), cwd=ROOT, check=True, capture_output=True, timeout=30
            )
            totals = json.loads(done.stdout)
            published = totals["total"]["messages"]
            end = time.monotonic() + 5
            while len(subscriber.messages) < published and time.monotonic() < end:
                time.sleep(0.01)
    finally:
        broker.stop()
    sent = [json.loads(line) for line in record.read_text().splitlines()]
    assert totals["total"]["readings"] == len(sent) == 100
    assert totals["total"]["acknowledged"] == published == len(subscriber.messages)
    assert published == 100 + totals["total"]["faults"]["garbage"]
    payloads = {payload for _, payload in subscriber.messages}
    whole = [each["values"] for each in sent if "damaged" not in each]
    assert 60 < len(whole) < 100
    for values in whole:
        assert json.dumps(values, separators=(",", ":")).encode() in payloads


def test_a_broker_that_is_not_there_is_said(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario.write_text(ROOMS)
    options = ["--broker", "mqtt://127.0.0.1:9", "--seconds", "0.3", "--quiet"]
    assert main([str(scenario), *options]) == 1
    assert "the broker could not be reached" in capsys.readouterr().err
