"""Answers over TCP, to the first request after the connection; there is no checksum."""

from gateway.conformance import Vector
from gateway.model import Reading
from tests.specimens import Specimen
from tests.specimens.modbus import COILS, MIXED, MIXED_READING

VECTORS = [
    Vector(
        bytes.fromhex("0001 0000 000B 11 03 08 FF9C 0000 42C8 0008"),
        [MIXED_READING],
        MIXED,
    ),
    Vector(
        bytes.fromhex("0001 0000 0005 12 01 02 01 02"),
        [Reading({"c0": True, "c9": True}, device="d")],
        COILS,
    ),
]

SPECIMEN = Specimen("modbus_tcp", VECTORS, resync=b"\xff" * 260)
