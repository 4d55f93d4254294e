"""P1 telegrams of v5 and v2.2, with a gas meter each."""

import re

from gateway.conformance import Vector
from gateway.model import Reading
from tests.specimens import Specimen

METER = "energy_meter"
AT_NOON = 1_714_557_600_000_000_000
"""2024-05-01 10:00 UTC."""


def crc16(data: bytes) -> int:
    """x16 + x15 + x2 + 1, least significant bit first, from 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def telegram(*lines: str, identification: str = "/XYZ5TEST") -> bytes:
    """With its CRC."""
    text = "\r\n".join((identification, "", *lines, "!")).encode()
    return text + f"{crc16(text):04X}\r\n".encode()


V5 = telegram(
    "1-3:0.2.8(50)",
    "0-0:1.0.0(240501120000S)",
    "0-0:96.1.1(58595A3132)",
    "1-0:1.8.1(000123.456*kWh)",
    "1-0:1.7.0(00.000*kW)",
    "1-0:2.7.0(01.005*kW)",
    "0-0:96.13.0()",
    "0-1:24.1.0(003)",
    "0-1:96.1.0(47)",
    "0-1:24.2.1(240501115500S)(00078.901*m3)",
)

V22 = (
    b"/XYZ5OLD\r\n\r\n0-0:96.1.1(58595A3133)\r\n1-0:1.8.1(00123.456*kWh)\r\n0-0:96.14.0(0002)\r\n"
    b"0-1:24.1.0(3)\r\n0-1:24.3.0(240501120000)(00)(60)(1)(0-1:24.2.1)(m3)\r\n(00089.012)\r\n!\r\n"
)

VECTORS = [
    Vector(
        V5,
        [
            Reading(
                {"energy_import_t1": 123.456, "power": -1005.0},
                device="XYZ12",
                measurement=METER,
                observed_at_ns=AT_NOON,
            ),
            Reading(
                {"gas_volume": 78.901},
                {"gas_volume": "m3"},
                "G",
                METER,
                {"channel": "1"},
                AT_NOON - 300 * 10**9,
            ),
        ],
        checksummed=True,
    ),
    Vector(
        V22,
        [
            Reading(
                {"energy_import_t1": 123.456, "tariff": 2.0}, device="XYZ13", measurement=METER
            ),
            Reading({"gas_volume": 89.012}, {"gas_volume": "m3"}, "XYZ13", METER, {"channel": "1"}),
        ],
    ),
]


SINCE_V4 = re.compile(rb"^(?:0-0:1\.0\.0|1-3:0\.2\.8|0-0:96\.1\.4)\(", re.MULTILINE)


def valid(frame: bytes) -> bool:
    """A right CRC; none is right only where there is neither a time nor a version."""
    covered, mark, rest = frame.rpartition(b"!")
    crc = rest.rstrip(b"\r\n\0")
    if not crc:
        return SINCE_V4.search(frame) is None
    sent = covered + mark
    if b"\r" not in sent:
        sent = sent.replace(b"\n", b"\r\n")
    right = f"{crc16(sent):04X}".encode()
    return crc.upper().rjust(4, b"0") == right


SPECIMEN = Specimen("dsmr", VECTORS, valid=valid)
