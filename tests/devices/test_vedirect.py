"""VE.Direct: blocks whole or not at all, HEX messages anywhere, and what each label becomes."""

import random

import pytest

from gateway.conformance import ARRIVAL_NS, SEED, Vector, check_framer, feed, readings_of
from gateway.devices import devices
from gateway.devices.vedirect import BLOCK_MAX, DEVICE, Blocks, VeDirectDecoder
from gateway.model import (
    Decoded,
    FieldValue,
    Frame,
    Framed,
    Ignored,
    Malformed,
    Noise,
    Reading,
    Reason,
    Verdict,
)
from simulators.devices import make_device
from simulators.devices.vedirect import hex_message
from simulators.world import World
from tests.specimens.vedirect import HEX, LAST_LINE, MONITOR, block
from tests.stored import stored


def decode(data: bytes, decoder: VeDirectDecoder | None = None, *, first: bool = False) -> Verdict:
    return (decoder or VeDirectDecoder()).decode(Frame(data, ARRIVAL_NS, first=first))


def reading(*lines: str) -> Reading:
    verdict = decode(block(*lines))
    assert isinstance(verdict, Decoded), verdict
    assert not verdict.malformed
    (found,) = verdict.readings
    assert found.measurement == "battery"
    return found


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("V\t12065", "battery_voltage", 12.065),
        ("V2\t0", "battery_voltage_2", 0),
        ("V3\t24500", "battery_voltage_3", 24.5),
        ("VS\t-12", "starter_voltage", -0.012),
        ("VM\t12001", "midpoint_voltage", 12.001),
        ("DM\t-35", "midpoint_deviation_percent", -3.5),
        ("VPV\t36120", "panel_voltage", 36.12),
        ("PPV\t130", "panel_power", 130),
        ("I\t-7625", "battery_current", -7.625),
        ("I2\t100", "battery_current_2", 0.1),
        ("I3\t100", "battery_current_3", 0.1),
        ("IL\t300", "load_current", 0.3),
        ("LOAD\tON", "load_output", 1),
        ("T\t-5", "battery_temperature", -5),
        ("P\t-92", "battery_power", -92),
        ("CE\t-65473", "charge", -65.473),
        ("SOC\t1000", "battery", 100),
        ("TTG\t0", "time_to_go", 0),
        ("TTG\t942", "time_to_go", 56_520),
        ("Alarm\tON", "alarm", 1),
        ("Relay\tOFF", "relay", 0),
        ("AR\t4", "alarm_reason", 4),
        ("OR\t0x00000101", "off_reason", 257),
        ("H1\t-149322", "deepest_discharge_ah", -149.322),
        ("H2\t-1", "last_discharge_ah", -0.001),
        ("H3\t0", "average_discharge_ah", 0),
        ("H4\t12", "charge_cycles", 12),
        ("H5\t1", "full_discharges", 1),
        ("H6\t-5526294", "drawn_charge", -5526.294),
        ("H7\t11733", "battery_voltage_min", 11.733),
        ("H8\t16161", "battery_voltage_max", 16.161),
        ("H9\t368003", "time_since_full_charge_s", 368_003),
        ("H10\t26", "synchronizations", 26),
        ("H11\t1", "low_voltage_alarms", 1),
        ("H12\t2", "high_voltage_alarms", 2),
        ("H13\t3", "low_starter_voltage_alarms", 3),
        ("H14\t4", "high_starter_voltage_alarms", 4),
        ("H15\t11000", "starter_voltage_min", 11),
        ("H16\t15000", "starter_voltage_max", 15),
        ("H17\t6843", "discharged_energy", 68.43),
        ("H18\t8527", "charged_energy", 85.27),
        ("H19\t12345", "panel_energy", 123.45),
        ("H20\t131", "panel_energy_today", 1.31),
        ("H21\t212", "panel_power_max_today", 212),
        ("H22\t60", "panel_energy_yesterday", 0.6),
        ("H23\t198", "panel_power_max_yesterday", 198),
        ("ERR\t0", "error_code", 0),
        ("CS\t5", "operating_state", "float"),
        ("CS\t0", "operating_state", "switched_off"),
        ("CS\t99", "operating_state", "code 99"),
        ("MPPT\t2", "tracker_state", "tracking"),
        ("MODE\t253", "device_mode", "hibernate"),
        ("HSDS\t364", "day_number", 364),
        ("AC_OUT_V\t23005", "ac_output_voltage", 230.05),
        ("AC_OUT_I\t12", "ac_output_current", 1.2),
        ("AC_OUT_S\t276", "ac_output_apparent_power", 276),
        ("WARN\t1", "warning_reason", 1),
        ("MON\t-9", "monitor_mode", -9),
        ("DC_IN_V\t1250", "dc_input_voltage", 12.5),
        ("DC_IN_I\t35", "dc_input_current", 3.5),
        ("DC_IN_P\t44", "dc_input_power", 44),
    ],
)
def test_a_label_and_what_is_stored_of_it(line: str, field: str, value: FieldValue) -> None:
    assert stored(reading(line)) == {
        field: value if isinstance(value, str) else pytest.approx(value, rel=1e-12)
    }


def test_what_is_no_value_or_not_kept() -> None:
    lines = ("V\t12000", "TTG\t-1", "T\t---", "BMV\t700", "FW\t0308", "FWE\t0208FF")
    assert reading(*lines).values == {"battery_voltage": 12.0}
    assert decode(block(*lines[1:])) == Ignored(Reason.UNAVAILABLE)
    assert decode(block()) == Ignored(Reason.UNAVAILABLE)


def test_a_label_that_is_new_keeps_its_name() -> None:
    found = stored(reading("V\t12000", "NEW\t1", "DEV\tabc", "HEX\t0x10"))
    assert found == {"battery_voltage": 12.0, "new": 1.0, "dev": "abc", "hex": 16.0}


@pytest.mark.parametrize("line", ["V\t12,5", "V\t", "I\t1_0", "SOC\tnan", "Alarm\ton", "CS\tbulk"])
def test_a_line_that_cannot_be_read_costs_itself(line: str) -> None:
    verdict = decode(block(line, "H4\t3"))
    assert isinstance(verdict, Decoded)
    assert verdict.malformed == [Malformed(Reason.SYNTAX, line.replace("\t", " ").encode())]
    assert [found.values for found in verdict.readings] == [{"charge_cycles": 3.0}]


# --------------------------------------------------------------------------------- identity


def test_the_history_of_a_monitor_belongs_to_the_monitor() -> None:
    stream = block("PID\t0x203", "V\t12000") + block("H4\t3") + block("PID\t0xA399", "V\t12000")
    found = readings_of(DEVICE, [stream], Vector(b"", ()))
    assert [each.tags for each in found] == [{"model": m} for m in ("BMV-700", "BMV-700", "0xA399")]
    assert [dict(each.values) for each in found[1:]] == [
        {"charge_cycles": 3.0},
        {"battery_voltage": 12.0},
    ]


def test_a_serial_number_is_the_device() -> None:
    assert reading("SER#\tHQ2132ABCDE", "V\t1").device == "HQ2132ABCDE"
    assert reading("SER#\t\x07", "PID\tabc", "V\t1")[2:5] == ("", "battery", {})


# ---------------------------------------------------------------------------- whole or not


def test_a_block_is_whole_or_refused() -> None:
    damaged = MONITOR.replace(b"12800", b"12900")
    assert decode(damaged) == Malformed(Reason.CHECKSUM, damaged)
    assert decode(damaged, first=True) == Ignored(Reason.FIRST_LINE)
    assert isinstance(decode(MONITOR, first=True), Decoded)
    assert decode(MONITOR[:-1]) == Malformed(Reason.CHECKSUM, MONITOR[:-1])
    assert decode(b"") == Malformed(Reason.CHECKSUM, b"")


def test_a_label_that_repeats_shows_two_blocks_in_one() -> None:
    for lines in (("V\t1", "I\t2", "V\t1"), ("V\t1", "I2")):
        assert decode(block(*lines)) == Malformed(Reason.SYNTAX, block(*lines))
    odd = block("SER#\t\N{DEGREE SIGN}")
    assert decode(odd) == Malformed(Reason.NOT_TEXT, odd)


def with_checksum(wanted: bytes) -> bytes:
    """A block whose checksum byte is this one."""
    texts = (chr(code) + "z" * times for code in range(0x21, 0x7F) for times in range(8))
    found = (block("V\t12000", f"NEW\t{text}") for text in texts)
    return next(data for data in found if data.endswith(wanted))


@pytest.mark.parametrize("checksum", [b":", b"\r", b"\n", b"\t", b"\0", b"C", b"\xff"])
def test_the_checksum_may_be_any_byte(checksum: bytes) -> None:
    data = with_checksum(checksum)
    check_framer(Blocks, data + HEX + data + data, [data, HEX, data, data])
    assert len(readings_of(DEVICE, [data * 3], Vector(b"", ()))) == 3


@pytest.mark.parametrize("at", range(len(MONITOR) - 1))
def test_a_hex_message_may_stand_anywhere(at: int) -> None:
    """But before the checksum byte itself, which would be taken for the colon."""
    stream = MONITOR[:at] + HEX + HEX + MONITOR[at:]
    items = [*feed(Blocks(), [stream])]
    assert [item.data for item in items] == [HEX, HEX, MONITOR]
    assert sum(item.size for item in items) == len(stream)


def test_hex_messages_are_checked_and_ignored() -> None:
    asynchronous = hex_message(0xA, b"\xbc\xed\x00\x10\x27\x00\x00")
    for message in (HEX, HEX.lower(), asynchronous):
        assert decode(message) == Ignored(Reason.UNSUPPORTED)
    assert decode(b":7F0ED0072\n") == Malformed(Reason.CHECKSUM, b":7F0ED0072\n")
    assert decode(b":7F0ED007\n") == Malformed(Reason.SYNTAX, b":7F0ED007\n")
    assert decode(b":\n") == Malformed(Reason.SYNTAX, b":\n")


def test_a_damaged_hex_message_does_not_hurt_its_block() -> None:
    damaged = HEX.replace(b"ED", b"EC")
    framed = [*feed(Blocks(), [MONITOR[:40] + damaged + MONITOR[40:]])]
    assert [item.data for item in framed] == [damaged, MONITOR]


# ---------------------------------------------------------------------------------- streams


def test_a_stream_that_begins_within_a_block() -> None:
    for start in range(1, len(MONITOR)):
        stream = MONITOR[start:] + MONITOR
        assert len(readings_of(DEVICE, [stream], Vector(b"", ()))) == 1, start
        items = [*feed(Blocks(), [stream])]
        assert sum(isinstance(item, Framed) and item.first for item in items) == 1


def test_a_stream_without_end_does_not_grow() -> None:
    line = b"\r\nV\t12000"
    for junk in (line * 1_000, b"\r\n" * 10_000, b":" * 10_000, b":7" * 5_000, b"\r" * 10_000):
        framer = Blocks()
        items = [*feed(framer, [junk[i : i + 100] for i in range(0, len(junk), 100)])]
        assert all(isinstance(item, Noise) for item in items)
        assert sum(item.size for item in items) == len(junk)
        assert [i.data for i in feed(framer, [junk + LAST_LINE + b"\0" + MONITOR])][-1] == MONITOR


def test_the_longest_block_is_found_behind_junk() -> None:
    longest = block(*(f"{'L' * 8}{n}\t{'x' * 33}" for n in range(10, 32)))
    assert 900 < len(longest) <= BLOCK_MAX
    rng = random.Random(SEED)
    for _ in range(50):
        junk = b"\r\nV\t1" * rng.randrange(400)
        noise = bytes(rng.choice(b"\r\n\tV:0") for _ in range(rng.randrange(3_000)))
        items = [*feed(Blocks(), [noise + junk + LAST_LINE + b"\0" + longest])]
        assert items[-1].data == longest


# -------------------------------------------------------------------------------- simulator


@pytest.mark.parametrize("variant", ["bmv", "mppt", "mppt_hex"])
def test_a_product_as_it_is_simulated(variant: str) -> None:
    world = World(7)
    device = make_device("vedirect", "x", lambda q, t: world.value("van", q, t), variant)
    items = [item for t in range(0, 86_400, 1_800) for item in device.emit(t, float(t))]
    stream = b"".join(item.data for item in items)
    found = readings_of(devices()["vedirect"], [stream], Vector(b"", ()))
    assert len(found) == len(items)
    for item, each in zip(items, found, strict=True):
        fields = stored(each)
        for label, field, per_unit in (
            ("V", "battery_voltage", 1000),
            ("I", "battery_current", 1000),
            ("SOC", "battery", 10),
            ("PPV", "panel_power", 1),
            ("H6", "drawn_charge", 1000),
            ("H19", "panel_energy", 100),
        ):
            if label in item.values:
                assert fields[field] == pytest.approx(item.values[label] / per_unit)
            else:
                assert field not in fields


def test_what_waits_is_not_searched_anew_for_every_byte() -> None:
    framer = Blocks()
    for byte in b"\r\nV\t" + b"1" * 1000:
        framer.feed(bytes([byte]))
    assert framer.buffered - framer._searched < len(b"\r\nChecksum\t.")


def test_a_hex_message_within_a_hex_message_is_taken_out_first() -> None:
    framer = Blocks()
    stream = b"\r\nV\t12:7ED:352\n:351\nF0071\n"
    expected = [b":352\n", b":351\n", b":7EDF0071\n"]
    for size in (1, 2, 5, len(stream)):
        chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
        found = [i.data for c in chunks for i in framer.feed(c) if isinstance(i, Framed)]
        assert found == expected
        framer.close()
