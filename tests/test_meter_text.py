"""Data sets of meters that speak text, and the fields of their registers."""

import pytest

from gateway.protocols.meter_text import DataSet, electricity, read_lines


def values(text: str) -> dict[str, float]:
    sets, unreadable = read_lines(text.encode())
    assert not unreadable
    return electricity(sets, proven=False).values


@pytest.mark.parametrize(
    ("line", "data"),
    [
        ("1.8.0(1*kWh)", DataSet("", "1.8.0", "", ["1*kWh"])),
        ("1-0:1.8.0*255(1*kWh)", DataSet("1-0", "1.8.0", "", ["1*kWh"])),
        ("1-0:1.8.0*01(1*kWh)", DataSet("1-0", "1.8.0", "01", ["1*kWh"])),
        ("1.8.1&12(1*kWh)", DataSet("", "1.8.1", "12", ["1*kWh"])),
        ("F.F(00)", DataSet("", "F.F", "", ["00"])),
        (
            "0-1:24.2.1(240501120000S)(1*m3)",
            DataSet("0-1", "24.2.1", "", ["240501120000S", "1*m3"]),
        ),
        ("0-0:96.13.0()", DataSet("0-0", "96.13.0", "", [""])),
        ("C.1.0( a-b/c )", DataSet("", "C.1.0", "", [" a-b/c "])),
    ],
)
def test_a_data_set(line: str, data: DataSet) -> None:
    assert read_lines(line.encode() + b"\r\n") == ([data], [])


def test_several_on_a_line_and_one_on_several() -> None:
    sets, unreadable = read_lines(b"6.8(1*MWh)6.26(2*m3)\r\n1.2(a)\r\n(b)(c)\n\r\n")
    assert [data.values for data in sets] == [["1*MWh"], ["2*m3"], ["a", "b", "c"]]
    assert not unreadable


@pytest.mark.parametrize(
    "line",
    [b"(1)", b"1.8.0", b"1.8.0(1", b"1.8.0(1(2)", b"1.8.0(1)x", b"1-0:1.8.0(\xb1)", b"x1.8.0(1)"],
)
def test_what_is_no_line_of_data_is_handed_back(line: bytes) -> None:
    assert read_lines(line + b"\r\n\r\n") == ([], [line])


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("1.7.0(01.005*kW)", "power", 1005.0),
        ("1.7.0(000123.45*W)", "power", 123.45),
        ("1.7.255(-00123.45*W)", "power", -123.45),
        ("2.7.0(00.000*kW)", "power", 0.0),
        ("1.8.0(001234560*Wh)", "energy_import", 1234.56),
        ("1.8.3(0.001*MWh)", "energy_import_t3", 1.0),
        ("3.8.0(00000234.567*kVArh)", "reactive_energy_import", 234.567),
        ("4.7.0(0000.321*kVAr)", "reactive_power", -321.0),
        ("9.7.0(1.5*kVA)", "apparent_power", 1500.0),
        ("31.7.0(001*A)", "current_l1", 1.0),
        ("13.7.0(0.998)", "power_factor", 0.998),
        ("14.7.0(50.00*Hz)", "frequency", 50.0),
        ("1.6.0(240501120000S)(03.210*kW)", "power_maximum", 3210.0),
        ("1.6.1(03.210*kW)(2405011200)", "power_maximum_t1", 3210.0),
    ],
)
def test_a_register_is_a_field_in_its_canonical_unit(line: str, field: str, value: float) -> None:
    assert values(line) == {field: value}


def test_both_directions_are_one_field() -> None:
    assert values("1.7.0(0.000*kW)\n2.7.0(1.250*kW)") == {"power": -1250.0}
    assert values("1.7.0(500*W)\n2.7.0(0.000*kW)") == {"power": 500.0}


def test_what_measures_and_is_not_known_keeps_its_code_and_unit() -> None:
    sets, _ = read_lines(b"1-0:83.8.0(1.5*kWh)\r\n1-0:31.4.0(999*A)\r\n0.4.2(1*imp/kWh)\r\n")
    found = electricity(sets, proven=False)
    assert (found.values, found.units) == ({"obis_83_8_0": 1.5}, {"obis_83_8_0": "kWh"})
    assert not found.unreadable


@pytest.mark.parametrize(
    "line",
    [
        "1.7.0()",
        "1.8.0(00123)",
        "1.7.0(123.4)",
        "6.8(1.5)",
        "1.8.0*01(1*kWh)",
        "0.9.2(240501)",
        "F.F(00)",
    ],
)
def test_what_has_no_unit_or_is_of_the_past_is_no_value(line: str) -> None:
    sets, _ = read_lines(line.encode())
    assert electricity(sets, proven=False) == ({}, {}, [])


@pytest.mark.parametrize(
    "line", ["1.8.0(0x1*kWh)", "1.8.0(1kWh)", "1.8.0(1*furlongs)", "1.7.0(1,5*kW)"]
)
def test_a_register_that_cannot_be_read_is_named(line: str) -> None:
    sets, _ = read_lines(line.encode())
    assert electricity(sets, proven=False) == ({}, {}, [line])


def test_a_star_may_be_missing_where_a_checksum_proves_it() -> None:
    sets, _ = read_lines(b"1.8.0(1234.5Wh)\n1.7.0(05kW)\n31.7.0(1x)")
    found = electricity(sets, proven=True)
    assert found.values == {"energy_import": 1.2345, "power": 5000.0}
    assert found.unreadable == ["31.7.0(1x)"]


def test_of_one_meaning_the_first_counts() -> None:
    assert values("1.8.0(1*kWh)\n1.8.0(2*kWh)") == {"energy_import": 1.0}
    assert values("16.7(1*W)\n16.7.0(2*W)\n1.7.0(4*W)") == {"power": 1.0}
