"""P1 telegrams: versions, countries, meters behind the meter, and everything that may be wrong."""

from functools import partial

import pytest

from gateway.conformance import ARRIVAL_NS
from gateway.devices.dsmr import DEVICE, SIZE_MAX
from gateway.ledger import EXAMPLE_BYTES
from gateway.model import (
    Decoded,
    Frame,
    Ignored,
    Malformed,
    Observation,
    Reading,
    Reason,
    Repeated,
    Verdict,
)
from simulators.devices.dsmr import MODELS, make
from tests.specimens.dsmr import AT_NOON, V5, V22, telegram
from tests.streams import frames_of
from tests.test_normalize import Bench


def decode(data: bytes) -> Verdict:
    return DEVICE.decoder().decode(Frame(data, ARRIVAL_NS))


def decoded(data: bytes) -> Decoded:
    verdict = decode(data)
    assert isinstance(verdict, Decoded), verdict
    return verdict


def reading(*lines: str) -> Reading:
    (only,) = decoded(telegram(*lines)).readings
    return only


frames = partial(frames_of, DEVICE)


# ------------------------------------------------------------------------------------- CRC


def test_a_wrong_crc_refuses_the_telegram() -> None:
    damaged = V5.replace(b"123.456", b"123.457")
    assert decode(damaged) == Malformed(Reason.CHECKSUM, damaged[:EXAMPLE_BYTES])


def test_a_crc_may_be_in_small_letters_and_end_in_a_nul() -> None:
    assert decode(V5[:-6] + V5[-6:].lower()) == decode(V5)
    assert decode(V5[:-2] + b"\0\r\n") == decode(V5)
    assert frames(V5[:-2] + b"\0\r\n") == [V5[:-2] + b"\0\r\n"]


def test_a_crc_may_lack_its_zeros() -> None:
    found = (telegram("1-0:1.8.1(1*kWh)", f"0-0:96.13.0({number})") for number in range(999))
    padded = next(each for each in found if each[-6:-5] == b"0")
    assert isinstance(decode(padded), Decoded)
    assert decode(padded[:-6] + padded[-6:].lstrip(b"0")) == decode(padded)


def test_the_crc_is_that_of_the_meter_where_something_has_made_lf_of_crlf() -> None:
    data = V5.replace(b"\r\n", b"\n")
    assert frames(data) == [data]
    assert decode(data) == decode(V5)
    assert isinstance(decode(data.replace(b"\n", b"\r\n", 1)), Malformed)
    assert isinstance(decode(data.replace(b"123.456", b"123.457")), Malformed)


def test_a_telegram_since_v4_without_a_crc_is_damaged() -> None:
    for line in (b"1-3:0.2.8(50)\r\n", b"0-0:1.0.0(240501120000S)\r\n", b"0-0:96.1.4(50217)\r\n"):
        bare = V22.replace(b"\r\n\r\n", b"\r\n\r\n" + line)
        verdict = decode(bare)
        assert isinstance(verdict, Malformed)
        assert verdict.reason is Reason.CHECKSUM


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"(00123.456*", b"(00123"), (b"3.456", b"3.\xb456"), (b"3.456", b"3x456"), (b".012)", b"")],
)
def test_without_a_crc_every_line_must_be_readable(old: bytes, new: bytes) -> None:
    damaged = V22.replace(old, new)
    assert damaged != V22
    verdict = decode(damaged)
    assert isinstance(verdict, Malformed)
    assert verdict.reason is Reason.SYNTAX


def test_behind_a_good_crc_an_unreadable_line_costs_itself() -> None:
    lines = (
        "1-0:1.8.1(000123.456*kWh)",
        "?",
        "1-0:1.8.2(x*kWh)",
        "0-1:24.2.1(240501120000S)(y*m3)",
    )
    found = decoded(telegram(*lines))
    assert [each.values for each in found.readings] == [{"energy_import_t1": 123.456}]
    assert found.malformed == [
        Malformed(Reason.SYNTAX, b"?"),
        Malformed(Reason.SYNTAX, b"1.8.2(x*kWh)"),
        Malformed(Reason.SYNTAX, b"y*m3"),
    ]


def test_a_telegram_that_says_nothing() -> None:
    assert decode(telegram("0-0:96.13.0()")) == Ignored(Reason.UNSUPPORTED)
    for data in (
        b"",
        b"/",
        b"/XYZ5\r\n",
        b"!\r\n",
        b"/XYZ5\r\n!zz\r\n",
        b"/XYZ5" + b"x" * SIZE_MAX,
    ):
        verdict = decode(data)
        assert isinstance(verdict, Malformed)
        assert verdict.reason is Reason.SYNTAX


# ------------------------------------------------------------------------------ the stream


def test_times_are_those_of_central_europe() -> None:
    line = "1-0:1.8.0(1*kWh)"
    for stamp, hours in (("240501120000S", 10), ("240501120000W", 11), ("240701120000W", 11)):
        found = reading(f"0-0:1.0.0({stamp})", line).observed_at_ns
        assert found is not None
        assert found // 10**9 % 86_400 == hours * 3600
    for stamp in ("240501120000", "240230120000W", "632525252525S", "", "24050112000S"):
        assert reading(f"0-0:1.0.0({stamp})", line).observed_at_ns is None


def test_the_hour_that_comes_twice_is_told_apart_by_its_letter() -> None:
    line = "1-0:1.8.0(1*kWh)"
    summer, winter = (
        reading(f"0-0:1.0.0(241027023000{letter})", line).observed_at_ns for letter in "SW"
    )
    assert summer is not None
    assert winter is not None
    assert winter - summer == 3600 * 10**9


@pytest.mark.parametrize(
    ("code", "text", "device"),
    [
        ("96.1.1", "58595A30303030303031323334353637", "XYZ0000001234567"),
        ("96.1.1", "1020304050607080901020304050607080", "1020304050607080901020304050607080"),
        ("96.1.1", "00000000000000", ""),
        ("96.1.0", "9912345678", "9912345678"),
        ("42.0.0", "58595A3132333435", "XYZ12345"),
        ("42.0.0", "XYZ10203040506", "XYZ10203040506"),
        ("96.13.0", "4142", ""),
    ],
)
def test_the_device_is_the_equipment(code: str, text: str, device: str) -> None:
    assert reading(f"0-0:{code}({text})", "1-0:1.8.0(1*kWh)").device == device


def test_the_equipment_identifier_counts_more_than_the_logical_name() -> None:
    lines = ("0-0:42.0.0(4142)", "0-0:96.1.0(4344)", "1-0:1.8.0(1*kWh)")
    assert reading(*lines).device == "CD"


def test_registers_may_be_of_another_channel() -> None:
    lines = ("1-1:1.8.1(2*kWh)", "1-1:1.7.0(0.5*kW)", "1-0:32.7.0(231.5*V)", "0-0:0.0.0(4711)")
    found = reading(*lines)
    assert found.values == {"energy_import_t1": 2.0, "power": 500.0, "voltage_l1": 231.5}
    assert found.device == "4711"


def test_a_unit_may_follow_without_a_star() -> None:
    assert reading("1-0:1.8.1(000123.456kWh)", "1-0:31.7.0(005A)").values == {
        "energy_import_t1": 123.456,
        "current_l1": 5.0,
    }


def test_totals_and_reactive_energy_of_sweden_hungary_and_luxembourg() -> None:
    lines = (
        "1-0:1.8.0(00012345.678*kWh)",
        "1-0:3.8.0(00000234.567*kVArh)",
        "1-0:7.8.0(000345.678*kvarh)",
        "1-0:15.8.0(000456.789*kWh)",
        "1-0:3.7.0(0000.321*kVAr)",
        "1-0:4.7.0(0000.000*kVAr)",
        "1-0:64.7.0(0000.432*kVAr)",
    )
    assert reading(*lines).values == {
        "energy_import": 12345.678,
        "reactive_energy_import": 234.567,
        "reactive_energy_q3": 345.678,
        "absolute_energy": 456.789,
        "reactive_power": 321.0,
        "reactive_power_l3": -432.0,
    }


def test_a_total_that_is_not_stated_is_the_sum_of_the_tariffs() -> None:
    tariffs = ("1-0:1.8.1(000859.846*kWh)", "1-0:1.8.2(000573.231*kWh)")
    assert reading(*tariffs).values["energy_import"] == 1433.077
    night = "1-0:1.8.3(000001.000*kWh)"
    assert reading(*tariffs, night, "1-0:2.8.1(000001.000*kWh)").values == {
        "energy_import": 1434.077,
        "energy_import_t1": 859.846,
        "energy_import_t2": 573.231,
        "energy_import_t3": 1.0,
        "energy_export_t1": 1.0,
    }
    assert reading(*tariffs, "1-0:1.8.0(001433.080*kWh)").values["energy_import"] == 1433.08


def test_a_total_is_no_sum_of_tariffs_of_which_one_may_be_missing() -> None:
    lines = ("1-0:1.8.1(1*kWh)", "1-0:1.8.2(2*kWh)", "1-0:1.8.3(x*kWh)")
    (only,) = decoded(telegram(*lines)).readings
    assert only.values == {"energy_import_t1": 1.0, "energy_import_t2": 2.0}


def test_what_the_meter_counts_and_what_is_left_out() -> None:
    lines = (
        "0-0:96.14.0(0002)",
        "0-0:96.7.21(00017)",
        "0-0:96.7.9(00000)",
        "1-0:99.97.0(1)(0-0:96.7.19)(240110120000W)(0000000600*s)",
        "1-0:52.32.0(00001)",
        "1-0:72.36.0(00123)",
        "0-0:96.13.0(303132)",
        "0-0:98.1.0(1)(1-0:1.6.0)(1-0:1.6.0)(240501000000S)(240410121500S)(03.210*kW)",
        "0-0:96.3.10(1)",
        "0-0:17.0.0(999.9*kW)",
        "1-0:31.4.0(999*A)",
    )
    assert reading(*lines).values == {
        "tariff": 2.0,
        "power_failures": 17.0,
        "long_power_failures": 0.0,
        "voltage_sags_l2": 1.0,
        "voltage_swells_l3": 123.0,
    }


# ------------------------------------------------------------------------ behind the meter


@pytest.mark.parametrize(
    ("kind", "unit", "field"),
    [
        ("003", "m3", "gas_volume"),
        ("007", "m3", "water_volume"),
        ("006", "m3", "water_volume"),
        ("004", "GJ", "heat_energy"),
        ("004", "m3", "volume"),
        ("010", "GJ", "cooling_energy"),
        ("002", "kWh", "energy_import"),
        ("099", "m3", "volume"),
        ("", "kWh", "energy"),
    ],
)
def test_what_a_meter_behind_the_meter_measures(kind: str, unit: str, field: str) -> None:
    found = reading(
        f"0-3:24.1.0({kind})", "0-3:96.1.1(414243)", f"0-3:24.2.3(240501120000S)(00234.567*{unit})"
    )
    assert found == Reading(
        {field: 234.567}, {field: unit}, "ABC", "energy_meter", {"channel": "3"}, AT_NOON
    )


@pytest.mark.parametrize(
    "line",
    [
        "0-1:24.2.1(632525252525S)(00000.000*m3)",
        "0-1:24.2.1(700101010000W)(00000000)",
        "0-1:24.2.1()",
        "0-1:24.2.1()()",
        "0-1:24.3.0()",
        "0-1:24.4.0(1)",
    ],
)
def test_a_meter_that_was_never_read_says_nothing(line: str) -> None:
    assert decode(telegram("0-1:24.1.0(003)", line)) == Ignored(Reason.UNSUPPORTED)


def test_a_date_without_its_letter_is_no_time() -> None:
    _, gas = decoded(V22).readings
    assert (gas.values, gas.observed_at_ns) == ({"gas_volume": 89.012}, None)


def test_the_same_hourly_value_is_stored_once() -> None:
    bench = Bench()
    outcomes = []
    for second in range(3):
        data = V5.replace(b"120000S", b"12000%dS" % second)[:-6]
        data = telegram(*data.decode().split("\r\n")[2:-1])
        frame = Frame(data, AT_NOON + second * 10**9)
        outcomes += [
            bench.normalizer.normalize(each, frame) for each in decoded(data).readings if each.tags
        ]
    first, *others = outcomes
    assert isinstance(first, Observation)
    assert first.time_ns == AT_NOON - 300 * 10**9
    assert dict(first.series.tags) == {"channel": "1", "device": "G"}
    assert others == [Repeated(Reason.SAME_POINT)] * 2


# ------------------------------------------------------------------------------- simulator

NAMES = {
    "1-0:1.8.1": "energy_import_t1",
    "1-0:1.8.2": "energy_import_t2",
    "1-0:2.8.1": "energy_export_t1",
    "1-0:2.8.2": "energy_export_t2",
    "1-0:31.7.0": "current_l1",
    "1-0:32.7.0": "voltage_l1",
    "0-0:96.14.0": "tariff",
    "0-0:96.7.9": "long_power_failures",
    "1-0:72.36.0": "voltage_swells_l3",
}
KILO = {"1-0:1.4.0": "power_average", "1-0:1.6.0": "power_maximum"}


@pytest.mark.parametrize("variant", MODELS)
@pytest.mark.parametrize("t", [0.0, 4 * 3600.0, 15 * 3600.0])
def test_what_a_simulated_meter_says_is_understood(variant: str, t: float) -> None:
    world = {"energy": 1250.0 + t / 3600, "power": 420.0, "voltage": 230.4, "current": 1.83}
    meter = make("house", lambda name, at: world.get(name, at / 20.0), variant)
    (item,) = meter.emit(1, t)
    (data,) = frames(item.data)
    found = decoded(data)
    assert not found.malformed
    electric, *others = found.readings
    for code, value in item.values.items():
        if code in NAMES:
            assert electric.values[NAMES[code]] == value
        if code in KILO:
            assert electric.values[KILO[code]] == pytest.approx(value * 1000)
    sent = [item.values["1-0:1.7.0"], -item.values["1-0:2.7.0"]]
    assert electric.values["power"] == pytest.approx(1000 * sum(sent))
    behind = [value for code, value in item.values.items() if code.split(":")[0] in ("0-1", "0-2")]
    assert [next(iter(each.values.values())) for each in others] == behind
    assert len({each.device for each in found.readings}) == 1 + len(others)
