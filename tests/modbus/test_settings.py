"""The option `devices`: what it means, and every mistake at once."""

from typing import Any

import pytest

from gateway.devices import devices
from gateway.errors import ConfigError
from gateway.protocols.modbus.blocks import Limits
from gateway.protocols.modbus.pdu import Table
from gateway.protocols.modbus.registers import Register
from gateway.protocols.modbus.settings import read_devices
from gateway.protocols.modbus.station import StationSettings
from gateway.protocols.modbus.templates import TEMPLATES
from tests.config.conftest import Load

ONE: dict[str, Any] = {"name": "tank", "address": 3, "registers": [{"name": "r", "register": 0}]}


def read(*tables: object, serial: bool = True) -> list[StationSettings]:
    return read_devices([*tables], serial=serial)


def problems(*tables: object, serial: bool = True) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(*tables, serial=serial)
    return list(caught.value.problems)


def register(**more: object) -> dict[str, object]:
    return ONE | {"registers": [{"name": "r", "register": 0} | more]}


def test_defaults() -> None:
    (station,) = read(ONE)
    assert station == StationSettings(
        name="tank",
        address=3,
        registers=[Register("r", 0, table=Table.HOLDING)],
        limits=Limits(125, 8),
        own=frozenset({"r"}),
        interval_s=10.0,
        timeout_s=0.5,
        retries=1,
        tags={},
    )


def test_everything_can_be_said() -> None:
    (station,) = read(
        {
            "name": "heatpump",
            "address": 1,
            "interval": "1.5s",
            "timeout": "200ms",
            "retries": 0,
            "measurement": "climate",
            "tags": {"location": "cellar"},
            "word_order": "little",
            "read_max": 40,
            "read_gap": 0,
            "registers": [
                {
                    "name": "temperature",
                    "register": 0x10,
                    "table": "input",
                    "type": "int32",
                    "scale": 0.1,
                    "offset": -40,
                    "unit": "degC",
                    "byte_order": "little",
                    "invalid": 0x7FFF,
                    "separate": True,
                },
                {"name": "alarm", "register": 2, "type": "bool", "bit": 3, "invalid": [1, 2]},
                {"name": "pump", "register": 2, "table": "coil", "word_order": "big"},
            ],
        }
    )
    assert station.registers == [
        Register(
            "temperature",
            0x10,
            "int32",
            "degC",
            0.1,
            -40.0,
            Table.INPUT,
            "little",
            "little",
            invalid=(0x7FFF,),
            separate=True,
        ),
        Register(
            "alarm", 2, "bool", table=Table.HOLDING, word_order="little", bit=3, invalid=(1, 2)
        ),
        Register("pump", 2, "bool", table=Table.COIL),
    ]
    assert station[4:] == (
        *("", frozenset({"temperature", "alarm", "pump"}), 1.5, 0.2, 0, "climate"),
        {"location": "cellar"},
    )
    assert station.limits == Limits(40, 0)


def test_a_template_may_be_varied() -> None:
    (station,) = read(
        {
            "name": "m",
            "address": 1,
            "template": "sdm120",
            "word_order": "little",
            "measurement": "electricity",
            "registers": [{"name": "energy", "register": 0x156, "table": "input"}],
        }
    )
    template = TEMPLATES["sdm120"]
    assert station.limits == template.limits
    assert len(station.registers) == len(template.registers) + 1
    assert all(each.word_order == "little" for each in station.registers)
    assert station.own == {"energy"}
    assert station.measurement == "electricity"


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("x", "devices[0]: a table is expected"),
        ({**ONE, "name": 5}, "devices[0].name: a text is expected"),
        ({"address": 1, "template": "sdm72"}, "devices[0].name: missing; a text is expected"),
        ({**ONE, "name": "a\n"}, "devices[0].name: allowed: 1 to 256 printable characters, "),
        ({**ONE, "address": 0}, "devices[0].address: a whole number from 1 to 254 is"),
        ({**ONE, "address": 250}, "devices[0].address: allowed: 1 to 247, and the general ones "),
        ({**ONE, "address": True}, "devices[0].address: a whole number from 1 to 254 is"),
        (
            {**ONE, "template": "sdm63"},
            'devices[0].template: no such template "sdm63"; did you mean',
        ),
        ({"name": "a", "address": 1}, "devices[0].template: missing; a device has a template, or"),
        ({**ONE, "interval": 5}, 'devices[0].interval: write a unit: "5s"'),
        ({**ONE, "interval": "1ms"}, 'devices[0].interval: allowed: a duration from "100ms" to "7'),
        ({**ONE, "timeout": "2min"}, 'devices[0].timeout: allowed: a duration from "10ms" to "1mi'),
        ({**ONE, "retries": 11}, "devices[0].retries: a whole number from 0 to 10 is"),
        ({**ONE, "measurement": "units"}, "devices[0].measurement: the measurement units holds"),
        ({**ONE, "tags": {"time": "x"}}, 'devices[0].tags.time: InfluxDB keeps "time" and'),
        ({**ONE, "tags": {"a": 5}}, "devices[0].tags.a: a text is expected"),
        ({**ONE, "tags": 5}, "devices[0].tags: a table is expected"),
        (
            {**ONE, "word_order": "middle"},
            'devices[0].word_order: no such word_order "middle"; known',
        ),
        ({**ONE, "read_max": 126}, "devices[0].read_max: a whole number from 1 to 125 is expe"),
        ({**ONE, "intervall": "1s"}, 'devices[0].intervall: unknown key; did you mean "interval"?'),
        (
            {**ONE, "registers": 5, "template": "epever"},
            "devices[0].registers: a list of 1 to 256 ",
        ),
        (register(name="_x"), 'devices[0].registers[0].name: InfluxDB keeps "time" and names that'),
        (register(register=-1), "devices[0].registers[0].register: a whole number from 0 to"),
        (
            register(register=65535, type="int32"),
            "devices[0].registers[0].register: a whole number from 0 to 65534 is",
        ),
        (
            register(type="flot32"),
            'devices[0].registers[0].type: no such type "flot32"; did you mean "float',
        ),
        (register(type=5), "devices[0].registers[0].type: one of bool, int16, uint16, i"),
        (register(table="coils"), 'devices[0].registers[0].table: no such table "coils"; did you'),
        (register(table="coil", type="int16"), "devices[0].registers[0].type: a coil is a bool"),
        (register(bit=3), "devices[0].registers[0].bit: only a bool in a register has one"),
        (register(unit="degX"), "devices[0].registers[0].unit: no such unit"),
        (register(scale=0), "devices[0].registers[0].scale: a number other than 0 is ex"),
        (register(scale="x"), "devices[0].registers[0].scale: a number is expected"),
        (register(offset=10**400), "devices[0].registers[0].offset: a number is expected"),
        (register(invalid="x"), "devices[0].registers[0].invalid: a whole number or a list o"),
        (register(separate=1), "devices[0].registers[0].separate: true or false is expected"),
        (register(register_=1), 'devices[0].registers[0].register_: unknown key; did you mean "re'),
        (
            {**register(type="float64"), "read_max": 2},
            "devices[0].read_max: a whole number from 4 to 125 is expected",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(table: object, expected: str) -> None:
    first, *others = problems(table)
    assert first.startswith(expected)
    assert not others or table == "x"


def test_all_mistakes_are_named() -> None:
    bad = {"name": "", "address": 999, "registers": [{"register": 0, "type": "x"}], "nmae": 1}
    assert [problem.partition(":")[0] for problem in problems(ONE, bad)] == [
        "devices[1].registers[0].type",
        "devices[1].registers[0].name",
        "devices[1].name",
        "devices[1].address",
        "devices[1].nmae",
    ]


@pytest.mark.parametrize("options", [None, [], {}, "x"])
def test_there_must_be_devices(options: object) -> None:
    with pytest.raises(ConfigError, match=r"^devices: "):
        read_devices(options, serial=True)


def test_devices_differ() -> None:
    assert problems(ONE, ONE | {"name": "b"}, ONE | {"address": 4}) == [
        "devices[1].address: devices[0] has it already",
        "devices[2].name: devices[0] has it already",
    ]


def test_a_name_stands_once_in_a_device() -> None:
    twice = [{"name": "r", "register": 0}, {"name": "r", "register": 1}]
    assert problems(ONE | {"registers": twice}) == [
        "devices[0].registers[1].name: this device has it already"
    ]


def test_a_register_takes_the_place_of_the_template_s() -> None:
    own = [{"name": "voltage", "register": 7}]
    (station,) = read({"name": "m", "address": 1, "template": "sdm120", "registers": own})
    assert [r.address for r in station.registers if r.name == "voltage"] == [7]


def test_who_listens_to_every_address_is_alone() -> None:
    alone = ONE | {"name": "b", "address": 254}
    assert read(alone)
    assert problems(ONE, alone) == [
        (
            "devices[1].address: every device of its kind answers to it, so it must be alone on"
            " the line"
        )
    ]


def test_over_tcp_addresses_are_units() -> None:
    assert [each.address for each in read(ONE | {"address": 0}, serial=False)] == [0]
    assert [each.address for each in read(ONE | {"address": 255}, serial=False)] == [255]


def test_a_configuration_shows_what_is_wrong_where(read_file: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        read_file(
            '[[serial]]\nname = "bus"\nport = "/dev/a"\ndecoder = "modbus"\n'
            'devices = [{ name = "a", address = 1, template = "sdm63", interval = "1x" }]'
        )
    assert list(caught.value.problems) == [
        (
            'serial[0] "bus": devices[0].template: found "sdm63"; the decoder says:'
            ' no such template "sdm63"; did you mean "sdm630"?'
        ),
        (
            'serial[0] "bus": devices[0].interval: found "1x"; the decoder says: allowed:'
            ' a duration from "100ms" to "7d"; units: ms, s, min, h, d'
        ),
    ]


@pytest.fixture
def read_file(tmp_path: Any) -> Load:  # noqa: ANN401 -- pytest's
    from gateway.config import load  # noqa: PLC0415

    def load_text(text: str) -> Any:  # noqa: ANN401
        path = tmp_path / "gateway.toml"
        path.write_text(text)
        return load(path, environ={"HOME": "/home/pi"}, devices=devices())

    return load_text
