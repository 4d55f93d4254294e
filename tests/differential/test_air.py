"""Air sensors against PyPMS (https://github.com/avaldebe/PyPMS, MIT), which knows them all.

It refuses what it takes for warm-up or inconsistent, zeros for example, so none of that is shown
to it; and what it gets wrong: an escaped 7D before 31 or 33 on the SPS30.
"""

import random
import struct
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import pytest
from loguru import logger
from pms.core import Sensor

from gateway.conformance import Vector, readings_of
from gateway.devices import devices
from simulators.devices import make_device, mhz19, sps30
from simulators.world import World

logger.disable("pms")

ROUNDS = 300

SIZES = {"n0_3": "0_3", "n0_5": "0_5", "n1_0": "1", "n2_5": "2_5", "n4_0": "4", "n5_0": "5"}
NAMES = {
    "raw01": "pm1_cf1",
    "raw25": "pm25_cf1",
    "raw10": "pm10_cf1",
    "pm01": "pm1",
    "pm25": "pm25",
    "pm04": "pm4",
    "pm10": "pm10",
    **{name: f"number_concentration_{size}" for name, size in SIZES.items()},
    "n10_0": "number_concentration_10",
    "diam": "typical_particle_size",
    "HCHO": "formaldehyde",
    "temp": "temperature",
    "rhum": "humidity",
    "CO2": "carbon_dioxide",
}
"""Theirs and ours."""


def theirs(sensor: str, frame: bytes) -> dict[str, float]:
    """What PyPMS makes of a frame, under our names."""
    found: dict[str, Any] = asdict(Sensor[sensor].decode(frame, time=1))
    del found["time"]
    return {NAMES[name]: float(number) for name, number in found.items()}


def ours(
    decoder: str, frame: bytes, options: Mapping[str, object] | None = None
) -> dict[str, float] | None:
    """What we make of it, in their units; they do not read the temperature of the MH-Z19."""
    readings = readings_of(devices()[decoder], [frame], Vector(b"", (), options or {}))
    if not readings:
        return None
    values = {name: float(value) for name, value in readings[0].values.items()}
    values.pop("device_temperature", None)
    if "formaldehyde" in values:
        values["formaldehyde"] /= 1000
    return values


def summed(words: list[int]) -> bytes:
    data = struct.pack(f">2sH{len(words)}H", b"BM", 2 * len(words) + 2, *words)
    return data + struct.pack(">H", sum(data) & 0xFFFF)


PLANTOWER = [
    ("PMS3003", 9, ""),
    ("PMSx003", 13, ""),
    ("PMS5003S", 13, "pms5003s"),
    ("PMS5003T", 13, "pms5003t"),
    ("PMS5003ST", 17, ""),
]


@pytest.mark.parametrize(("sensor", "words", "model"), PLANTOWER)
def test_plantower_frames_of_any_words(sensor: str, words: int, model: str) -> None:
    rng = random.Random(1)
    for _ in range(ROUNDS):
        frame = summed([rng.randint(1, 0xFFFF) for _ in range(words)])
        assert ours("pms", frame, {"model": model} if model else {}) == theirs(sensor, frame)


@pytest.mark.parametrize(
    ("sensor", "variant"),
    [
        ("PMS3003", "pms3003"),
        ("PMSx003", "pms5003"),
        ("PMS5003T", "pms5003t"),
        ("PMS5003ST", "pms5003st"),
    ],
)
def test_simulated_plantowers(sensor: str, variant: str) -> None:
    device = make_device("pms", "dust", partial(World(1).value, "street"), variant)
    for number in range(ROUNDS):
        (item,) = device.emit(number, 300.0 * number)
        model = {"model": variant} if variant == "pms5003t" else {}
        assert ours("pms", item.data, model) == theirs(sensor, item.data)


def test_sds011_reports_of_any_values() -> None:
    rng = random.Random(1)
    for _ in range(ROUNDS):
        body = rng.randbytes(5) + b"\x01"
        frame = b"\xaa\xc0" + body + bytes([sum(body) & 0xFF]) + b"\xab"
        assert ours("sds011", frame) == theirs("SDS01x", frame)


def test_a_simulated_sps30() -> None:
    """PyPMS reads floats only."""
    device = sps30.make("dust", partial(World(1).value, "street"))
    device.receive(bytes.fromhex("7e 00 00 02 01 03 f9 7e"), 0.0)
    compared = 0
    for number in range(1, ROUNDS):
        (reply,) = device.receive(bytes.fromhex("7e 00 03 00 fc 7e"), 300.0 * number)
        if b"\x7d\x5d\x31" in reply.data or b"\x7d\x5d\x33" in reply.data:
            continue
        exact = pytest.approx(theirs("SPS30", reply.data), rel=1e-7)  # as a float32 is
        assert ours("sps30", reply.data) == exact
        compared += 1
    assert compared > ROUNDS / 2


def test_a_simulated_mhz19() -> None:
    device = mhz19.make("co2", partial(World(1).value, "kitchen"))
    request = bytes.fromhex("ff 01 86 00 00 00 00 00 79")
    assert request == Sensor["MHZ19B"].Commands.passive_read.command
    for number in range(ROUNDS):
        (reply,) = device.receive(request, 300.0 * number)
        assert ours("mhz19", reply.data) == theirs("MHZ19B", reply.data)


@pytest.mark.parametrize(
    ("decoder", "sensor", "frame"),
    [
        ("pms", "PMSx003", summed(list(range(1, 14)))),
        ("sds011", "SDS01x", bytes.fromhex("aa c0 57 00 0a 27 a1 60 89 ab")),
        ("sps30", "SPS30", bytes.fromhex("7e 00 03 00 28" + "40 90 00 00" * 10 + "b4 7e")),
        ("mhz19", "MHZ19B", bytes.fromhex("ff 86 02 f0 41 40 00 00 07")),
    ],
)
def test_both_refuse_the_same_damaged_frames(decoder: str, sensor: str, frame: bytes) -> None:
    assert ours(decoder, frame) is not None
    assert Sensor[sensor].check(frame, "passive_read")
    for bit in range(8 * len(frame)):
        damaged = bytearray(frame)
        damaged[bit // 8] ^= 1 << bit % 8
        assert ours(decoder, bytes(damaged)) is None
        assert not Sensor[sensor].check(bytes(damaged), "passive_read")
