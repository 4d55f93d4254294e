"""Sentences of NMEA 0183."""

import re

from gateway.conformance import Vector
from gateway.model import Reading
from tests.specimens import Specimen


def sentence(body: str) -> bytes:
    """The body as a whole sentence."""
    return f"${body}*{_checksum(body.encode()):02X}\r\n".encode()


def _checksum(body: bytes) -> int:
    value = 0
    for byte in body:
        value ^= byte
    return value


def valid(frame: bytes) -> bool:
    """Whether the checksum behind the star is that of what precedes it."""
    found = re.fullmatch(rb"[$!]([^*]*)\*([0-9A-Fa-f]{2})", frame)
    return found is not None and _checksum(found[1]) == int(found[2], 16)


def reading(
    measurement: str, talker: str, values: dict[str, float], units: dict[str, str]
) -> Reading:
    return Reading(values, units, measurement=measurement, tags={"talker": talker})


KNOTS = "[kn_i]"

RMC = Reading(
    {
        "fix_valid": True,
        "latitude": 54.32,
        "longitude": -10.14,
        "speed": 5.1,
        "course": 84.4,
        "magnetic_variation": -3.1,
    },
    {"speed": KNOTS, "course": "deg", "magnetic_variation": "deg"},
    measurement="gnss",
    tags={"talker": "GN"},
    observed_at_ns=1_714_557_600_250_000_000,
)

VECTORS = [
    Vector(
        sentence("GNRMC,100000.25,A,5419.2000,N,01008.4000,W,5.1,84.4,010524,3.1,W,A"),
        [RMC],
        checksummed=True,
    ),
    Vector(
        b"\xb5\x62\x01\x07$!\x00"  # the beginning of a binary message
        + sentence("GPGGA,100000,,,,,0,00,99.99,,,,,,")
        + sentence("02MWV,74.0,R,12.5,K,A"),
        [
            reading("gnss", "GP", {"fix_quality": 0.0, "satellites": 0.0}, {}),
            reading(
                "weather",
                "02",
                {"apparent_wind_angle": 74.0, "apparent_wind_speed": 12.5},
                {"apparent_wind_angle": "deg", "apparent_wind_speed": "km/h"},
            ),
        ],
        checksummed=True,
    ),
    Vector(
        sentence("WIXDR,C,-5.5,C,0,H,45,P,0,P,1.0132,B,1"),
        [
            Reading(values, units, "", "weather", {"talker": "WI", "transducer": name})
            for values, units, name in (
                (
                    {"temperature": -5.5, "humidity": 45.0},
                    {"temperature": "Cel", "humidity": "%"},
                    "0",
                ),
                ({"atmospheric_pressure": 1.0132}, {"atmospheric_pressure": "bar"}, "1"),
            )
        ],
        checksummed=True,
    ),
]


def seal(data: bytes) -> bytes:
    def sealed(found: re.Match[bytes]) -> bytes:
        return b"%b%b*%02X" % (found[1], found[2], _checksum(found[2]))

    return re.sub(rb"([$!])([^*$!\r\n]*)\*..", sealed, data)


SPECIMEN = Specimen("nmea0183", VECTORS, valid=valid, seal=seal)
