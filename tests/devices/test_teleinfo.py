"""TeleInfo frames of both modes: groups, times, directions, and what damage may do to them."""

import random
from functools import partial
from itertools import chain

import pytest

from gateway.conformance import ARRIVAL_NS, mutate
from gateway.devices.teleinfo import DEVICE, SIZE_MAX
from gateway.model import Decoded, Frame, Ignored, Malformed, Reading, Reason, Value
from simulators.devices.teleinfo import make
from tests.specimens.teleinfo import DATE_NS, good_groups, historic, standard
from tests.streams import frames_of, with_parity

METER = "ADCO 012345678901"


def decode(*frames: bytes) -> Decoded:
    """The last verdict of one decoder."""
    decoder = DEVICE.decoder()
    verdicts = [decoder.decode(Frame(data, ARRIVAL_NS)) for data in frames]
    assert isinstance(verdicts[-1], Decoded), verdicts[-1]
    return verdicts[-1]


def values(*frames: bytes) -> dict[str, Value]:
    (reading,) = decode(*frames).readings
    return dict(reading.values)


frames = partial(frames_of, DEVICE)


# ---------------------------------------------------------------------------------- fields


@pytest.mark.parametrize(
    ("group", "field", "value"),
    [
        ("BASE 001234567", "energy_import", 1234.567),
        ("HCHP 001234567", "energy_import_t2", 1234.567),
        ("EJPHPM 000000001", "energy_import_t2", 0.001),
        ("BBRHPJR 000345678", "energy_import_t6", 345.678),
        ("IINST 012", "current", 12.0),
        ("IINST3 000", "current_l3", 0.0),
        ("PAPP 01230", "apparent_power", 1230.0),
        ("ADPS 032", "overload_current", 32.0),
        ("ADIR2 047", "overload_current_l2", 47.0),
        ("ISOUSC 30", "subscribed_current", 30.0),
        ("PTEC TH..", "tariff", 1.0),
        ("PTEC HPJW", "tariff", 4.0),
    ],
)
def test_historic_labels(group: str, field: str, value: float) -> None:
    assert values(historic(METER, group)) == {field: value}


@pytest.mark.parametrize(
    ("group", "field", "value"),
    [
        ("EAST 001234567", "energy_import", 1234.567),
        ("EASF10 001234567", "energy_import_t10", 1234.567),
        ("EAIT 001234567", "energy_export", 1234.567),
        ("ERQ4 001234567", "reactive_energy_q4", 1234.567),
        ("IRMS1 002", "current_l1", 2.0),
        ("URMS3 231", "voltage_l3", 231.0),
        ("PREF 09", "subscribed_apparent_power", 9000.0),
        ("SINSTS 00420", "apparent_power", 420.0),
        ("SINSTS2 00420", "apparent_power_l2", 420.0),
        ("SMAXSN H250330005000 04800", "apparent_power_maximum", 4800.0),
        ("NTARF 02", "tariff", 2.0),
    ],
)
def test_standard_labels(group: str, field: str, value: float) -> None:
    assert values(standard("ADSC 012345678901", group)) == {field: value}


def test_texts_and_what_else_is_left_out_are_no_damage() -> None:
    for frame in (
        standard("ADSC 012345678901", "STGE 00000100", "PJOURF+1 06001234"),
        historic(METER, "OPTARIF BBR(", "MOTDETAT 000000", "PTEC XX.."),
    ):
        assert DEVICE.decoder().decode(Frame(frame, 0)) == Ignored(Reason.UNSUPPORTED)


def test_a_text_may_hold_blanks() -> None:
    frame = standard("ADSC 012345678901", "NTARF 02")
    text = b"LTARF\t HEURE  PLEINE  \t"
    group = b"\n" + text + bytes([sum(text) % 64 + 32]) + b"\r"
    assert decode(frame[:-1] + group + b"\x03") == decode(frame)


def test_a_checksum_may_be_a_blank() -> None:
    found = (historic(METER, f"BASE {number:09}") for number in range(999))
    blank = next(frame for frame in found if frame.endswith(b"  \r\x03"))
    assert values(blank).keys() == {"energy_import"}


# ------------------------------------------------------------------------------- direction


def test_apparent_power_is_that_from_the_grid_less_that_into_it() -> None:
    for groups, power in (
        (("SINSTS 00420", "SINSTI 00000"), 420.0),
        (("SINSTS 00000", "SINSTI 00420"), -420.0),
        (("SINSTS 00000",), 0.0),
    ):
        assert values(standard("ADSC 012345678901", *groups)) == {"apparent_power": power}


def test_half_of_the_truth_is_none() -> None:
    """Of a frame in which one direction was lost, a 0 in the other says nothing."""
    for lost, kept in (("SINSTI 00420", "SINSTS 00000"), ("SINSTS 00420", "SINSTI 00000")):
        frame = standard("ADSC 012345678901", "NTARF 02", lost, kept)
        assert values(frame.replace(b"420", b"421")) == {"tariff": 2.0}
    frame = standard("ADSC 012345678901", "SINSTI 00000", "SINSTS 00420", "NTARF 02")
    assert values(frame.replace(b"\t02", b"\t03")) == {"apparent_power": 420.0}


def test_a_frame_without_its_beginning_is_half_of_the_truth_too() -> None:
    first = standard("ADSC 012345678901", "NTARF 01")
    assert values(first, standard("SINSTS 00000", "NTARF 02")) == {"tariff": 2.0}
    verdict = DEVICE.decoder().decode(Frame(standard("NTARF 02"), 0))
    assert isinstance(verdict, Malformed)
    assert verdict.reason is Reason.SYNTAX


def test_the_total_of_historic_mode_is_the_sum_of_all_indexes() -> None:
    frame = historic(METER, "HCHC 000001001", "HCHP 000002002")
    assert values(frame)["energy_import"] == 3.003
    damaged = decode(frame.replace(b"2002", b"2003"))
    assert damaged.readings[0].values == {"energy_import_t1": 1.001}


# ------------------------------------------------------------------------------------ time


@pytest.mark.parametrize(
    ("stamp", "hours"), [("H250330010000", 0), ("E250330030000", 1), ("E250330020000", 0)]
)
def test_summer_and_winter_time(stamp: str, hours: int) -> None:
    (reading,) = decode(standard("ADSC 012345678901", f"DATE {stamp} ", "EAST 000000001")).readings
    assert reading.observed_at_ns == DATE_NS + hours * 3600 * 10**9


@pytest.mark.parametrize(
    "stamp", ["h250330010000", "e250330010000", "H000000000000", "H250230010000"]
)
def test_a_clock_that_is_not_set_says_no_time(stamp: str) -> None:
    frame = standard(
        "ADSC 012345678901", f"DATE {stamp} ", "EAST 000000001", f"CCASN {stamp} 00420"
    )
    (reading,) = decode(frame).readings
    assert (reading.values, reading.observed_at_ns) == ({"energy_import": 0.001}, None)


def test_averages_are_readings_of_the_time_that_ended() -> None:
    groups = (
        "ADSC 012345678901",
        "DATE H250330010000 ",
        "EAST 000000001",
        "CCASN H250330003000 00420",
        "CCASN-1 H250330000000 00400",
        "CCAIN H250330003000 00000",
        "UMOY1 H250330005000 231",
        "UMOY3 H250330005000 229",
    )
    found = decode(standard(*groups)).readings
    assert [(each.values, each.observed_at_ns) for each in found] == [
        ({"energy_import": 0.001}, DATE_NS),
        ({"power_average": 420.0, "power_export_average": 0.0}, DATE_NS - 1800 * 10**9),
        ({"voltage_average_l1": 231.0, "voltage_average_l3": 229.0}, DATE_NS - 600 * 10**9),
    ]


# ---------------------------------------------------------------------------------- damage


def test_a_bad_group_costs_itself() -> None:
    found = decode(historic(METER, "BASE 000000001", "PAPP 00420").replace(b"420 ", b"421 "))
    assert found.readings == [
        Reading({"energy_import": 0.001}, device="012345678901", measurement="energy_meter")
    ]
    assert found.malformed == [Malformed(Reason.CHECKSUM, b"PAPP 00421 '")]


def test_where_the_meters_number_is_lost_it_is_that_of_the_frame_before() -> None:
    frame = historic(METER, "BASE 000000001")
    damaged = frame.replace(b"ADCO", b"ADC0")
    (reading,) = decode(frame, damaged).readings
    assert reading.device == "012345678901"
    verdict = DEVICE.decoder().decode(Frame(damaged, 0))
    assert isinstance(verdict, Malformed)
    assert (verdict.reason, verdict.example[:8]) == (Reason.CHECKSUM, b"ADC0 012")


@pytest.mark.parametrize(
    "group", ["BASE 0000p0001", "BASE ", "ADCO 01234567890p", "DATE 1 2", "base 1", "UMOY1 231"]
)
def test_what_the_checksum_cannot_tell_the_form_does(group: str) -> None:
    make_frame = standard if group.startswith(("DATE", "UMOY")) else historic
    verdict = DEVICE.decoder().decode(Frame(make_frame(group), 0))
    assert isinstance(verdict, Malformed)
    assert verdict.reason is Reason.CHECKSUM


def test_no_flipped_bit_makes_a_wrong_value() -> None:
    groups = ("DATE H250330010000 ", "EASF03 000000007", "SINSTI 00420", "SINSTS 00000")
    for frame in (
        historic(METER, "HCHC 000000000", "PTEC HP..", "PAPP 00420"),
        standard("ADSC 012345678901", *groups, "UMOY1 H250330005000 231"),
    ):
        true = {(each.device, *pair) for each in decode(frame).readings for pair in pairs(each)}
        for bit in range(len(frame) * 8):
            damaged = bytearray(with_parity(frame))
            damaged[bit // 8] ^= 1 << bit % 8
            decoder = DEVICE.decoder()
            decoder.decode(Frame(frame, 0))
            verdicts = [decoder.decode(Frame(data, 0)) for data in frames(bytes(damaged))]
            found = chain.from_iterable(v.readings for v in verdicts if isinstance(v, Decoded))
            assert {(each.device, *pair) for each in found for pair in pairs(each)} <= true


def pairs(reading: Reading) -> list[tuple[str, Value]]:
    return list(reading.values.items())


def test_only_groups_whose_checksum_holds_count() -> None:
    """A damaged frame says what it says without its bad groups, but for halves of the truth."""
    rng = random.Random(1)
    models = [
        historic(METER, "HCHC 000000000", "PTEC HP..", "PAPP 00420"),
        standard("ADSC 012345678901", "DATE H250330010000 ", "EASF03 000000007", "SINSTS 00420"),
    ]
    partial = 0
    for number in range(4_000):
        damaged = b"\x02" + mutate(rng, models[number % 2][1:-1]) + b"\x03"
        sifted = b"\x02" + b"".join(good_groups(damaged)) + b"\x03"
        outcomes = []
        for data in (damaged, sifted):
            decoder = DEVICE.decoder()
            decoder.decode(Frame(historic(METER), 0))
            verdict = decoder.decode(Frame(data, 0))
            outcomes.append(list(verdict.readings) if isinstance(verdict, Decoded) else [])
        assert outcomes[0] == outcomes[1], damaged
        partial += bool(outcomes[0]) and damaged != sifted
    assert partial > 1_000


def test_what_is_no_frame() -> None:
    good = historic(METER, "BASE 000000001")
    for data in (b"", b"\x02", good[1:], good[:-1], good[:-1].ljust(SIZE_MAX) + b"\x03"):
        verdict = DEVICE.decoder().decode(Frame(data, 0))
        assert isinstance(verdict, Malformed)
        assert verdict.reason is Reason.SYNTAX


def test_a_frame_that_was_broken_off_is_noise() -> None:
    good = historic(METER, "BASE 000000001")
    assert frames(good[20:], good[:20] + b"\x04", good) == [good]


# ------------------------------------------------------------------------------- simulator

NAMES = {
    "HCHC": ("energy_import_t1", 1000),
    "HCHP": ("energy_import_t2", 1000),
    "PAPP": ("apparent_power", 1),
    "IINST": ("current", 1),
    "EAST": ("energy_import", 1000),
    "EASF02": ("energy_import_t2", 1000),
    "EAIT": ("energy_export", 1000),
    "ERQ3": ("reactive_energy_q3", 1000),
    "URMS2": ("voltage_l2", 1),
    "UMOY2": ("voltage_average_l2", 1),
    "CCASN": ("power_average", 1),
    "ADIR3": ("overload_current_l3", 1),
}


@pytest.mark.parametrize("variant", ["historic", "standard", "alarm"])
@pytest.mark.parametrize("t", [0.0, 3 * 3600.0, 15 * 3600.0])
def test_what_a_simulated_meter_says_is_understood(variant: str, t: float) -> None:
    world = {"energy": 1250.0, "power": 420.0, "voltage": 230.4, "current": 1.83}
    meter = make("house", lambda name, at: world.get(name, at / 20.0), variant)
    (item,) = meter.emit(1, t)
    (data,) = frames(item.data)
    found = decode(data)
    assert not found.malformed
    everything = dict(chain.from_iterable(pairs(each) for each in found.readings))
    for label, value in item.values.items():
        if label in NAMES:
            name, divisor = NAMES[label]
            assert everything[name] == value / divisor
    if "SINSTI" in item.values:
        difference = item.values["SINSTS"] - item.values["SINSTI"]
        assert everything["apparent_power"] == difference
    assert {len(each.device) for each in found.readings} == {12}
