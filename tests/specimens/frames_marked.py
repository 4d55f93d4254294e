"""Text between STX and ETX, and behind it the exclusive or of it all, as many instruments do it."""

from functools import reduce
from operator import xor

from gateway.conformance import Vector
from gateway.model import Reading
from tests.specimens import Specimen

OPTIONS = {
    "start": "02",
    "end": "03",
    "trailer": 1,
    "checksum": {"kind": "xor8", "from": 1},
    "pattern": r"\x02(?P<state>[A-Z]{2}),(?P<weight>[+-] *\d+\.\d+)",
    "units": {"weight": "kg"},
}


def valid(frame: bytes) -> bool:
    return len(frame) > 2 and reduce(xor, frame[1:]) == 0


TEXT = b"ST,+  12.34\x03"

VECTORS = [
    Vector(
        b"\x02" + TEXT + bytes([reduce(xor, TEXT)]),
        [Reading({"state": "ST", "weight": 12.34}, {"weight": "kg"})],
        OPTIONS,
        checksummed=True,
    ),
]


def seal(data: bytes) -> bytes:
    return data[:-1] + bytes([reduce(xor, data[1:-1], 0)])


SPECIMEN = Specimen("frames", VECTORS, valid=valid, seal=seal)
