"""Frames with a mark, a length and a CRC-16/MODBUS, as `frames` is told of them."""

from collections.abc import Mapping

from gateway.conformance import Vector
from gateway.model import Reading
from tests.specimens import Specimen

CHECKSUM = {"kind": "crc16_modbus", "order": "little", "from": 2, "at": -2}
PREFIXED: Mapping[str, object] = {
    "start": "AA 55",
    "length": {"at": 2, "type": "uint8", "add": 5},
    "checksum": CHECKSUM,
    "values": [
        {"name": "weight", "at": 3, "type": "int16", "scale": 0.01, "unit": "kg"},
        {"name": "battery", "at": 5, "type": "uint8", "unit": "%"},
        {"name": "stable", "at": 6, "type": "bit", "bit": 0},
        {"name": "range", "at": 6, "type": "uint8", "mask": 0x70},
    ],
}
FIXED: Mapping[str, object] = {
    "start": "AA",
    "length": 9,
    "checksum": CHECKSUM | {"from": 1},
    "values": [
        {"name": "total", "at": 1, "type": "bcd", "size": 3, "order": "little"},
        {"name": "temperature", "at": 4, "type": "text", "size": 3, "unit": "°C"},
    ],
}


def crc16(data: bytes) -> int:
    """Bit by bit, as the Modbus specification has it."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value


def valid(frame: bytes) -> bool:
    begin = 2 if frame.startswith(b"\xaa\x55") else 1
    return crc16(frame[begin:-2]) == int.from_bytes(frame[-2:], "little")


WEIGHT = bytes.fromhex("AA 55 04 FF 85 61 31")
TOTAL = b"\xaa\x56\x34\x12-4."

VECTORS = [
    Vector(
        WEIGHT + crc16(WEIGHT[2:]).to_bytes(2, "little"),
        [
            Reading(
                {"weight": -1.23, "battery": 97, "stable": True, "range": 3},
                {"weight": "kg", "battery": "%"},
            )
        ],
        PREFIXED,
        checksummed=True,
    ),
    Vector(
        TOTAL + crc16(TOTAL[1:]).to_bytes(2, "little"),
        [Reading({"total": 123456, "temperature": -4.0}, {"temperature": "°C"})],
        FIXED,
        checksummed=True,
    ),
]


def seal(data: bytes) -> bytes:
    begin = 2 if data.startswith(b"\xaa\x55") else 1
    return data[:-2] + crc16(data[begin:-2]).to_bytes(2, "little")


SPECIMEN = Specimen("frames", VECTORS, valid=valid, seal=seal)
