"""Units: every spelling has one meaning, and every conversion is the textbook's."""

import math
from collections import defaultdict
from itertools import permutations

import pytest

from gateway.quantities.units import (
    LONGEST_SPELLING,
    UNITS,
    conversion,
    find_unit,
    in_dimension,
    normalised,
    spellings,
)


def convert(value: float, source: str, target: str) -> float:
    found = conversion(UNITS[source], UNITS[target])
    assert found is not None
    return value * found[0] + found[1]


SPELLED = {
    "Cel": "degC|°C|\u2103|C|  C|Celsius|celsius|\u00ba C|\u00baC|° C|deg C|\u00c2°C|Cel|°c",
    "[degF]": "F|°F|\u2109|degF|[degF]|fahrenheit",
    "K": "K|Kelvin",
    "hPa": "hPa|mbar|mb|hpa|HPA",
    "kPa": "kPa|KPA|kpa",
    "Pa": "Pa",
    "bar": "bar",
    "[psi]": "psi|PSI|[psi]",
    "[in_i'Hg]": "inHg|[in_i'Hg]",
    "mm[Hg]": "mmHg",
    "%": "%|%RH|% RH|percent|\uff05|pct",
    "[ppm]": "ppm|PPM|[ppm]",
    "[ppb]": "ppb",
    "ug/m3": "\u00b5g/m³|\u03bcg/m³|ug/m3|\u00b5g/m3|\u03bcg/m^3|\u338d/m³|ug / m3",
    "mg/m3": "mg/m³",
    "g/m3": "g/m³",
    "lx": "lx|lux|Lux|LX",
    "lm": "lm",
    "W/m2": "W/m²|W/m2|w/m2|W·m-2",
    "m/s": "m/s|M/S",
    "km/h": "km/h|kmh|kph|KM/H",
    "[mi_i]/h": "mph|MPH",
    "[kn_i]": "kn|kt|knots|Knots",
    "[ft_i]/s": "ft/s",
    "mV": "mV|mv",
    "V": "V|v|Volts",
    "A": "A|a",
    "mA": "mA|ma",
    "uA": "\u00b5A|\u03bcA|uA",
    "W": "W|w",
    "kW": "kW|KW|kw",
    "MW": "MW",
    "mW": "mW",
    "V.A": "VA|V·A|V*A",
    "kV.A": "kVA",
    "V.A{reactive}": "var|VAR|VAr|Var",
    "kV.A{reactive}": "kvar|kVAr",
    "W.h": "Wh",
    "kW.h": "kWh|KWH|kwh|kW·h|kW⋅h|kW h",
    "MW.h": "MWh",
    "GJ": "GJ",
    "MJ": "MJ",
    "J": "J",
    "kJ": "kJ",
    "V.A.h{reactive}": "varh",
    "kV.A.h{reactive}": "kvarh",
    "V.A.h": "VAh",
    "A.h": "Ah",
    "mA.h": "mAh",
    "Hz": "Hz|hz",
    "kHz": "kHz",
    "MHz": "MHz",
    "GHz": "GHz",
    "L": "L|l|liters",
    "mL": "mL|ml",
    "m3": "m3|m³|m^3|\u33a5",
    "[cft_i]": "ft³|ft3",
    "[gal_us]": "gal",
    "10*2.[cft_i]": "CCF",
    "L/h": "L/h|l/h",
    "L/min": "L/min|l/min|l / min",
    "m3/h": "m³/h|m3/h",
    "[gal_us]/min": "gal/min",
    "g": "g",
    "kg": "kg|KG",
    "mg": "mg",
    "[lb_av]": "lb|lbs",
    "[oz_av]": "oz",
    "t": "t",
    "mm": "mm|MM",
    "cm": "cm",
    "m": "m",
    "km": "km|Km",
    "[in_i]": "in|inch",
    "[ft_i]": "ft",
    "[mi_i]": "mi",
    "mm/h": "mm/h",
    "[in_i]/h": "in/h",
    "mm/d": "mm/d",
    "s": "s|sec|Sec|seconds|SEC",
    "min": "min|Min|MIN",
    "h": "h",
    "d": "d|days",
    "ms": "ms",
    "us": "us|\u00b5s|\u03bcs",
    "dB": "dB|db|DB",
    "dB[SPL]{A}": "dBA|dB(A)",
    "dBm": "dBm|dbm|DBM",
    "uS/cm": "\u00b5S/cm|\u03bcS/cm|uS/cm",
    "mS/cm": "mS/cm",
    "S/m": "S/m",
    "uSv/h": "\u00b5Sv/h|uSv/h",
    "nSv/h": "nSv/h",
    "mSv/h": "mSv/h",
    "/min": "CPM|cpm",
    "Bq/m3": "Bq/m³",
    "pCi/L": "pCi/L",
    "[pH]": "pH|[pH]|PH",
    "m/s2": "m/s²|m/s2",
    "deg": "°|deg|degrees",
    "rad": "rad",
    "1": "lqi|UV index|1",
    "By": "B|bytes",
    "kBy": "kB",
    "KiBy": "KiB",
    "MBy": "MB",
    "MiBy": "MiB",
    "GBy": "GB",
    "bit/s": "bit/s",
    "kbit/s": "kbit/s|kbps",
    "Mbit/s": "Mbit/s|Mbps",
    "Mbit": "Mbit|Mb",
    "/cm3": "#/cm³|/cm3|1/cm³",
    "{rev}/min": "rpm|RPM",
}


@pytest.mark.parametrize("code", SPELLED)
def test_spellings_of_vendors(code: str) -> None:
    for spelling in SPELLED[code].split("|"):
        unit = find_unit(spelling)
        assert unit is not None, spelling
        assert unit.code == code, spelling


@pytest.mark.parametrize(
    "spelling",
    ["mw", "Mw", "MV", "PA", "mbit", "mbps", "mPa", "Mg", "ML", "S", "T", "H", "M", "MS/cm", "mB"],
)
def test_case_that_matters_is_never_guessed(spelling: str) -> None:
    assert find_unit(spelling) is None


@pytest.mark.parametrize(
    "spelling",
    ["", " ", "foo", "on", "unknown", "degC2", "m/s/", "\x00", "°°", "\ud800", "e", "none"],
)
def test_what_is_no_unit(spelling: str) -> None:
    assert find_unit(spelling) is None


def test_hostile_lengths_are_no_units() -> None:
    assert find_unit("C" * 1_000_000) is None
    assert find_unit(" " * 1_000_000 + "C") is None
    assert normalised("m" * (LONGEST_SPELLING + 1)) == ""
    assert find_unit("\ufdfa" * LONGEST_SPELLING) is None


@pytest.mark.parametrize(
    ("spelling", "dimension", "code"),
    [
        ("g", "", "g"),
        ("g", "acceleration", "[g]"),
        ("mg", "mass", "mg"),
        ("mg", "acceleration", "m[g]"),
        ("mG", "acceleration", "m[g]"),
        ("%", "ratio", "%"),
        ("%", "parts", "%{vol}"),
        ("C", "temperature", "Cel"),
        ("C", "charge", "C"),
        ("dB", "sound_pressure", "dB[SPL]"),
        ("1/min", "count_rate", "/min"),
        ("kW", "energy", "kW"),
    ],
)
def test_a_dimension_decides_between_two_meanings(spelling: str, dimension: str, code: str) -> None:
    unit = find_unit(spelling, dimension)
    assert unit is not None
    assert unit.code == code


def test_a_unit_found_without_the_dimension_can_be_put_into_it() -> None:
    assert in_dimension(UNITS["mg"], "acceleration") is UNITS["m[g]"]
    assert in_dimension(UNITS["%"], "parts") is UNITS["%{vol}"]
    assert in_dimension(UNITS["mg"], "mass") is UNITS["mg"]
    assert in_dimension(UNITS["V"], "power") is UNITS["V"]


def test_no_spelling_has_two_units() -> None:
    found = defaultdict(set)
    for spelling, unit in spellings():
        found[spelling].add(unit.code)
    assert {s: codes for s, codes in found.items() if len(codes) > 1} == {}
    assert len(found) > 300


def test_every_spelling_and_code_is_found() -> None:
    for spelling, unit in spellings():
        assert find_unit(spelling) is unit
        assert find_unit(f" {spelling} ") is unit
    for code, unit in UNITS.items():
        assert unit.code == code
        assert find_unit(code, unit.dimension) is unit


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (32, "[degF]", "Cel", 0.0),
        (212, "[degF]", "Cel", 100.0),
        (-40, "[degF]", "Cel", -40.0),
        (37, "Cel", "[degF]", 98.6),
        (0, "Cel", "K", 273.15),
        (0, "K", "Cel", -273.15),
        (32, "[degF]", "K", 273.15),
        (29.92, "[in_i'Hg]", "hPa", 1013.2075),
        (1, "[psi]", "hPa", 68.947573),
        (760, "mm[Hg]", "kPa", 101.325),
        (1, "atm", "hPa", 1013.25),
        (1, "[kn_i]", "m/s", 0.514444444),
        (36, "km/h", "m/s", 10.0),
        (1, "[mi_i]/h", "m/s", 0.44704),
        (1, "pCi/L", "Bq/m3", 37.0),
        (1, "GJ", "kW.h", 277.777778),
        (1, "kW.h", "J", 3.6e6),
        (1, "MW.h", "kW.h", 1000.0),
        (60, "W.min", "W.h", 60 / 60),
        (3085, "mV", "V", 3.085),
        (1, "MW", "mW", 1e9),
        (5, "%{vol}", "[ppm]", 50_000.0),
        (1, "[ppm]", "[ppb]", 1000.0),
        (1, "mg/m3", "ug/m3", 1000.0),
        (1, "[in_i]", "mm", 25.4),
        (1, "[in_i]/h", "mm/h", 25.4),
        (24, "mm/d", "mm/h", 1.0),
        (1, "[gal_us]", "L", 3.785411784),
        (1, "10*2.[cft_i]", "m3", 2.8316846592),
        (1000, "L/h", "m3/h", 1.0),
        (1, "L/min", "m3/h", 0.06),
        (1, "[lb_av]", "kg", 0.45359237),
        (1000, "m[g]", "m/s2", 9.80665),
        (1, "mS/cm", "uS/cm", 1000.0),
        (1, "S/m", "uS/cm", 10_000.0),
        (100, "nSv/h", "uSv/h", 0.1),
        (180, "deg", "rad", math.pi),
        (1, "kBy/s", "bit/s", 8000.0),
        (1, "KiBy", "By", 1024.0),
        (50, "%", "1", 0.5),
        (1, "/s", "/min", 60.0),
        (10, "/dL", "/cm3", 0.1),
        (1000, "mA.h", "A.h", 1.0),
        (1, "klx", "lx", 1000.0),
    ],
)
def test_known_values(value: float, source: str, target: str, expected: float) -> None:
    assert convert(value, source, target) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("source", "target", "found"),
    [
        ("[degF]", "Cel", (5 / 9, -160 / 9)),
        ("Cel", "[degF]", (1.8, 32.0)),
        ("[in_i]", "mm", (25.4, 0.0)),
        ("kPa", "hPa", (10.0, 0.0)),
        ("mV", "V", (0.001, 0.0)),
        ("L/min", "m3/h", (0.06, 0.0)),
        ("Cel", "Cel", (1.0, 0.0)),
    ],
)
def test_factors_are_short_decimals_where_they_can_be(
    source: str, target: str, found: tuple[float, float]
) -> None:
    assert conversion(UNITS[source], UNITS[target]) == found


def test_freezing_point_is_zero_exactly() -> None:
    assert convert(32, "[degF]", "Cel") == 0.0


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("dBm", "dB"),
        ("dBm", "W"),
        ("dB", "dB[SPL]"),
        ("%", "[ppm]"),
        ("V.A", "W"),
        ("V.A{reactive}", "V.A"),
        ("kV.A.h{reactive}", "kW.h"),
        ("[ppb]", "ug/m3"),
        ("mm/h", "m/s"),
        ("Hz", "/min"),
        ("Hz", "{rev}/min"),
        ("g", "[g]"),
        ("lm", "lx"),
        ("A.h", "W.h"),
        ("Cel", "%"),
    ],
)
def test_different_dimensions_do_not_convert(source: str, target: str) -> None:
    assert conversion(UNITS[source], UNITS[target]) is None
    assert conversion(UNITS[target], UNITS[source]) is None


def test_there_and_back_in_every_dimension() -> None:
    pairs = 0
    for one, other in permutations(UNITS.values(), 2):
        there, back = conversion(one, other), conversion(other, one)
        assert (there is None) == (one.dimension != other.dimension)
        if there is None or back is None:
            continue
        pairs += 1
        for value in (-40.0, 0.0, 1.0, 1013.25, 1e6):
            returned = (value * there[0] + there[1]) * back[0] + back[1]
            assert returned == pytest.approx(value, rel=1e-12, abs=1e-9), (one.code, other.code)
    assert pairs > 500


def test_rows_are_well_formed() -> None:
    for unit in UNITS.values():
        assert unit.factor > 0
        assert math.isfinite(unit.factor)
        assert unit.suffix == "" or unit.suffix.replace("_", "").isalnum()
        assert unit.suffix == unit.suffix.lower()
        assert unit.code.isascii()
        assert not any(map(str.isspace, unit.code))


def test_suffixes_tell_units_of_a_dimension_apart() -> None:
    found = defaultdict(list)
    for unit in UNITS.values():
        found[unit.dimension, unit.suffix].append(unit.code)
    assert [codes for codes in found.values() if len(codes) > 1] == []
