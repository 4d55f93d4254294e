"""MH-Z19: with and without a temperature, the start byte within an answer, another answer."""

from gateway.conformance import Vector
from gateway.model import Reading
from tests.specimens import Specimen


def answer(hexadecimal: str, values: dict[str, float]) -> Vector:
    readings = [Reading(values, measurement="air_quality")] if values else []
    return Vector(bytes.fromhex(hexadecimal), readings, checksummed=True)


VECTORS = [
    answer("ff 86 02 f0 41 40 00 00 07", {"carbon_dioxide": 752, "device_temperature": 25}),
    answer("ff 86 01 ff 00 00 00 00 7a", {"carbon_dioxide": 511}),
    answer("ff 99 01 00 00 00 00 00 66", {}),
]


def valid(frame: bytes) -> bool:
    return len(frame) == 9 and frame[0] == 0xFF and sum(frame[1:]) % 256 == 0


def seal(data: bytes) -> bytes:
    body = data[1:8].ljust(7, b"\0")
    return b"\xff" + body + bytes([-sum(body) % 256])


SPECIMEN = Specimen("mhz19", VECTORS, valid=valid, seal=seal)
