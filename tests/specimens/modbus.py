"""Answers of three Modbus RTU devices, each asked for the block that its vector answers."""

from gateway.conformance import Vector
from gateway.model import Reading
from tests.specimens import Specimen


def crc(data: bytes) -> bytes:
    """CRC-16 of Modbus over serial line V1.02, 6.2.2, bit by bit."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


def framed(text: str) -> bytes:
    """A frame of hexadecimal digits and its checksum."""
    data = bytes.fromhex(text)
    return data + crc(data)


def sealed(data: bytes) -> bytes:
    return data[:-2] + crc(data[:-2])


def valid(frame: bytes) -> bool:
    return crc(frame[:-2]) == frame[-2:]


def device(address: int, *registers: dict[str, object], **more: object) -> dict[str, object]:
    return {"devices": [{"name": "d", "address": address, "registers": [*registers], **more}]}


MIXED = device(
    0x11,
    {"name": "temperature", "register": 0x10, "type": "int16", "scale": 0.1, "unit": "degC"},
    {"name": "power", "register": 0x11, "type": "float32", "word_order": "little", "unit": "W"},
    {"name": "alarm", "register": 0x13, "type": "bool", "bit": 3},
    measurement="climate",
)
COILS = device(
    0x12,
    {"name": "c0", "register": 0, "table": "coil"},
    {"name": "c9", "register": 9, "table": "coil"},
)

MIXED_READING = Reading(
    {"temperature": -10.0, "power": 100.0, "alarm": True},
    {"temperature": "degC", "power": "W"},
    "d",
    "climate",
)

VECTORS = [
    Vector(
        framed("11 03 08 FF9C 0000 42C8 0008"),
        [MIXED_READING],
        MIXED,
        checksummed=True,
    ),
    Vector(
        framed("12 01 02 01 02"),
        [Reading({"c0": True, "c9": True}, device="d")],
        COILS,
        checksummed=True,
    ),
    Vector(
        framed("FE 04 02 0190"),
        [Reading({"carbon_dioxide": 400.0}, {"carbon_dioxide": "ppm"}, "d", "air_quality")],
        {"devices": [{"name": "d", "address": 254, "template": "senseair_s8"}]},
        checksummed=True,
    ),
]

SPECIMEN = Specimen("modbus", VECTORS, valid=valid, seal=sealed)
