"""SDS011: reports, what is no report, and the simulator's frames."""

from functools import partial

import pytest

from gateway.conformance import Vector, readings_of
from gateway.devices.sds011 import DEVICE, Sds011Decoder
from gateway.model import Frame, Ignored, Malformed, Reading, Reason
from simulators.devices.sds011 import make
from simulators.world import World


def packet(kind: int, body: bytes) -> bytes:
    return bytes([0xAA, kind]) + body + bytes([sum(body) % 0x100, 0xAB])


REPORT = packet(0xC0, bytes.fromhex("57 00 0a 27 a1 60"))


def readings(*chunks: bytes) -> list[Reading]:
    return readings_of(DEVICE, chunks, Vector(b"", ()))


def test_a_report() -> None:
    assert readings(REPORT) == [
        Reading({"pm25": 8.7, "pm10": 999.4}, device="a160", measurement="air_quality")
    ]


def test_what_the_simulator_measures_arrives() -> None:
    world = World(1)
    device = make("dust", partial(world.value, "street"))
    for number in range(20):
        (item,) = device.emit(number, 60.0 * number)
        (reading,) = readings(item.data)
        sent = [item.values[name] / 10 for name in ("PM2.5", "PM10")]
        assert [reading.values[name] for name in ("pm25", "pm10")] == sent
        assert reading.device == device.identity.hex()


@pytest.mark.parametrize("kind", [0xC5, 0xCF])
def test_other_packets_are_understood_and_not_wanted(kind: int) -> None:
    data = packet(kind, bytes(6))
    assert Sds011Decoder().decode(Frame(data, 0)) == Ignored(Reason.UNSUPPORTED)


@pytest.mark.parametrize(
    "data", [b"", b"\xaa\xc0", REPORT[:-1], REPORT[:-1] + b"\xaa", packet(0xB4, bytes(6))]
)
def test_the_decoder_trusts_nobody(data: bytes) -> None:
    assert Sds011Decoder().decode(Frame(data, 0)) == Malformed(Reason.CHECKSUM, data)


def test_a_report_cut_short_does_not_take_the_next_one_with_it() -> None:
    for length in range(len(REPORT)):
        assert len(readings(REPORT[:length] + REPORT)) == 1
