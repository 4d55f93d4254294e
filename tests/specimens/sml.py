"""Meters that push SML: one that feeds, awkward escapes, DZG's power, Holley's checksums."""

from gateway.conformance import ARRIVAL_NS, Vector
from gateway.model import Reading
from tests.specimens import Specimen

FEEDING = Vector(
    bytes.fromhex(
        "1b1b1b1b01010101760500000000620062007263010176010105000000000b06454d480102123456"
        "78010163458700760500000001620062007263070177010b06454d48010212345678070100620aff"
        "ff72620165000003e87277070100010800ff6301a201621e52ff5600075bcd1501770701000f0700"
        "ff0101621b52ff55000009c90101016392c600760500000002620062007263020171016339b30000"
        "1b1b1b1b1a010cc3"
    ),
    [
        Reading(
            {"energy_import": 12345.6789, "absolute_power": 250.5, "power": -250.5},
            {"energy_import": "kWh", "absolute_power": "W", "power": "W"},
            "06454d48010212345678",
            "energy_meter",
        )
    ],
    checksummed=True,
)

ESCAPED = Vector(
    bytes.fromhex(
        "1b1b1b1b01010101760201620062007263070177010b0a014553431b011b1b1b0172620265663212"
        "a07277078181c78205ff01010101810c1b1b1b1b1b1b1b1b010101011b1b1b1b1b1b1b1b1a001234"
        "1b1b1b1b1b1b1b1b1b071b1b1b1b1b1b1b1b0177070100100700ff0101621b52ff54fffb2e010101"
        "631352001b1b1b1b1a00f1de"
    ),
    [
        Reading(
            {"power": -123.4},
            {"power": "W"},
            "1ESC1B18553627",
            "energy_meter",
            observed_at_ns=ARRIVAL_NS,
        )
    ],
    checksummed=True,
)

DZG = Vector(
    bytes.fromhex(
        "1b1b1b1b01010101760201620062007263070177010b0a01445a47000280deaa0172620265663212"
        "a07277070100010800ff641c010401621e52ff64bc614e0177070100100700ff0101621b52fe539c"
        "4001010163b616001b1b1b1b1a006eaa"
    ),
    [
        Reading(
            {"energy_import": 1234.5678, "power": 400.0},
            {"energy_import": "kWh", "power": "W"},
            "1DZG0042000042",
            "energy_meter",
            observed_at_ns=ARRIVAL_NS,
        )
    ],
    checksummed=True,
)

HOLLEY = Vector(
    bytes.fromhex(
        "1b1b1b1b01010101760201620062007263070177010b0a01484c59020001e2400172620265663212"
        "a07177070100010800ff65000000046500017ed0621e52ff6505397fb1010101631d89001b1b1b1b"
        "1a001330"
    ),
    [
        Reading(
            {"energy_import": 8765.4321},
            {"energy_import": "kWh"},
            "1HLY0200123456",
            "energy_meter",
            observed_at_ns=ARRIVAL_NS,
        )
    ],
    checksummed=True,
)


def remainder(data: bytes, crc: int) -> int:
    """The reflected CRC of polynomial 1021, bit by bit."""
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return crc


def valid(frame: bytes) -> bool:
    """X.25 low byte first, or Kermit high byte first, over all but the checksum."""
    x25 = remainder(frame[:-2], 0xFFFF) ^ 0xFFFF
    kermit = remainder(frame[:-2], 0)
    return frame[-2:] in (x25.to_bytes(2, "little"), kermit.to_bytes(2, "big"))


def seal(data: bytes) -> bytes:
    """Of the transport; the messages' own checksums stay as they are."""
    return data[:-2] + (remainder(data[:-2], 0xFFFF) ^ 0xFFFF).to_bytes(2, "little")


SPECIMEN = Specimen("sml", [FEEDING, ESCAPED, DZG, HOLLEY], valid=valid, seal=seal)
