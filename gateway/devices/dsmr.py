r"""DSMR P1: the customer port of smart meters in the Netherlands, Belgium, Sweden, Hungary ...

    /XYZ5\2ABC-1                          identification
                                          each line ends with CR LF
    1-3:0.2.8(50)                         a data set, see `gateway.protocols.meter_text`
    0-0:1.0.0(240501120002S)              time, S in summer and W in winter
    1-0:1.8.1(000123.456*kWh)
    0-1:24.1.0(003)                       channel 1 of the M-Bus: a gas meter
    0-1:24.2.1(240501115500S)(00078.901*m3)
    !1A2B                                 CRC-16/ARC of everything from / to !

Port: 115200 baud, 8N1 (v5) or 7E1 (v4); 9600 7E1 before v4. Parity bits are taken off. On a line of
eight bits, texts may have them all (Hungary fills the message with FF).

CRC: v2.2 and v3 have none, so that every line of theirs must be readable; since v4 there are time
and version, and a telegram that has them and no CRC is damaged. The CRC may be in small letters,
without leading zeros, and a NUL may follow. It still holds where something on the way has made LF
of each CR LF. Behind a good CRC an unreadable line costs itself.

Readings: one of the electricity meter, and one for each channel with its own time and the tag
`channel`. What the dates are: local time of Central Europe, where S says that it is 2 h ahead of
UTC and W 1 h. Sweden sends W all the year, rightly. A date without S or W (v2.2) is no time.

Totals: meters that state the tariffs only (the Netherlands, Belgium) have all of them in each
telegram, so their sum is the total, under the name that all other meters have for it.

Traps: registers may be of another channel of the meter than 0 (1-1:1.8.1, Switzerland). Tariff 1
is the low one in the Netherlands and the high one in Belgium. A gas meter that was never read has a
date that is none (6325..., 1970) and a value of 0 without unit: no reading. Hourly values stand in
every telegram; they are the same point again and again. Equipment identifiers are text in
hexadecimal digits; those that are not (Hungary, heat meters) stay as they are.

Left out: texts, histories, thresholds, switches. A ciphered telegram (general-glo-ciphering of
DLMS: Luxembourg, Austria) is counted as `encrypted`. It is binary: DB 08, a title of 8 bytes, 82
and two bytes of length, the security control byte, so its bytes keep their bit 7.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.framing.checksums import crc16_arc
from gateway.framing.marked import Marked
from gateway.framing.scanner import Scanner, noise
from gateway.framing.seven_bit import SEVEN_BITS
from gateway.ledger import EXAMPLE_BYTES
from gateway.model import (
    Decoded,
    Device,
    Frame,
    Framed,
    Ignored,
    Malformed,
    Noise,
    Reading,
    Reason,
    Verdict,
)
from gateway.protocols.meter_text import DataSet, electricity, read_lines, read_number
from gateway.quantities.units import find_unit
from gateway.times import time_of_digits

SIZE_MAX: Final = 16 * 1024
"""Telegrams have 0.4 to 2 kB; a ciphered one is as long as its text."""

MEASUREMENT: Final = "energy_meter"

_START: Final = re.compile(rb"/[A-Za-z]{3}[0-9A-Z-]")
_END: Final = re.compile(rb"![^\r\n]{0,6}\r?\n")
_LAST: Final = re.compile(rb"![0-9A-Fa-f]{0,4}\r?\Z")
_TELEGRAM: Final = re.compile(
    rb"(/[A-Za-z]{3}[0-9A-Z-][^\r\n]*\r?\n(.*)!)([0-9A-Fa-f]{0,4})\0?\r?\n?", re.DOTALL
)
_PROVEN: Final = bytes(
    byte if byte in b"\r\n" or 0x20 <= byte < 0x7F else ord("?")  # noqa: PLR2004 -- ASCII
    for byte in range(0x100)
)
"""What `translate` makes of each byte behind a good CRC: only texts, left out, have others."""

_CIPHERED: Final = b"\xdb\x08"
_CIPHERED_HEAD: Final = re.compile(rb"\xdb\x08.{8}\x82(..)[\x20-\x3f]", re.DOTALL)
_CIPHERED_HEAD_SIZE: Final = 14
_STAMP: Final = re.compile(r"([0-9]{12})([SW]?)")
_HOURS_AHEAD: Final = {"S": 2, "W": 1}

_ELECTRICITY: Final = "1-0"
_REGISTERS: Final = re.compile(r"1-[0-9]+")
_METER: Final = "0-0"
_SINCE_V4: Final = frozenset({("1-3", "0.2.8"), (_METER, "96.1.4"), (_METER, "1.0.0")})
_IDENTITIES: Final = ("96.1.1", "96.1.0", "42.0.0", "0.0.0")
"""Equipment identifier, logical device name, or device address; the best one first."""

_COUNTS: Final = (
    (_METER, "96.14.0", "tariff"),
    (_METER, "96.7.21", "power_failures"),
    (_METER, "96.7.9", "long_power_failures"),
    (_ELECTRICITY, "32.32.0", "voltage_sags_l1"),
    (_ELECTRICITY, "52.32.0", "voltage_sags_l2"),
    (_ELECTRICITY, "72.32.0", "voltage_sags_l3"),
    (_ELECTRICITY, "32.36.0", "voltage_swells_l1"),
    (_ELECTRICITY, "52.36.0", "voltage_swells_l2"),
    (_ELECTRICITY, "72.36.0", "voltage_swells_l3"),
)
_PROFILE_VALUES: Final = 7
"""Date, status, period, how many, code, unit, and on the next line the value."""

_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){1,48}")
_COUNT: Final = re.compile(r"[0-9]{1,10}")
_CHANNEL: Final = re.compile(r"0-([1-9][0-9]?)")

_HEAT: Final = dict.fromkeys((4, 12, 13), "heat_energy")
_COOLING: Final = dict.fromkeys((10, 11), "cooling_energy")
_WATER: Final = dict.fromkeys((6, 7, 21, 22, 23), "water_volume")
_FIELDS: Final[Mapping[str, Mapping[int, str]]] = MappingProxyType(
    {
        "energy": {2: "energy_import", **_HEAT, **_COOLING},
        "volume": {3: "gas_volume", **_WATER},
    }
)
"""What an M-Bus device measures: by the dimension of the unit and the type (EN 13757-3)."""

_NOTHING: Final = Ignored(Reason.UNSUPPORTED)

Codes = Mapping[str, DataSet]
"""The data sets of one source by their codes."""


class P1Framer(Scanner):
    """Telegrams of text, and between them ciphered ones."""

    def __init__(self) -> None:
        super().__init__(SIZE_MAX)
        self._text = Marked(_START, _END, size_max=SIZE_MAX, start_max=5, end_max=9, last=_LAST)

    def step(self, buffer: bytearray, *, ended: bool) -> Framed | Noise | None:
        ciphered = buffer.find(_CIPHERED)
        if ciphered == 0:
            return _ciphered(buffer)
        if ciphered < 0:
            return self._telegram(buffer, ended=ended)
        before = self._telegram(buffer[:ciphered], ended=True)
        return before or noise(buffer, 1, Reason.INTERRUPTED)

    def restart(self) -> None:
        super().restart()
        self._text.restart()

    def _telegram(self, buffer: bytearray, *, ended: bool) -> Framed | Noise | None:
        """Text; its first character shows whether the line is 7E1, for it would have bit 7 set."""
        item = self._text.step(buffer.translate(SEVEN_BITS), ended=ended)
        if isinstance(item, Framed) and buffer.startswith(b"/"):
            return item._replace(data=bytes(buffer[: item.size]))
        return item


def _ciphered(buffer: bytearray) -> Framed | Noise | None:
    """The ciphered telegram at the front, as far as its header says that it is one."""
    head = _CIPHERED_HEAD.match(buffer)
    if head is None:
        return noise(buffer, 2) if len(buffer) >= _CIPHERED_HEAD_SIZE else None
    size = head.end(1) + int.from_bytes(head[1])
    if size > SIZE_MAX:
        return noise(buffer, 2)
    return Framed(bytes(buffer[:size]), size) if len(buffer) >= size else None


class DsmrDecoder:
    """Telegrams; each is complete in itself."""

    def decode(self, frame: Frame) -> Verdict:
        data = frame.data
        if data.startswith(_CIPHERED):
            return Malformed(Reason.ENCRYPTED, data[:EXAMPLE_BYTES])
        telegram = _TELEGRAM.fullmatch(data) if len(data) <= SIZE_MAX else None
        if telegram is None:
            return Malformed(Reason.SYNTAX, data[:EXAMPLE_BYTES])
        covered, body, crc = telegram.groups()
        if crc and not _is_right(int(crc, 16), covered):
            return Malformed(Reason.CHECKSUM, data[:EXAMPLE_BYTES])
        sets, unreadable = read_lines(body.translate(_PROVEN) if crc else body)
        if not crc and any((each.source, each.code) in _SINCE_V4 for each in sets):
            return Malformed(Reason.CHECKSUM, data[:EXAMPLE_BYTES])
        readings, problems = _readings(sets, proven=bool(crc))
        malformed = [Malformed(Reason.SYNTAX, m[:EXAMPLE_BYTES]) for m in (*unreadable, *problems)]
        if malformed and not crc:
            return malformed[0]
        return Decoded(readings, malformed) if readings or malformed else _NOTHING


def _is_right(crc: int, covered: bytes) -> bool:
    """Whether it is that of what the meter sent: all its lines end with CR LF."""
    sent = covered if b"\r" in covered else covered.replace(b"\n", b"\r\n")
    return crc == crc16_arc(sent)


def _readings(sets: Sequence[DataSet], *, proven: bool) -> tuple[list[Reading], list[bytes]]:
    """What the meter and those behind it say, and the data that cannot be read."""
    sources: dict[str, dict[str, DataSet]] = {}
    for data in sets:
        sources.setdefault(data.source, {}).setdefault(data.code, data)
    meter = sources.get(_METER, {})
    device = _identity(meter)
    registers = [each for each in sets if _REGISTERS.fullmatch(each.source)]
    electric = electricity(registers, proven=proven)
    readings = []
    problems = [text.encode() for text in electric.unreadable]
    totals = {} if problems else _totals(electric.values)  # a tariff may be among the unreadable
    values = {**totals, **electric.values, **_counts(sources)}
    if values:
        stamp = _read_stamp(meter["1.0.0"].values[0]) if "1.0.0" in meter else None
        time_ns = stamp.ns if stamp else None
        readings.append(
            Reading(values, electric.units, device, MEASUREMENT, observed_at_ns=time_ns)
        )
    for source, codes in sources.items():
        channel = _CHANNEL.fullmatch(source)
        found = _mbus(codes, device, channel[1]) if channel else None
        if isinstance(found, Reading):
            readings.append(found)
        elif found:
            problems.append(found.encode())
    return readings, problems


def _totals(values: Mapping[str, float]) -> dict[str, float]:
    """The sums of the tariffs, of which there are two at least, where no total is stated."""
    totals = {}
    for total in ("energy_import", "energy_export"):
        tariffs = {name: value for name, value in values.items() if name.startswith(f"{total}_t")}
        if total not in values and {f"{total}_t1", f"{total}_t2"} <= tariffs.keys():
            totals[total] = round(sum(tariffs.values()), 3)
    return totals


def _counts(sources: Mapping[str, Codes]) -> dict[str, float]:
    found = ((name, sources.get(source, {}).get(code)) for source, code, name in _COUNTS)
    return {
        name: float(data.values[0])
        for name, data in found
        if data is not None and _COUNT.fullmatch(data.values[0])
    }


def _mbus(codes: Codes, meter: str, channel: str) -> Reading | str | None:
    """What the device on a channel of the M-Bus said last, or what of it cannot be read.

    None: it never said anything.
    """
    latest = _latest(codes)
    stamp = _read_stamp(latest[0]) if latest else None
    if latest is None or stamp is None or "*" not in latest[1]:
        return None
    number, unit = read_number(latest[1]) or ("", "")
    known = find_unit(unit)
    fields = _FIELDS.get(known.dimension) if known else None
    if known is None or fields is None:
        return latest[1]
    field = fields.get(_kind(codes), known.dimension)
    return Reading(
        {field: float(number)},
        {field: unit},
        _identity(codes) or meter,
        MEASUREMENT,
        {"channel": channel},
        stamp.ns,
    )


def _kind(codes: Codes) -> int:
    """The type of an M-Bus device, 0 where it is not known."""
    text = codes["24.1.0"].values[0] if "24.1.0" in codes else ""
    return int(text) if _COUNT.fullmatch(text) else 0


def _latest(codes: Codes) -> tuple[str, str] | None:
    """The date and the value with its unit, of the new form or of that before v4."""
    for code, data in codes.items():
        if code.startswith("24.2.") and len(data.values) == 2:  # noqa: PLR2004 -- date, value
            return data.values[0], data.values[1]
    profile = codes.get("24.3.0")
    if profile is None or len(profile.values) != _PROFILE_VALUES:
        return None
    *_, unit, number = profile.values
    return profile.values[0], f"{number}*{unit}"


class _Stamp(NamedTuple):
    """A date; `ns` is its instant where it says which clock it is of."""

    ns: int | None


def _read_stamp(text: str) -> _Stamp | None:
    """The date, or None: it is none."""
    match = _STAMP.fullmatch(text)
    ns = time_of_digits(match[1], _HOURS_AHEAD.get(match[2], 0)) if match else None
    if match is None or ns is None:
        return None
    return _Stamp(ns if match[2] else None)


def _identity(codes: Codes) -> str:
    """The equipment's identifier, or nothing; one of zeros only is none."""
    for code in _IDENTITIES:
        text = codes[code].values[0] if code in codes else ""
        if text.strip("0"):
            return _unhexed(text)
    return ""


def _unhexed(text: str) -> str:
    """The letters and digits that the hexadecimal digits stand for, else the text as it is."""
    if _HEX.fullmatch(text) is None:
        return text
    plain = bytes.fromhex(text).decode("latin-1")
    return plain if plain.isascii() and plain.isalnum() else text


DEVICE = Device(
    name="dsmr",
    summary="P1 port of smart meters: DSMR 2.2 to 5, Belgium, Luxembourg, Sweden, Hungary",
    decoder=DsmrDecoder,
    framer=P1Framer,
    baudrates=(115200, 9600),
)
