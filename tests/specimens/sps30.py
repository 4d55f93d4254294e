"""SPS30: floats, integers with every byte that is stuffed, an answer without data, a refusal."""

import re

from gateway.conformance import Vector
from gateway.model import Reading
from tests.specimens import Specimen

NAMES = (
    *("pm1", "pm25", "pm4", "pm10", "number_concentration_0_5", "number_concentration_1"),
    *("number_concentration_2_5", "number_concentration_4", "number_concentration_10"),
    "typical_particle_size",
)


def answer(hexadecimal: str, *numbers: float) -> Vector:
    values = dict(zip(NAMES, numbers, strict=True)) if numbers else {}
    readings = [Reading(values, measurement="air_quality")] if values else []
    return Vector(bytes.fromhex(hexadecimal), readings, checksummed=True)


VECTORS = [
    answer(
        "7e 00 03 00 28 40 90 00 00 40 c8 00 00 40 e4 00 00 40 f0 00 00 41 f0 00 00 42 12 00 00"
        " 42 18 00 00 42 18 80 00 42 19 00 00 3f 10 00 00 45 7e",
        *(4.5, 6.25, 7.125, 7.5, 30.0, 36.5, 38.0, 38.125, 38.25, 0.5625),
    ),
    answer(
        "7e 00 03 80 14 00 04 00 06 00 7d 5e 00 7d 5d 00 7d 31 00 7d 33 00 26 00 26 00 27 02 33"
        " 97 7e",
        *(4, 6, 126, 125, 17, 19, 38, 38, 39, 0.563),
    ),
    answer("7e 00 03 00 00 fc 7e"),
    answer("7e 00 03 43 00 b9 7e"),
]


def valid(frame: bytes) -> bool:
    """Of the unstuffed frame, without its flags."""
    return len(frame) >= 4 and (sum(frame[:-1]) + frame[-1]) % 256 == 0xFF


def seal(data: bytes) -> bytes:
    """The checksum is that of what is not stuffed."""
    pair = re.compile(rb"\x7d(.)", re.DOTALL)
    plain = pair.sub(lambda found: bytes([found[1][0] ^ 0x20]), data.strip(b"\x7e"))[:-1]
    plain += bytes([0xFF - sum(plain) % 256])
    stuffed = re.sub(rb"[\x7e\x7d\x11\x13]", lambda found: bytes([0x7D, found[0][0] ^ 0x20]), plain)
    return b"\x7e" + stuffed + b"\x7e"


SPECIMEN = Specimen("sps30", VECTORS, valid=valid, seal=seal)
