"""Floating-point numbers and a CRC-32 in SLIP."""

import zlib
from struct import pack

from gateway.conformance import Vector
from gateway.model import Reading
from tests.specimens import Specimen

OPTIONS = {
    "framing": "slip",
    "checksum": {"kind": "crc32", "order": "little"},
    "values": [
        {"name": "pressure", "at": 0, "type": "float32", "unit": "hPa"},
        {"name": "power", "at": -12, "type": "float64", "order": "little", "offset": -1},
    ],
}


def valid(frame: bytes) -> bool:
    return len(frame) > 4 and zlib.crc32(frame[:-4]) == int.from_bytes(frame[-4:], "little")


DATA = pack(">f", 1013.25) + pack("<d", -2.5)
FRAME = DATA + zlib.crc32(DATA).to_bytes(4, "little")
STUFFED = FRAME.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")

VECTORS = [
    Vector(
        STUFFED + b"\xc0",
        [Reading({"pressure": 1013.25, "power": -3.5}, {"pressure": "hPa"})],
        OPTIONS,
        checksummed=True,
    ),
]


def seal(data: bytes) -> bytes:
    """Of bytes that need no stuffing."""
    plain = data[:-5].replace(b"\xdb", b"").replace(b"\xc0", b"")
    sealed = plain + zlib.crc32(plain).to_bytes(4, "little")
    return sealed.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


SPECIMEN = Specimen("frames", VECTORS, resync=b"\xc0", valid=valid, seal=seal)
