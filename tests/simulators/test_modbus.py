"""Simulated Modbus devices: what is answered, by whom, and how it travels."""

import asyncio
import io
import json
import struct
import tomllib
from pathlib import Path

import pytest

from simulators.answers import AnsweringPlayer
from simulators.build import AnsweringPart, new_world, serial_parts
from simulators.bus import Bus
from simulators.configuration import configuration
from simulators.devices import Reply, Responder
from simulators.devices.modbus import HABITS, MODELS, Slave, crc, make
from simulators.pace import Pace
from simulators.pty import Port
from simulators.scenario import Scenario, ScenarioError, parse
from simulators.tally import Tally
from tests.simulators.ports import Reader, until


def measure(quantity: str, _t: float) -> float:
    return {"voltage": 230.25, "current": 1.5, "power": 345.6, "energy": 12.345}.get(quantity, 7.0)


def device(variant: str) -> Slave:
    return make("x", measure, variant)


def request(text: str) -> bytes:
    data = bytes.fromhex(text)
    return data + crc(data)


def answers(slave: Responder, text: str) -> list[str]:
    """What it says, without the checksum, which is right."""
    said = slave.receive(request(text), 1.0)
    assert all(crc(reply.data[:-2]) == reply.data[-2:] for reply in said)
    return [reply.data[:-2].hex() for reply in said]


def test_the_checksum_is_the_published_one() -> None:
    assert crc(b"123456789") == b"\x37\x4b"


def test_values_are_coded_as_in_the_documents() -> None:
    volts = struct.pack(">f", 230.25).hex()
    assert answers(device("sdm120@1"), "01 04 0000 0002") == [f"010404{volts}"]
    (meter,) = answers(device("pzem004t@2"), "02 04 0000 0005")
    assert meter == "02040a" + "08fe" + "05dc0000" + "0d800000"
    assert answers(device("s8"), "FE 04 0003 0001") == ["fe04020007"]


def test_numbers_on_the_wire_are_told() -> None:
    (reply,) = device("pzem004t@1").receive(request("01 04 0000 0003"), 0.0)
    assert reply.values == {"voltage": 230.2, "current": 1.5}
    (reply,) = device("pzem004t@1").receive(request("01 04 0000 0002"), 0.0)
    assert reply.values == {"voltage": 230.2}  # half of the current


@pytest.mark.parametrize(
    ("variant", "text", "said"),
    [
        ("sdm630@1", "01 04 0001 0002", "018402"),
        ("sdm630@1", "01 04 0000 0052", "018403"),
        ("sdm630@1", "01 04 0000 0000", "018403"),
        ("sdm630@1", "01 03 0000 0002", "018302"),
        ("sdm630@1", "01 06 0000 0002", "018601"),
        ("sdm72@1", "01 04 0000 0002", "018402"),
        ("sdm72@1", "01 04 0034 0016", "018402"),
        ("s8@4", "04 04 0000 0009", "048403"),
    ],
)
def test_what_a_device_cannot_is_an_exception(variant: str, text: str, said: str) -> None:
    assert answers(device(variant), text) == [said]


def test_who_is_not_meant_says_nothing() -> None:
    meter = device("sdm120@5")
    assert not answers(meter, "04 04 0000 0002")
    damaged = bytearray(request("05 04 0000 0002"))
    damaged[5] ^= 1
    assert not meter.receive(bytes(damaged), 0.0)
    assert answers(meter, "05 04 0000 0002")


def test_requests_come_in_pieces_and_after_noise() -> None:
    meter = device("sdm120@1")
    data = b"\x00\x01\x04" + request("01 04 0000 0002")
    said = [reply for byte in data for reply in meter.receive(bytes([byte]), 0.0)]
    assert len(said) == 1


def test_habits() -> None:
    ask = "01 04 0000 0002"
    assert not answers(device("sdm120@1+dead"), ask)
    assert answers(device("sdm120@1+broken"), ask) == ["018404"]
    busy = device("sdm120@1+busy")
    assert answers(busy, ask) == ["018406"]
    assert answers(busy, ask) != ["018406"]
    (garbage,) = device("sdm120@1+garbage").receive(request(ask), 0.0)
    assert crc(garbage.data[:-2]) != garbage.data[-2:]
    (damaged,) = device("sdm120@1+damaged").receive(request(ask), 0.0)
    assert crc(damaged.data[:-2]) != damaged.data[-2:]
    (slow,) = device("sdm120@1+slow").receive(request(ask), 0.0)
    assert slow.delay_s > 0.5


@pytest.mark.parametrize("variant", ["sdm99", "sdm120@x", "sdm120@1+sleepy", "@1"])
def test_there_are_no_other_variants(variant: str) -> None:
    with pytest.raises(ValueError, match="has no variant"):
        device(variant)


def test_there_is_every_model_with_every_habit() -> None:
    for model in MODELS:
        for habit in HABITS:
            assert device(f"{model}@3{'+' * bool(habit)}{habit}").name == "x"


def test_a_bus_has_the_answers_of_whoever_is_meant() -> None:
    bus = Bus("bus", [make("a", measure, "sdm120@1"), make("b", measure, "pzem004t@2")], echo=True)
    data = request("02 04 0000 0001")
    echo, reply = bus.receive(data, 0.0)
    assert echo == Reply(data)
    assert (reply.device, reply.values) == ("b", {"voltage": 230.2})
    assert len(bus.receive(request("03 04 0000 0001"), 0.0)) == 1


async def test_answers_travel_at_the_pace_of_the_line(tmp_path: Path) -> None:
    """The port is opened, left and opened again."""
    pace, record = Pace(), io.StringIO()
    port, tally = Port(tmp_path / "bus"), Tally(record)
    port.plug()
    accounts = {"a": tally.open("serial", "a"), "b": tally.open("serial", "b")}
    player = AnsweringPlayer(port, 9600, pace, tally, accounts)
    bus = Bus("bus", [make("a", measure, "sdm120@1"), make("b", measure, "pzem004t@2")])
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        group.create_task(player.play(bus))
        for _ in range(2):
            reader = Reader(tmp_path / "bus")
            asked_s = loop.time()
            reader.write(request("02 04 0000 0009"))
            await until(lambda: len(reader.data) == 23)  # noqa: B023 -- awaited here
            assert loop.time() - asked_s > 31 * 10 / 9600
            reader.close()
            await until(lambda: not port.attached())
        pace.stop()
    port.unplug()
    assert accounts["b"].totals()["readings"] == 2
    assert accounts["a"].totals()["readings"] == 0
    lines = [json.loads(line) for line in record.getvalue().splitlines()]
    assert [(line["device"], line["sequence"]) for line in lines] == [("b", 1), ("b", 2)]


BUS = """
[[serial]]
name = "bus"
device = "modbus"
variants = ["sdm120@1", "s8@7+dead"]
echo = true
interval = "2s"
[[serial]]
name = "alone"
device = "modbus"
variant = "s8"
"""


def scenario(text: str, directory: Path = Path("/nowhere")) -> Scenario:
    return parse(tomllib.loads(text), directory=directory)


def test_a_scenario_has_a_bus_of_several() -> None:
    read = scenario(BUS)
    bus, alone = serial_parts(read, new_world(read))
    assert isinstance(bus, AnsweringPart)
    assert bus.speakers == {"bus-1": "bus-1", "bus-2": "bus-2"}
    assert len(bus.responder.receive(request("01 04 0000 0002"), 0.0)) == 2
    assert isinstance(alone, AnsweringPart)
    assert alone.speakers == {"": "alone"}


def test_the_gateway_is_told_what_is_on_the_bus() -> None:
    bus, alone = tomllib.loads(configuration(scenario(BUS)))["serial"]
    assert bus["decoder"] == "modbus"
    assert bus["devices"] == [
        {"name": "bus-1", "address": 1, "template": "sdm120", "interval": "2s"},
        {"name": "bus-2", "address": 7, "template": "senseair_s8", "interval": "2s"},
    ]
    assert [each["address"] for each in alone["devices"]] == [254]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('device = "modbus"\nvariants = ["sdm99@1"]', "variants: modbus has no variant 'sdm99@1'"),
        ('device = "modbus"\nvariant = "x"', "variant: modbus has no variant 'x'"),
        ('device = "sds011"\nvariants = [""]', "variants: only devices that are asked can share"),
    ],
)
def test_a_mistake_in_a_bus_is_named(text: str, words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        scenario(f'[[serial]]\nname = "bus"\n{text}')
