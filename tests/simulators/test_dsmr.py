"""A simulated P1 meter: its telegram to the last byte, its time, and its gas meter."""

import pytest

from simulators.devices.dsmr import Meter, crc16, make
from simulators.world import World

WORLD = {"energy": 1250.0, "power": 420.0, "panel_power": 0.0, "voltage": 230.4, "current": 1.8}


def meter(variant: str, **changed: float) -> Meter:
    return make("house", lambda name, _t: (WORLD | changed)[name], variant)


def text(variant: str, t: float = 0.0, **changed: float) -> str:
    (item,) = meter(variant, **changed).emit(1, t)
    return item.data.decode("latin-1")


def test_the_oldest_version_to_the_last_byte() -> None:
    assert text("v2.2").split("\r\n") == [
        "/SIM5P1-22",
        "",
        "0-0:96.1.1(53494D3231373432303237313635)",
        "1-0:1.8.1(00750.000*kWh)",
        "1-0:1.8.2(00500.000*kWh)",
        "1-0:2.8.1(00062.500*kWh)",
        "1-0:2.8.2(00012.500*kWh)",
        "0-0:96.14.0(0001)",
        "1-0:1.7.0(0000.42*kW)",
        "1-0:2.7.0(0000.00*kW)",
        "0-0:17.0.0(0999.00*kW)",
        "0-0:96.13.0()",
        "0-1:24.1.0(3)",
        "0-1:96.1.0(53494D47415331373432303237313635)",
        "0-1:24.3.0(260328230000)(00)(60)(1)(0-1:24.2.1)(m3)",
        "(00116.250)",
        "0-1:24.4.0(1)",
        "!",
        "",
    ]


def test_the_crc_of_a_published_example() -> None:
    assert crc16(b"123456789") == 0xBB3D
    covered, _, crc = text("v5").partition("!")
    assert crc == f"{crc16(f'{covered}!'.encode()):04X}\r\n"


def test_the_sun_turns_the_power_round() -> None:
    assert "1-0:2.7.0(00.580*kW)" in text("v5", panel_power=1000.0)
    assert "1-0:1.7.0(00.000*kW)" in text("v5", panel_power=1000.0)


def test_summer_time_begins_within_the_night() -> None:
    assert "0-0:1.0.0(260329015959W)" in text("v4", 3 * 3600.0 - 1)
    assert "0-0:1.0.0(260329030000S)" in text("v4", 3 * 3600.0)


def test_the_gas_meter_tells_its_value_by_the_hour() -> None:
    grown = make("house", lambda name, t: t if name == "energy" else WORLD[name], "v4")
    gas = [grown.emit(1, t)[0].values["0-1:24.2.1"] for t in (10.0, 3590.0, 3610.0, 3620.0)]
    assert gas == [0.93, 0.93, 335.73, 335.73]


def test_parity_bits() -> None:
    (item,) = meter("7e1").emit(1, 0.0)
    assert all(byte.bit_count() % 2 == 0 for byte in item.data)
    assert bytes(byte & 0x7F for byte in item.data).decode() == text("v4")


def test_the_values_are_the_numbers_on_the_wire() -> None:
    world = World(1)
    for variant in ("v2.2", "v4", "v5", "fluvius"):
        device = make("house", lambda name, t: world.value("house", name, t), variant)
        (item,) = device.emit(1, 100.0)
        for code, value in item.values.items():
            line = next(line for line in item.data.decode().split("\r\n") if line.startswith(code))
            digits = line.rpartition("(")[2].rstrip(")").partition("*")[0]
            assert code == "0-1:24.3.0" or float(digits) == value


def test_there_is_no_other() -> None:
    with pytest.raises(ValueError, match=r"not 'v9'"):
        meter("v9")
    assert make("a", lambda _name, _t: 0.0).name == "a"
