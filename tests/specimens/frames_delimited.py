"""A delimiter only, and a checksum in hexadecimal digits before it."""

from gateway.conformance import Vector
from gateway.model import Reading
from tests.specimens import Specimen

OPTIONS = {
    "end": "0D",
    "checksum": {"kind": "sum8", "hex": True, "at": -3},
    "values": [{"name": "temperature", "at": 1, "type": "text", "size": 7, "unit": "degC"}],
}


def valid(frame: bytes) -> bool:
    digits = frame[-3:-1].decode("latin-1")
    return digits.upper() == f"{sum(frame[:-3]) & 0xFF:02X}" and len(frame) > 3


TEXT = b">+025.12"

VECTORS = [
    Vector(
        TEXT + f"{sum(TEXT) & 0xFF:02X}\r".encode(),
        [Reading({"temperature": 25.12}, {"temperature": "degC"})],
        OPTIONS,
        checksummed=True,
    ),
]


def seal(data: bytes) -> bytes:
    return data[:-3] + b"%02X\r" % (sum(data[:-3]) & 0xFF)


SPECIMEN = Specimen("frames", VECTORS, resync=b"\r", valid=valid, seal=seal)
