"""Blocks of VE.Direct, and HEX messages between and within them."""

import re

from gateway.conformance import Vector
from gateway.model import Reading
from tests.specimens import Specimen

LAST_LINE = b"\r\nChecksum\t"


def block(*lines: str) -> bytes:
    """The lines as a whole block."""
    data = "".join(f"\r\n{line}" for line in lines).encode() + LAST_LINE
    return data + bytes([256 - sum(data) % 256]) if sum(data) % 256 else data + b"\0"


def valid(frame: bytes) -> bool:
    """Whether the sum is that of a block, or of a HEX message."""
    if frame.startswith(b":"):
        digits = re.fullmatch(rb":([0-9A-Fa-f])((?:[0-9A-Fa-f]{2})+)\n", frame)
        return (
            digits is not None
            and (int(digits[1], 16) + sum(bytes.fromhex(digits[2].decode()))) % 256 == 0x55
        )
    return frame[:-1].endswith(LAST_LINE) and sum(frame) % 256 == 0


HEX = b":7F0ED0071\n"
"""A message of the manual: get register EDF0."""

MONITOR = block(
    "PID\t0xA389", "V\t12800", "I\t-2500", "SOC\t876", "TTG\t-1", "Alarm\tOFF", "T\t---"
)
CHARGER = block("PID\t0xA0FF", "SER#\tHQ2132ABCDE", "VPV\t36120", "CS\t4", "H20\t131")

VECTORS = [
    Vector(
        MONITOR,
        [
            Reading(
                {"battery_voltage": 12.8, "battery_current": -2.5, "battery": 87.6, "alarm": False},
                {"battery_voltage": "V", "battery_current": "A", "battery": "%"},
                "",
                "battery",
                {"model": "SmartShunt 500A"},
            )
        ],
        checksummed=True,
    ),
    Vector(
        HEX + CHARGER[:30] + HEX + CHARGER[30:60] + HEX + HEX + CHARGER[60:],
        [
            Reading(
                {
                    "panel_voltage": 36.12,
                    "operating_state": "absorption",
                    "panel_energy_today": 1.31,
                },
                {"panel_voltage": "V", "panel_energy_today": "kW.h"},
                "HQ2132ABCDE",
                "battery",
                {"model": "0xA0FF"},
            )
        ],
        checksummed=True,
    ),
]


def seal(data: bytes) -> bytes:
    block = data.partition(LAST_LINE)[0] + LAST_LINE
    return block + bytes([-sum(block) % 256])


SPECIMEN = Specimen("vedirect", VECTORS, resync=LAST_LINE + b"\0", valid=valid, seal=seal)
