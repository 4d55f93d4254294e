"""SDS011: a report whose numbers look like its beginning, one of zeros, an answer to a command."""

from gateway.conformance import Vector
from gateway.model import Reading
from tests.specimens import Specimen


def report(hexadecimal: str, pm25: float, pm10: float, device: str) -> Vector:
    reading = Reading({"pm25": pm25, "pm10": pm10}, device=device, measurement="air_quality")
    return Vector(bytes.fromhex(hexadecimal), [reading], checksummed=True)


VECTORS = [
    report("aa c0 d2 04 aa 00 aa c0 ea ab", 123.4, 17.0, "aac0"),
    report("aa c0 00 00 00 00 00 00 00 ab", 0.0, 0.0, ""),
    Vector(bytes.fromhex("aa c5 02 01 00 00 a1 60 04 ab"), [], checksummed=True),
]


def valid(frame: bytes) -> bool:
    if len(frame) != 10 or frame[0] != 0xAA or frame[9] != 0xAB:
        return False
    return sum(frame[2:8]) % 256 == frame[8]


def seal(data: bytes) -> bytes:
    body = data[1:8].ljust(7, b"\0")
    return b"\xaa" + body + bytes([sum(body[1:]) % 256, 0xAB])


SPECIMEN = Specimen("sds011", VECTORS, valid=valid, seal=seal)
