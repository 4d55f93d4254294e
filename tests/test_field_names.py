"""Field names: valid whatever a device says, different for different names, ending in the unit."""

import re

import pytest

from gateway.quantities import (
    LONGEST_FIELD,
    UNITS,
    find_quantity,
    find_unit,
    snake_case,
    unknown_field,
)

FIELD = re.compile(r"[a-z][a-z0-9_]{0,63}")


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ("Wind Gust", "wind_gust"),
        ("windGustSpeed", "wind_gust_speed"),
        ("HTTPServer", "http_server"),
        ("DS18B20-3C01", "ds18b20_3c01"),
        ("CO\u2082", "co2"),
        ("kWhTotal", "kwh_total"),
        ("inlet hPa", "inlet_hpa"),
        ("RSSIdBm", "rssi_dbm"),
        ("Größe", "grosse"),
        ("Zählerstand", "zahlerstand"),
        ("temp °C", "temp_deg_c"),
        ("\u00b5m", "um"),
        ("°", "deg"),
        ("a.b/c-d e", "a_b_c_d_e"),
        ("", "value"),
        ("___", "value"),
        ("!?", "value"),
        ("\x00\n", "value"),
        ("\ud800", "value"),
        ("_field", "field"),
        ("1wire", "n_1wire"),
        ("time", "device_time"),
        ("Time", "device_time"),
        ("_TIME_", "device_time"),
        ("温度", "u6e29u5ea6"),
    ],
)
def test_snake_case(raw: str, field: str) -> None:
    assert snake_case(raw) == field


def test_different_names_stay_different() -> None:
    path = "very.long.path.of.nested.objects." * 3
    raws = [f"{path}{leaf}" for leaf in ("a", "b", "temperature")]
    raws += ["温度", "湿度", "Температура", "Влажность"]
    assert len({snake_case(raw) for raw in raws}) == len(raws)


HOSTILE = [
    "a" * 1_000_000,
    "_" * 1_000_000,
    "aB" * 500_000,
    "temp_" * 200_000,
    "kW" * 500_000,
    "\ufdfa" * 100_000,
    "\u0301" * 100_000,
    "temperature_" + "1" * 100_000,
    '=,"\\\n ',
    "🌡️ temperature",
    "温度" * 50,
    "\ud800temp",
]


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_give_bounded_valid_fields_quickly(raw: str) -> None:
    for unit in (None, UNITS["Cel"], UNITS["%"]):
        match = find_quantity(raw, unit)
        fields = [snake_case(raw), unknown_field(raw, unit), *([match.field] if match else [])]
        for field in fields:
            assert FIELD.fullmatch(field)
            assert len(field) <= LONGEST_FIELD


@pytest.mark.parametrize(
    ("raw", "unit", "field"),
    [
        ("flow", "l/min", "flow_l_min"),
        ("flow_l_min", "l/min", "flow_l_min"),
        ("flowLpm", "l/min", "flow_lpm"),
        ("inlet_C", "°C", "inlet_c"),
        ("inlet", "°C", "inlet_deg_c"),
        ("Torque", None, "torque"),
        ("score", "1", "score"),
        ("temperature", "W", "temperature_w"),
        ("temperature", None, "temperature_raw"),
        ("temperature", "1", "temperature_raw"),
        ("load", "mW", "load_mw"),
        ("load", "MW", "load_megaw"),
    ],
)
def test_unknown_fields_end_in_their_unit(raw: str, unit: str | None, field: str) -> None:
    assert unknown_field(raw, find_unit(unit) if unit else None) == field


def test_unknown_field_is_bounded_with_its_unit() -> None:
    assert FIELD.fullmatch(unknown_field("x" * 64, UNITS["L/min"]))
