"""Scenario files: defaults, all mistakes at once, and the configuration that follows from them."""

import tomllib
from itertools import islice
from pathlib import Path

import pytest

from simulators.build import AnsweringPart, mqtt_parts, new_world, serial_parts
from simulators.configuration import configuration
from simulators.devices.text import Form
from simulators.faults import Outage
from simulators.pty import WhenClosed
from simulators.scenario import Scenario, ScenarioError, load, parse
from simulators.script import Step

HERE = Path("/tmp/base")  # noqa: S108 - nothing is created there
SCENARIOS = Path(__file__).parents[2] / "simulators" / "scenarios"

SMALL = """
seed = 7
duration = "2min"
[broker]
url = "mqtt://me:se%20cret@example.org:1884"
[[serial]]
name = "mast"
link = "/dev/shm/mast"
quantities = { temperature = "tempC" }
faults = { garbage = 0.5, unplug = "10s", silence = { every = "20s", lasts = "500ms" }, boot = true }
[[serial]]
name = "bench"
count = 2
form = "csv"
sequence = true
location = "shop"
[[mqtt]]
name = "room"
count = 3
topic = "sensors/{location}/{device}/state"
locations = ["hall", "attic"]
[[mqtt]]
name = "plug"
form = "value"
qos = 0
topic = "home/{device}/{field}"
quantities = { power = { name = "power", unit = "W" }, occupancy = "motion" }
"""  # noqa: E501


def read(text: str, broker_url: str = "") -> Scenario:
    return parse(tomllib.loads(text), directory=HERE, broker_url=broker_url)


def mistakes(text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        read(text)
    return str(caught.value)


def first_steps(scenario: Scenario, count: int) -> dict[str, list[Step]]:
    world = new_world(scenario)
    parts = [*serial_parts(scenario, world), *mqtt_parts(scenario, world)]
    return {
        part.name: list(islice(part.script, count))
        for part in parts
        if not isinstance(part, AnsweringPart)
    }


def test_a_scenario_is_read_with_its_defaults() -> None:
    scenario = read(SMALL)
    mast, bench = scenario.serial
    assert (scenario.seed, scenario.duration_s) == (7, 120.0)
    assert mast.links() == [Path("/dev/shm/mast")]  # noqa: S108
    assert bench.links() == [HERE / "bench-1", HERE / "bench-2"]
    assert bench.names() == ["bench-1", "bench-2"]
    assert (mast.style.form, bench.style.form) == (Form.JSON, Form.CSV)
    assert mast.line.when_closed is WhenClosed.WAIT
    assert mast.plan.faults.unplug == Outage(10.0, 1.0)
    assert mast.plan.faults.silence == Outage(20.0, 0.5)
    assert mast.plan.faults.garbage == 0.5


def test_devices_share_locations_in_turn() -> None:
    found = first_steps(read(SMALL), 1)
    topics = [steps[0].topic for name, steps in found.items() if name.startswith("room")]
    assert topics == [
        "sensors/hall/room-1/state",
        "sensors/attic/room-2/state",
        "sensors/hall/room-3/state",
    ]


@pytest.mark.parametrize("name", ["demo.toml", "load.toml"])
def test_the_same_file_and_seed_give_the_same_bytes(name: str) -> None:
    text = (SCENARIOS / name).read_text(encoding="utf-8")
    assert first_steps(read(text), 5) == first_steps(read(text), 5)
    other = "\n".join("seed = 99" if x.startswith("seed") else x for x in text.splitlines())
    assert first_steps(read(text), 5) != first_steps(read(other), 5)


def test_another_device_changes_no_bytes_of_the_others() -> None:
    more = SMALL + '\n[[mqtt]]\nname = "new"\ntopic = "new"\nlocations = ["hall"]\n'
    before, after = first_steps(read(SMALL), 50), first_steps(read(more), 50)
    assert {name: after[name] for name in before} == before


def test_the_configuration_reads_the_devices() -> None:
    text = configuration(read(SMALL))
    assert "cret" not in text
    assert tomllib.loads(text) == {
        "serial": [
            {"name": "mast", "port": "/dev/shm/mast", "baudrate": 9600, "decoder": "text"},  # noqa: S108
            *(
                {
                    "name": f"bench-{number}",
                    "port": f"{HERE}/bench-{number}",
                    "baudrate": 9600,
                    "decoder": "text",
                    "columns": ["sequence", "temperature", "humidity"],
                    "tags": {"location": "shop"},
                }
                for number in (1, 2)
            ),
        ],
        "mqtt": [
            {
                "name": "simulators",
                "url": "mqtt://example.org:1884",
                "username": "me",
                "password_file": "/path/to/a/file/with/the/password",
                "qos": 1,
                "subscribe": [
                    {"topic": "sensors/{location}/{device}/state", "decoder": "json"},
                    {"topic": "home/{device}/{field}", "decoder": "value"},
                ],
            }
        ],
    }


def test_a_device_may_be_reached_over_tcp() -> None:
    text = '[[serial]]\nname = "a"\nlisten = "{}"\n'
    for address in ("127.0.0.1:4001", "[::1]:4001"):
        (entry,) = tomllib.loads(configuration(read(text.format(address))))["serial"]
        assert entry == {"name": "a", "port": f"tcp://{address}", "decoder": "text"}


def test_the_command_line_overrules_the_broker() -> None:
    text = '[[mqtt]]\nname = "a"\ntopic = "a"\n'
    assert read(text, "mqtt://other").broker_url == "mqtt://other"
    assert "broker.url: missing" in mistakes(text)


def test_variables_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[[serial]]\nname = "a"\nlink = "${PORTS}/x"\n'
    monkeypatch.delenv("PORTS", raising=False)
    assert "serial[0].link: the environment variable 'PORTS' is not set" in mistakes(text)
    monkeypatch.setenv("PORTS", "/somewhere")
    assert read(text).serial[0].link == Path("/somewhere/x")


def test_all_mistakes_are_listed_with_their_place() -> None:
    text = """
        duration = "soon"
        sede = 4
        [broker]
        url = "http://x"
        [[serial]]
        name = "a"
        form = "jsn"
        baudrate = "fast"
        quantities = { temprature = "t" }
        [[mqtt]]
        name = "a"
        count = 2
        topic = "x/{room}"
        faults = { unplug = "1s", garbage = 2, gabrage = 0.1 }
        """
    found = mistakes(text)
    for expected in (
        "duration: found 'soon', expected a duration",
        "sede: unknown key; did you mean 'seed'?",
        "broker.url: found 'http://x', expected mqtt://",
        "serial[0].form: found 'jsn', allowed: json, ",
        "did you mean 'json'?",
        "serial[0].baudrate: found 'fast', expected a whole number",
        "serial[0].quantities.temprature: unknown key; did you mean 'temperature'?",
        "mqtt[0].topic: found {room}",
        "mqtt[0].topic: needs {device}",
        "mqtt[0].faults.unplug: only a serial device",
        "mqtt[0].faults.garbage: found 2, expected a number from 0 to 1",
        "mqtt[0].faults.gabrage: unknown key; did you mean 'garbage'?",
    ):
        assert expected in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed = 1", "no devices"),
        ('serial = "x"', "serial: expected tables"),
        ('[[serial]]\nname = "a"\n[[serial]]\nname = "a"', "name 'a': used more than once"),
        ('[[serial]]\nname = "a"\nform = "number"', "exactly one quantity"),
        ('[[serial]]\nname = "a"\nnewline = "x"', "newline: found 'x'"),
        ('[[serial]]\nname = "a"\nlisten = ":1"', "listen: found ':1', expected host:port"),
        ('[[serial]]\nname = "a"\nlisten = "a:1"\ncount = 2', "listen: one device only"),
        ('[[serial]]\nname = "a"\ninterval = "0s"', "interval: found '0s'"),
        ('[[serial]]\nname = "a"\nquantities = {}', "expected at least one"),
        ('[[serial]]\nname = "a"\nquantities = { power = "sequence" }', "'sequence' is taken"),
        ('[[serial]]\nname = "a"\nfaults = { silence = { evry = "1s" } }', "'every'"),
    ],
)
def test_each_mistake_has_its_message(text: str, expected: str) -> None:
    assert expected in mistakes(text)


def test_a_nested_name_can_not_lie_within_a_value() -> None:
    text = """
        broker.url = "mqtt://x"
        [[mqtt]]
        name = "a"
        topic = "a"
        form = "nested"
        quantities = { temperature = "air.t", humidity = "air.t.h" }
        """
    assert "lies within" in mistakes(text)


def test_a_file_that_is_no_toml_is_a_mistake(tmp_path: Path) -> None:
    for content in (b"= 1", b"\xff"):
        path = tmp_path / "bad.toml"
        path.write_bytes(content)
        with pytest.raises(ScenarioError, match=r"bad\.toml"):
            load(path, directory=tmp_path)
    with pytest.raises(ScenarioError, match="none"):
        load(tmp_path / "none.toml", directory=tmp_path)
