"""Plantower: each length, each model, an answer to a command, and "BM" within a frame."""

from collections.abc import Mapping

from gateway.conformance import Vector
from gateway.model import Reading
from tests.specimens import Specimen

MASS = "42 4d 00 1c 00 0b 00 10 00 13 00 09 00 0d 00 0f"
PM = {"pm1_cf1": 11, "pm25_cf1": 16, "pm10_cf1": 19, "pm1": 9, "pm25": 13, "pm10": 15}
LARGE = {
    "number_concentration_0_3": 18.42,
    "number_concentration_0_5": 5.53,
    "number_concentration_1": 0.97,
    "number_concentration_2_5": 0.11,
}
COUNTS = LARGE | {"number_concentration_5": 0.04, "number_concentration_10": 0.0}


def vector(hexadecimal: str, values: Mapping[str, float], model: str = "") -> Vector:
    options = {"model": model} if model else {}
    readings = [Reading(values, measurement="air_quality")] if values else []
    return Vector(bytes.fromhex(hexadecimal), readings, options, checksummed=True)


VECTORS = [
    vector(f"{MASS} 07 32 02 29 00 61 00 0b 00 04 00 00 97 00 02 69", PM | COUNTS),
    vector(
        f"{MASS} 07 32 02 29 00 61 00 0b 00 04 00 00 00 19 01 eb",
        PM | COUNTS | {"formaldehyde": 25},
        "pms5003s",
    ),
    vector(
        f"{MASS} 07 32 02 29 00 61 00 0b ff dd 01 de 97 00 05 20",
        PM | LARGE | {"temperature": -3.5, "humidity": 47.8},
        "pms5003t",
    ),
    vector(
        f"{MASS.replace('1c', '24', 1)} 07 32 02 29 00 61 00 0b 00 04 00 00"
        " 00 19 00 d8 01 de 00 00 97 00 04 41",
        PM | COUNTS | {"formaldehyde": 25, "temperature": 21.6, "humidity": 47.8},
    ),
    vector(
        "42 4d 00 14 42 4d 00 10 00 13 00 09 00 0d 00 0f 00 00 00 00 00 00 01 7a",
        PM | {"pm1_cf1": 0x424D},
    ),
    vector("42 4d 00 04 e1 00 01 74", {}),
]


def valid(frame: bytes) -> bool:
    return (
        len(frame) >= 8
        and frame[:2] == b"BM"
        and frame[2] * 256 + frame[3] + 4 == len(frame)
        and sum(frame[:-2]) % 65536 == frame[-2] * 256 + frame[-1]
    )


def seal(data: bytes) -> bytes:
    body = b"BM" + max(len(data) - 4, 0).to_bytes(2, "big") + data[4:-2]
    return body + (sum(body) % 65536).to_bytes(2, "big")


SPECIMEN = Specimen("pms", VECTORS, valid=valid, seal=seal)
