"""Frames of both modes; one has a single value, so each flipped bit in it must be noticed."""

from gateway.conformance import Vector
from gateway.model import Reading
from tests.specimens import Specimen

METER = "energy_meter"
DATE_NS = 1_743_292_800_000_000_000
"""2025-03-30 00:00 UTC, the last hour of winter time in Paris but one."""


def historic(*groups: str) -> bytes:
    """Groups as `LABEL VALUE`; the blank before the checksum is not in it."""
    lines = [f"\n{group} {chr((sum(group.encode()) & 0x3F) + 0x20)}\r" for group in groups]
    return f"\x02{''.join(lines)}\x03".encode()


def standard(*groups: str) -> bytes:
    """Groups as `LABEL VALUE` or `LABEL TIME VALUE`, with tabs; the last tab is in the checksum."""
    texts = [group.replace(" ", "\t") + "\t" for group in groups]
    lines = [f"\n{text}{chr((sum(text.encode()) & 0x3F) + 0x20)}\r" for text in texts]
    return f"\x02{''.join(lines)}\x03".encode()


VECTORS = [
    Vector(
        historic("ADCO 012345678901", "BASE 001234567"),
        [Reading({"energy_import": 1234.567}, device="012345678901", measurement=METER)],
        checksummed=True,
    ),
    Vector(
        historic("ADCO 012345678901", "HCHC 000000000", "PTEC HP..", "PAPP 00420"),
        [
            Reading(
                {"energy_import_t1": 0.0, "apparent_power": 420.0, "tariff": 2.0},
                device="012345678901",
                measurement=METER,
            )
        ],
    ),
    Vector(
        standard(
            "ADSC 012345678901",
            "DATE H250330010000 ",
            "EASF03 000000007",
            "SINSTI 00420",
            "SINSTS 00000",
            "UMOY1 H250330005000 231",
        ),
        [
            Reading(
                {"energy_import_t3": 0.007, "apparent_power": -420.0},
                device="012345678901",
                measurement=METER,
                observed_at_ns=DATE_NS,
            ),
            Reading(
                {"voltage_average_l1": 231.0},
                device="012345678901",
                measurement=METER,
                observed_at_ns=DATE_NS - 600 * 10**9,
            ),
        ],
    ),
]


def good_groups(frame: bytes) -> list[bytes]:
    """The groups whose checksum holds, each with LF and CR."""
    found = []
    for group in frame[1:-1].replace(b"\r", b"\n").split(b"\n"):
        covered = group[:-1] if group[-2:-1] == b"\t" else group[:-2]
        if group[-2:-1] in (b"\t", b" ") and sum(covered) % 64 + 32 == group[-1]:
            found.append(b"\n" + group + b"\r")
    return found


def valid(frame: bytes) -> bool:
    """At least one group must be good; that only good ones count is a test of its own."""
    return bool(good_groups(frame))


SPECIMEN = Specimen("teleinfo", VECTORS, valid=valid)
