"""A telegram that a meter pushes, and an answer with its block check character."""

from gateway.conformance import Vector
from gateway.model import Reading
from tests.specimens import Specimen

METER = "energy_meter"

PUSHED = (
    b"/XYZ5Q V1\r\n\r\n1-0:0.0.0*255(4711)\r\n1-0:1.8.0*255(00012345.6789012*kWh)\r\n"
    b"1-0:21.7.0*255(-00321.09*W)\r\n1-0:96.5.5*255(80)\r\n0-0:96.1.255*255(1XYZ4711)\r\n!\r\n"
)


def answer(*lines: str, identification: str = "/XYZ4D0") -> bytes:
    """Between STX and ETX, and the XOR of what follows STX."""
    block = "\r\n".join((*lines, "!", "\x03")).encode()
    check = 0
    for byte in block:
        check ^= byte
    return f"{identification}\r\n\x02".encode() + block + bytes([check])


VECTORS = [
    Vector(
        PUSHED,
        [
            Reading(
                {"energy_import": 12345.6789012, "power_l1": -321.09},
                device="1XYZ4711",
                measurement=METER,
            )
        ],
    ),
    Vector(
        answer("F.F(00)", "0.0.0(4712)", "1.8.0(0012345.6*kWh)", "1.8.0*01(0012000.0*kWh)"),
        [Reading({"energy_import": 12345.6}, device="4712", measurement=METER)],
        checksummed=True,
    ),
]


def valid(frame: bytes) -> bool:
    """With STX, a right block check character."""
    _, stx, block = frame.partition(b"\x02")
    if not stx:
        return True
    check = 0
    for byte in block[:-1]:
        check ^= byte
    return block[-2:-1] == b"\x03" and check == block[-1]


SPECIMEN = Specimen("iec62056", VECTORS, valid=valid)
