"""A German electricity meter that pushes SML messages out of its optical port, 9600 8N1.

Written from BSI TR-03109-1 (SML 1.04): a transmission is an open, a list and a close message, each
with its own checksum, filled up with zeros to a multiple of four, between an escaped start and an
escaped end with a checksum over all of it. Variants are habits of meters:

* `ed300l`  locked: whole kilowatt hours only, as such meters are delivered; the number is 10 bytes
* `smarty`  unlocked, three phases, feeding now and then; integers as short as they can be
* `dzg`     says positive power in two bytes that read as negative
* `escape`  its public key holds what a transmission begins and ends with
"""

import math
from collections.abc import Callable

from simulators.devices import Item, Measure, Values

ESCAPE = b"\x1b" * 4
NOTHING = b"\x01"
SHORT_MAX = 0x0F
"""What the length says in one byte."""
WATT, WATT_HOUR, AMPERE, VOLT, HERTZ = 27, 30, 33, 35, 44

PHASES = {1: 0.5, 2: 0.3, 3: 0.2}
"""What share of the power each phase has."""

PANELS = 6
"""On the roof of the house that feeds."""

KEY = bytes(range(48))
AWKWARD_KEY = ESCAPE + b"\x01" * 4 + ESCAPE + b"\x1a\x00\x12\x34" + b"\x1b" * 5 + b"\x07" + ESCAPE


def crc16(data: bytes) -> int:
    """Return the checksum that HDLC has too, bit by bit."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return crc ^ 0xFFFF


def octets(data: bytes) -> bytes:
    """Return a string of bytes; its length counts the bytes that say it."""
    size = len(data) + 1
    if size <= SHORT_MAX:
        return bytes([size]) + data
    size += 1
    return bytes([0x80 | size >> 4, size & 0x0F]) + data


def unsigned(value: int, size: int = 0) -> bytes:
    """Return a number without sign, as short as possible unless told otherwise."""
    size = size or max(1, math.ceil(value.bit_length() / 8))
    return bytes([0x61 + size]) + value.to_bytes(size, "big")


def integer(value: int, size: int = 0) -> bytes:
    """Return a number with sign, likewise."""
    size = size or value.bit_length() // 8 + 1
    return bytes([0x51 + size]) + value.to_bytes(size, "big", signed=True)


def elements(*each: bytes) -> bytes:
    """Return a list."""
    count = len(each)
    head = [0x70 | count] if count <= SHORT_MAX else [0xF0 | count >> 4, count & 0x0F]
    return bytes(head) + b"".join(each)


def message(transaction: bytes, kind: int, body: bytes) -> bytes:
    """Return one message; its checksum is sent low byte first."""
    head = octets(transaction) + unsigned(0) + unsigned(0)
    content = bytes([0x76]) + head + elements(unsigned(kind, 2), body)
    return content + b"\x63" + crc16(content).to_bytes(2, "little") + b"\x00"


def transmission(*messages: bytes) -> bytes:
    """Return what is sent: escaped, filled up, between start and end."""
    data = b"".join(messages)
    pad = -len(data) % 4
    escaped = (data + bytes(pad)).replace(ESCAPE, ESCAPE * 2)
    sent = ESCAPE + b"\x01" * 4 + escaped + ESCAPE + bytes([0x1A, pad])
    return sent + crc16(sent).to_bytes(2, "little")


def seconds(t: float) -> bytes:
    """Return a time as most meters say it: how long they have been running."""
    return elements(unsigned(1), unsigned(int(t), 4))


def entry(
    code: str,
    value: bytes,
    *,
    status: bytes = NOTHING,
    unit: int = 0,
    scaler: int = 0,
) -> bytes:
    """Return one entry of a list by its OBIS code, as 1.8.0 of electricity."""
    obis = bytes([1, 0, *map(int, code.split(".")), 0xFF])
    stated = (unsigned(unit), integer(scaler, 1)) if unit else (NOTHING, NOTHING)
    return elements(octets(obis), status, NOTHING, *stated, value, NOTHING)


def key_entry(key: bytes) -> bytes:
    """Return the entry of the public key, which has a code of its own."""
    code = octets(bytes([0x81, 0x81, 0xC7, 0x82, 0x05, 0xFF]))
    return elements(code, NOTHING, NOTHING, NOTHING, NOTHING, octets(key), NOTHING)


def meter_list(server: bytes, time: bytes, entries: list[bytes], number: int = 0) -> bytes:
    """Return transmission `number` of a meter: its list, opened and closed."""
    first = number * 3

    def transaction(step: int) -> bytes:
        return (first + step).to_bytes(4, "big")

    opened = elements(NOTHING, NOTHING, octets(transaction(0)), octets(server), NOTHING, NOTHING)
    name = octets(bytes([1, 0, 98, 10, 255, 255]))
    listed = elements(NOTHING, octets(server), name, time, elements(*entries), NOTHING, NOTHING)
    return transmission(
        message(transaction(0), 0x0101, opened),
        message(transaction(1), 0x0701, listed),
        message(transaction(2), 0x0201, elements(NOTHING)),
    )


class SmlMeter:
    """A meter that sends one list per reading."""

    def __init__(self, name: str, measure: Measure, variant: str) -> None:
        """Behave as one of the variants."""
        self.name = name
        self._measure = measure
        self._server, self._list = VARIANTS[variant]

    def reset(self) -> None:
        """Start again; a meter's counters survive that."""

    def emit(self, sequence: int, t: float) -> list[Item]:
        """Return the transmission of one reading."""
        entries, values = self._list(self._measure, t)
        return [Item("", meter_list(self._server, seconds(t), entries, sequence), values)]


Listed = tuple[list[bytes], Values]


def _locked(measure: Measure, t: float) -> Listed:
    energy = int(measure("energy", t)) * 1000
    status = unsigned(0x0182, 2)
    value = integer(energy * 10, 5)
    entries = [
        entry("1.8.0", value, status=status, unit=WATT_HOUR, scaler=-1),
        entry("1.8.1", value, unit=WATT_HOUR, scaler=-1),
        entry("1.8.2", integer(0, 5), unit=WATT_HOUR, scaler=-1),
        key_entry(KEY),
    ]
    return entries, {"1.8.0": energy, "1.8.1": energy, "1.8.2": 0}


def _three_phases(measure: Measure, t: float) -> Listed:
    energy = measure("energy", t)
    power = measure("power", t) - PANELS * measure("panel_power", t)
    status = unsigned(0x001C0104 | (0x800 if power < 0 else 0), 4)
    entries, values = [], {}

    def say(code: str, value: float, unit: int, scaler: int, state: bytes = NOTHING) -> None:
        raw = round(value / 10.0**scaler)
        entries.append(entry(code, integer(raw), status=state, unit=unit, scaler=scaler))
        values[code] = raw / 10**-scaler

    say("1.8.0", energy * 1000, WATT_HOUR, -1, status)
    say("2.8.0", energy * 100, WATT_HOUR, -1, status)
    say("16.7.0", power, WATT, -2)
    for phase, share in PHASES.items():
        step = 20 * phase
        say(f"{16 + step}.7.0", power * share, WATT, -2)
        say(f"{12 + step}.7.0", measure("voltage", t) + phase, VOLT, -1)
        say(f"{11 + step}.7.0", measure("current", t) * share, AMPERE, -2)
    say("14.7.0", measure("frequency", t), HERTZ, -1)
    return entries, dict(values)


def _called_signed(measure: Measure, t: float) -> Listed:
    energy = round(measure("energy", t) * 10_000)
    power = round(measure("power", t) * 100)
    size = max(1, math.ceil(power.bit_length() / 8))
    wrong = bytes([0x51 + size]) + power.to_bytes(size, "big")
    status = unsigned(0x1C0104, 3)
    entries = [
        entry("1.8.0", unsigned(energy, 4), status=status, unit=WATT_HOUR, scaler=-1),
        entry("16.7.0", wrong, unit=WATT, scaler=-2),
    ]
    return entries, {"1.8.0": energy / 10, "16.7.0": power / 100}


def _awkward(measure: Measure, t: float) -> Listed:
    power = round(measure("power", t) * 10)
    entries = [
        key_entry(AWKWARD_KEY),
        entry("16.7.0", integer(power, 4), unit=WATT, scaler=-1),
        key_entry(AWKWARD_KEY[:-1]),
    ]
    return entries, {"16.7.0": power / 10}


def _din(maker: str, block: int, number: int) -> bytes:
    """Return an identity by DIN 43863-5."""
    return b"\x0a\x01" + maker.encode() + bytes([block]) + number.to_bytes(4, "big")


VARIANTS: dict[str, tuple[bytes, Callable[[Measure, float], Listed]]] = {
    "": (b"\x06EMH\x01\x02\x12\x34\x56\x78", _locked),
    "ed300l": (b"\x06EMH\x01\x02\x12\x34\x56\x78", _locked),
    "smarty": (_din("DNT", 1, 1234), _three_phases),
    "dzg": (_din("DZG", 0, 42_000_042), _called_signed),
    "escape": (_din("ESC", 0x1B, 0x01_1B_1B_1B), _awkward),
}


def make(name: str, measure: Measure, variant: str = "") -> SmlMeter:
    """Return a meter of the variant, by default `ed300l`."""
    if variant not in VARIANTS:
        known = ", ".join(filter(None, VARIANTS))
        raise ValueError(f"{variant!r} is no variant of sml: there are {known}")
    return SmlMeter(name, measure, variant)
