"""SML: transmissions and messages of odd make.

Messages are encoded by the simulator, which shares no code with the decoder.
"""

from collections.abc import Callable

import pytest

from gateway.conformance import ARRIVAL_NS, check_framer, feed
from gateway.devices.sml import DEVICE, TRANSMISSION_MAX, Transmissions
from gateway.model import Decoded, Frame, Framed, Ignored, Malformed, Reading, Reason, Verdict
from simulators.devices import sml as meter
from tests.specimens.sml import DZG, ESCAPED, FEEDING, HOLLEY, remainder

SERVER = b"\x0a\x01ISK\x00\x01\x02\x03\x04"
WH, W = meter.WATT_HOUR, meter.WATT


def decode(data: bytes) -> Verdict:
    return DEVICE.decoder().decode(Frame(data, ARRIVAL_NS))


def reading(*entries: bytes, server: bytes = SERVER, time: bytes = meter.NOTHING) -> Reading:
    verdict = decode(meter.meter_list(server, time, list(entries)))
    assert isinstance(verdict, Decoded), verdict
    assert not verdict.malformed
    (only,) = verdict.readings
    return only


def values(*entries: bytes, server: bytes = SERVER) -> dict[str, object]:
    return dict(reading(*entries, server=server).values)


def refusal(verdict: Verdict) -> Reason:
    assert isinstance(verdict, Malformed), verdict
    return verdict.reason


def watts(value: int, code: str = "16.7.0", scaler: int = 0) -> bytes:
    return meter.entry(code, meter.integer(value), unit=W, scaler=scaler)


def list_message(*entries: bytes) -> bytes:
    nothing = meter.NOTHING
    body = meter.elements(
        *(nothing, meter.octets(SERVER), nothing, nothing, meter.elements(*entries)),
        *(nothing, nothing),
    )
    return meter.message(b"\x01", 0x0701, body)


# --------------------------------------------------------------------------- transmissions


def test_transmissions_come_out_of_a_stream_however_it_is_cut() -> None:
    frames = [vector.data for vector in (FEEDING, ESCAPED, DZG, HOLLEY, ESCAPED)]
    check_framer(Transmissions, b"".join(frames), frames)


@pytest.mark.parametrize("before", range(1, 14))
@pytest.mark.parametrize("after", [b"", b"\x1a\x00\x12\x34", b"\x01\x01\x01\x01", b"\x02"])
def test_any_run_of_escape_bytes_may_stand_in_the_data(before: int, after: bytes) -> None:
    key = meter.key_entry(b"\x1b" * before + after)
    data = meter.transmission(list_message(key, watts(7)))
    frames = [item.data for item in feed(Transmissions(), [data]) if isinstance(item, Framed)]
    assert frames == [data]
    verdict = decode(data)
    assert isinstance(verdict, Decoded)
    assert verdict.readings[0].values == {"power": 7.0}


def test_of_two_starts_without_an_end_the_first_is_refused() -> None:
    broken = FEEDING.data[:-20]
    items = list(feed(Transmissions(), [broken + FEEDING.data]))
    assert [item.data for item in items] == [broken, FEEDING.data]
    assert refusal(decode(broken)) is Reason.CHECKSUM


@pytest.mark.parametrize("kept", [24, 100, 161, 163, 164, 165, 166, 167])
def test_bytes_lost_anywhere_cost_one_transmission(kept: int) -> None:
    stream = FEEDING.data[:kept] + ESCAPED.data + FEEDING.data[-kept:] + ESCAPED.data
    frames = [item.data for item in feed(Transmissions(), [stream]) if isinstance(item, Framed)]
    assert frames.count(ESCAPED.data) == 2


def test_what_never_ends_is_bounded() -> None:
    framer = Transmissions()
    chunks = [FEEDING.data[:8], *[b"\x1b" * 100 + b"\x55" * 100] * 200, FEEDING.data]
    items = list(feed(framer, chunks))
    assert items[-1] == Framed(FEEDING.data, len(FEEDING.data))
    assert sum(item.size for item in items if not isinstance(item, Framed)) > TRANSMISSION_MAX


# --------------------------------------------------------------------------------- checksums


def test_a_wrong_checksum_is_refused() -> None:
    assert refusal(decode(FEEDING.data[:-1] + b"\x00")) is Reason.CHECKSUM
    assert refusal(decode(b"")) is Reason.CHECKSUM
    assert refusal(decode(FEEDING.data[:8])) is Reason.CHECKSUM


@pytest.mark.parametrize(
    ("start", "inverted", "order", "taken"),
    [
        (0xFFFF, 0xFFFF, "little", True),
        (0xFFFF, 0xFFFF, "big", False),
        (0, 0, "big", True),
        (0, 0, "little", False),
        (0xFFFF, 0, "little", False),
    ],
)
def test_only_known_checksums_in_their_order_are_taken(
    monkeypatch: pytest.MonkeyPatch, start: int, inverted: int, order: str, *, taken: bool
) -> None:
    def crc(data: bytes) -> int:
        found = remainder(data, start) ^ inverted
        return found if order == "little" else (found & 0xFF) << 8 | found >> 8

    monkeypatch.setattr(meter, "crc16", crc)
    verdict = decode(meter.meter_list(SERVER, meter.NOTHING, [watts(7)]))
    assert isinstance(verdict, Decoded if taken else Malformed)


def test_a_message_with_a_wrong_checksum_is_refused_alone() -> None:
    good, bad = list_message(watts(7)), bytearray(list_message(watts(8)))
    bad[-2] ^= 1
    verdict = decode(meter.transmission(bytes(bad), good))
    assert isinstance(verdict, Decoded)
    assert [one.values for one in verdict.readings] == [{"power": 7.0}]
    assert [one.reason for one in verdict.malformed] == [Reason.CHECKSUM]
    assert refusal(decode(meter.transmission(bytes(bad)))) is Reason.CHECKSUM


# ---------------------------------------------------------------------------------- messages


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize("encode", [meter.integer, meter.unsigned])
def test_numbers_of_every_length(size: int, encode: Callable[[int, int], bytes]) -> None:
    for value in (0, 1, 100, 1 << 8 * size - 2):
        assert values(meter.entry("16.7.0", encode(value, size), unit=W)) == {"power": value}
    if encode is meter.integer:
        least = -1 << 8 * size - 1
        assert values(meter.entry("16.7.0", encode(least, size), unit=W)) == {"power": least}


@pytest.mark.parametrize(
    "value",
    [
        b"\x01",  # not stated, though it has to be
        b"\x6a" + bytes(9),  # nine bytes
        b"\x61",  # none
        b"\x12\x00",  # a type that does not exist
        b"\x00",  # an end where a value has to be
        b"\x8f\x8f\x8f\x8f\x8f\x0f",  # longer than anything
        b"\xff\x0f" + b"\x01" * 20,  # a list that does not fit
    ],
)
def test_an_entry_that_is_no_sml_costs_its_message(value: bytes) -> None:
    entry = meter.entry("16.7.0", value, unit=W)
    assert refusal(decode(meter.meter_list(SERVER, meter.NOTHING, [entry]))) is Reason.SYNTAX


def test_after_a_broken_message_those_before_it_remain() -> None:
    verdict = decode(meter.transmission(list_message(watts(7)), b"\x75\x01"))
    assert isinstance(verdict, Decoded)
    assert [one.values for one in verdict.readings] == [{"power": 7.0}]
    assert [one.reason for one in verdict.malformed] == [Reason.SYNTAX]


def test_lists_in_lists_exhaust_nothing() -> None:
    deep = b"\x71" * 4000 + b"\x01"
    wide = b"\xff\x8f\x8f\x0f" * 1000
    assert values(meter.entry("96.1.0", deep), watts(7)) == {"power": 7.0}
    for body in (deep, wide):
        broken = meter.transmission(meter.message(b"\x01", 0x0701, body))
        assert refusal(decode(broken)) is Reason.SYNTAX
    assert isinstance(decode(meter.transmission(meter.message(b"\x01", 0x0101, deep))), Ignored)


def test_a_long_list_says_its_length_in_two_bytes() -> None:
    entries = [watts(number, f"1.5.{number}") for number in range(20)]
    assert values(*entries) == {f"obis_1_5_{number}": float(number) for number in range(20)}


def test_what_holds_no_number_is_ignored() -> None:
    text = meter.entry("96.1.0", meter.octets(b"1ISK0000012345"))
    for entries in ([], [text]):
        verdict = decode(meter.meter_list(SERVER, meter.NOTHING, entries))
        assert verdict == Ignored(Reason.UNSUPPORTED)
