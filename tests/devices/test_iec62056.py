"""D0 telegrams: pushed and answered, and everything that may be wrong with them."""

from functools import partial

import pytest

from gateway.conformance import ARRIVAL_NS
from gateway.devices.iec62056 import DEVICE, SIZE_MAX
from gateway.model import (
    Decoded,
    Frame,
    Ignored,
    Malformed,
    Observation,
    Reading,
    Reason,
    Verdict,
)
from simulators.devices.iec62056 import VARIANTS, make
from tests.specimens.iec62056 import PUSHED, answer
from tests.streams import frames_of
from tests.test_normalize import Bench

ANSWER = answer("1.8.0(0012345.6*kWh)")


def decode(data: bytes) -> Verdict:
    return DEVICE.decoder().decode(Frame(data, ARRIVAL_NS))


def reading(data: bytes) -> Reading:
    verdict = decode(data)
    assert isinstance(verdict, Decoded), verdict
    (only,) = verdict.readings
    return only


def pushed(*lines: str) -> bytes:
    return "\r\n".join(("/XYZ5", "", *lines, "!", "")).encode()


frames = partial(frames_of, DEVICE)


# ---------------------------------------------------------------------------- the checksum


def test_a_wrong_block_check_character_refuses_the_answer() -> None:
    assert isinstance(decode(ANSWER), Decoded)
    for damaged in (ANSWER.replace(b"345", b"346"), ANSWER[:-2], ANSWER[:-1], ANSWER[:-1] + b"?"):
        verdict = decode(damaged)
        assert isinstance(verdict, Malformed)
        assert verdict.reason is Reason.CHECKSUM


def test_behind_a_good_one_an_unreadable_line_costs_itself() -> None:
    verdict = decode(answer("?", "1.8.0(1*kWh)", "2.8.0(x*kWh)"))
    assert isinstance(verdict, Decoded)
    assert [each.values for each in verdict.readings] == [{"energy_import": 1.0}]
    assert [each.example for each in verdict.malformed] == [b"?", b"2.8.0(x*kWh)"]


@pytest.mark.parametrize("line", ["1.8.0(1*kWh", "1.8.0(\xb1*kWh)", "1.8.0(x*kWh)", "?"])
def test_without_one_every_line_must_be_readable(line: str) -> None:
    data = pushed("2.8.0(1*kWh)", line).decode().encode("latin-1")
    verdict = decode(data)
    assert isinstance(verdict, Malformed)
    assert verdict.reason is Reason.SYNTAX


def test_what_is_no_telegram() -> None:
    for data in (b"", b"/?!\r\n", b"/XYZ5\r\n", b"/XYZ5\r\n!rest\r\n", PUSHED.ljust(SIZE_MAX + 1)):
        verdict = decode(data)
        assert isinstance(verdict, Malformed)
        assert verdict.reason is Reason.SYNTAX
    assert decode(pushed("F.F(00)", "0.9.2(240501)")) == Ignored(Reason.UNSUPPORTED)


# ------------------------------------------------------------------------------ the stream


def test_an_answer_is_framed_with_its_block_check_character() -> None:
    stream = b"/?!\r\n" + ANSWER + PUSHED + ANSWER
    assert frames(stream) == [ANSWER, PUSHED, ANSWER]
    assert frames(*(bytes([byte]) for byte in stream)) == [ANSWER, PUSHED, ANSWER]


def test_a_request_between_identification_and_answer() -> None:
    asked = ANSWER.replace(b"\x02", b"\x06050\r\n\x02")
    assert frames(asked) == [asked]
    assert reading(asked) == reading(ANSWER)


def test_a_lost_end_costs_its_own_telegram_only() -> None:
    assert frames(ANSWER[:-1] + PUSHED) == [ANSWER[:-1], PUSHED]
    assert frames(ANSWER[:-2] + PUSHED) == [ANSWER[:-2], PUSHED]
    assert frames(PUSHED[:-3] + PUSHED) == [PUSHED]
    assert frames(PUSHED[5:] + PUSHED) == [PUSHED]


@pytest.mark.parametrize("end", [b"", b"\r"])
def test_the_last_telegram_of_a_stream_may_lack_the_end_of_its_line(end: bytes) -> None:
    last = PUSHED[:-2] + end
    assert frames(PUSHED + last) == [PUSHED, last]
    assert reading(last) == reading(PUSHED)
    assert frames(PUSHED[:-3]) == []


def test_a_block_check_character_may_be_a_slash() -> None:
    texts = (f"{chr(a)}{chr(b)}" for a in range(0x30, 0x5B) for b in range(0x61, 0x7B))
    ends = (answer(f"C.1.0({text})", "1.8.0(1*kWh)") for text in texts)
    slash = next(each for each in ends if each.endswith(b"/"))
    assert frames(slash + PUSHED) == [slash, PUSHED]


def test_the_unit_of_an_impulse_begins_no_telegram() -> None:
    data = pushed("1.8.0(1*kWh)", "0.4.2(1000*imp/kWh)")
    assert frames(data) == [data]


# ------------------------------------------------------------------------------ the fields


def test_earlier_periods_dates_and_states_are_left_out() -> None:
    lines = (
        "F.F(00000000)",
        "0.9.1(123456)",
        "0.9.2(240501)",
        "1.6.1(00.512*kW)(2405011215)",
        "1.8.0(00012345.6*kWh)",
        "1.8.0*01(00012000.0*kWh)",
        "1.8.1&12(00010000.0*kWh)",
        "C.7.0(0004)",
        "0.2.0(V1.0,A1B2,20240501)",
    )
    assert reading(pushed(*lines)).values == {"energy_import": 12345.6, "power_maximum_t1": 512.0}


def test_a_register_without_a_field_keeps_its_code_and_unit() -> None:
    found = reading(pushed("1-1:83.8.0*255(1.5*kWh)", "1-1:1.8.0*255(2*kWh)"))
    assert found.values == {"obis_83_8_0": 1.5, "energy_import": 2.0}
    assert found.units == {"obis_83_8_0": "kWh"}
    stored = Bench().normalizer.normalize(found, Frame(b"", ARRIVAL_NS))
    assert isinstance(stored, Observation)
    assert stored.fields == {"obis_83_8_0_kwh": 1.5, "energy_import": 2.0}


def test_the_last_part_of_an_instant_values_code_may_be_left_out() -> None:
    lines = ("1.8.0(1*kWh)", "32.7(231*V)", "51.7(001.25*A)", "16.7(000.42*kW)", "1.7(000.42*kW)")
    assert reading(answer(*lines)).values == {
        "energy_import": 1.0,
        "voltage_l1": 231.0,
        "current_l2": 1.25,
        "power": 420.0,
    }


def test_energy_without_a_unit_is_in_kilowatt_hours_where_it_has_decimals() -> None:
    lines = (
        "1-0:1.8.1*255(012345.6789)",
        "1-0:2.8.0*255(000000.0000)",
        "1-0:3.8.0*255(12.5)",
        "1-0:1.8.2*255(012345)",
        "1-0:83.8.0*255(1.5)",
        "1-0:16.7.0*255(123.45)",
    )
    assert reading(pushed(*lines)).values == {
        "energy_import_t1": 12345.6789,
        "energy_export": 0.0,
        "reactive_energy_import": 12.5,
    }
    assert reading(pushed(*lines, "1-0:36.7.0*255(1*W)")).values == {"power_l1": 1.0}


def test_period_00_is_now_where_nothing_else_is() -> None:
    lines = ("0.0.0(4711)", "0.2.0(1.2)", "1.8.0*00(012345.67)", "2.8.0*00(000123.45)", "F.F(00)")
    found = reading(answer(*lines, "0.2.2(:::::G11)"))
    assert found.values == {"energy_import": 12345.67, "energy_export": 123.45}
    assert found.device == "4711"
    now = reading(answer(*lines, "1.8.0*01(1.5)", "1.8.1*255(20000.5)"))
    assert now.values == {"energy_import_t1": 20000.5}


@pytest.mark.parametrize("text", ["  231*V", "231 *V", "231* V "])
def test_blanks_around_a_number_are_no_harm(text: str) -> None:
    assert reading(pushed(f"1-0:32.7.0*255({text})")).values == {"voltage_l1": 231.0}


def test_a_missing_star_is_a_damage_where_no_checksum_proves_it() -> None:
    assert reading(answer("32.7.0(231V)")).values == {"voltage_l1": 231.0}
    assert decode(pushed("32.7.0(231V)")) == Malformed(Reason.SYNTAX, b"32.7.0(231V)")
    for text in ("231X", "231Cel"):
        verdict = decode(answer(f"32.7.0({text})"))
        assert isinstance(verdict, Decoded)
        assert verdict.malformed == [Malformed(Reason.SYNTAX, f"32.7.0({text})".encode())]


@pytest.mark.parametrize("text", ["1C0104", "231VV", "2 31*V", "231**V"])
def test_what_is_no_number_with_a_unit(text: str) -> None:
    verdict = decode(pushed("1.8.0(1*kWh)", f"1-0:32.7.0*255({text})"))
    assert verdict == Malformed(Reason.SYNTAX, f"32.7.0({text})".encode())


def test_a_heat_meter() -> None:
    line = "6.8(0012.345*MWh)6.26(00034.56*m3)9.21(12345678)"
    earlier = "6.26*01(0020.00*m3)6.8*01(0003.000*MWh)"
    assert reading(answer(line, earlier, "6.6(0017.2*kW)", identification="/XYZCUH50")) == Reading(
        {"heat_energy": 12.345, "volume": 34.56},
        {"heat_energy": "MWh", "volume": "m3"},
        "12345678",
        "energy_meter",
    )


@pytest.mark.parametrize(
    ("lines", "device"),
    [
        (("0.0.0(4711)", "C.1.0(4712)", "1-0:96.1.0*255(1XYZ4713)"), "1XYZ4713"),
        (("0.0.0( 4711 )", "C.1.0(4712)"), "4712"),
        (("1-0:0.0.0*255(4711)",), "4711"),
        (("0.0.0(00000000)",), ""),
    ],
)
def test_the_device_is_the_meters_number(lines: tuple[str, ...], device: str) -> None:
    assert reading(pushed(*lines, "1.8.0(1*kWh)")).device == device


# ------------------------------------------------------------------------------- simulator

NAMES = {
    "1.8.0": ("energy_import", 1),
    "1.8.2": ("energy_import_t2", 1),
    "2.8.0": ("energy_export", 1),
    "3.8.0": ("reactive_energy_import", 1),
    "21.7.0": ("power_l1", 1),
    "31.7.0": ("current_l1", 1),
    "32.7.0": ("voltage_l1", 1),
    "14.7.0": ("frequency", 1),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_a_simulated_meter_says_is_understood(variant: str) -> None:
    world = {"energy": 1250.1234567, "power": 420.5, "voltage": 230.4, "current": 1.83}
    meter = make("house", lambda name, _t: world.get(name, 50.01), variant)
    (item,) = meter.emit(1, 0.0)
    (data,) = frames(item.data)
    found = reading(data)
    for code, value in item.values.items():
        if code in NAMES:
            assert found.values[NAMES[code][0]] == value
    assert found.values["power"] in {420.5, 420.0, 421.0}
    assert len(found.values) == len(item.values)
    assert found.device
