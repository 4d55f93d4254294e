r"""German electricity meters by Smart Message Language (SML 1.04, BSI TR-03109-1), unasked.

Line: 9600 8N1, an optical head on the meter's infrared diode; a transmission every 1 to 4 s.

    1B1B1B1B 01010101  messages  00...  1B1B1B1B 1A pad crc crc

The messages are filled up with `pad` zeros to a multiple of 4. Four bytes 1B within them are sent
twice. The CRC covers all that was sent before it, X.25, low byte first. So of a run of 1B, each
eight are four of data, and what is left of it, if at least four, ends in an escape.

The messages are those of `gateway.protocols.sml`.

What becomes of it: one reading per list, all registers 1-0:C.D.E*255 of `gateway.protocols.obis` in
canonical units. Other numbers of 1-0 that have a unit are `obis_C_D_E`, with F where it is not 255
(earlier periods). Texts, keys, status words and other media are left out. `device` is the meter's
number: as printed where the server is a DIN 43863-5 identity, else its text or hex.
`observed_at_ns` only where the meter says a date; mostly it counts seconds since it was installed.

Real meters, and what is done:

* Holley: CRCs, outer and inner, are CRC-16/KERMIT, high byte first; an entry's time is a bare
  number. Both are taken. Froetec: the time is a list of three, as the standard has it.
* Units are missing: energy is in Wh (EasyMeter, some EMH).
* EDL meters (EMH eHZ, ED300L; Dr. Neuhaus) state 15.7.0, power without a sign, and where it flows
  in bit 5 of the energy's status (FNN Lastenheft EDL 1.0): with it, it is also `power`.
* FNN basic meters (low byte of the status 04) have that in bit 11. Honeywell AS2020 and Holley
  DTZ251 state 16.7.0 without its sign all the same: it is given back.
* DZG (DVS74 before serial 60000000, WS74) send positive power in as few bytes as an unsigned number
  needs, and call it signed: 356.24 W arrive as -299.12. While bit 11 says that energy is drawn,
  a negative power of less than 4 bytes is read as unsigned. Phases of such a three-phase meter
  cannot be told from real feeding, and stay.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.framing.checksums import crc16_kermit, crc16_x25
from gateway.framing.scanner import Scanner, before_marker
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
from gateway.protocols.obis import TIME_INTEGRAL, Register, net, register
from gateway.protocols.sml import Entry, ListResponse, Value, read_messages

TRANSMISSION_MAX: Final = 8192
"""Those seen are 200 to 700 bytes; a gateway's may be a few kB."""

_ESCAPE: Final = b"\x1b\x1b\x1b\x1b"
_START: Final = _ESCAPE + b"\x01\x01\x01\x01"
_END: Final = _ESCAPE + b"\x1a"
_TRAILER: Final = 8
"""Bytes from the escape before the end on."""
_RUN: Final = re.compile(rb"\x1b+")


def _is_sound(data: bytes) -> bool:
    """Whether it is a whole transmission whose checksum holds."""
    if not (data.startswith(_START) and data.startswith(_END, len(data) - _TRAILER)):
        return False
    body, crc = data[:-2], data[-2:]
    if crc == crc16_x25(body).to_bytes(2, "little"):
        return True
    return crc == crc16_kermit(body).to_bytes(2, "big")


class Transmissions(Scanner):
    """`Framer` for SML's transport protocol, version 1; start, end and CRC are part of a frame.

    What is damaged or has no end is handed out as well, up to the next start, so that the decoder
    refuses it and it is counted. Where the checksum is wrong a start may be a real one even if it
    looks escaped: its transmission follows on one that broke off within an escape.
    """

    def __init__(self) -> None:
        super().__init__(TRANSMISSION_MAX)
        self._searched = len(_START)
        """No start or end begins between the frame's own start and here."""

    def step(self, buffer: bytearray, *, ended: bool) -> Framed | Noise | None:
        if not buffer.startswith(_START):
            self._searched = len(_START)
            return before_marker(buffer, _START, ended=ended)
        at = self._control(buffer)
        if at is None or len(buffer) < at + _TRAILER:
            return None
        data = bytes(buffer[: at + _TRAILER])
        if not _is_sound(data):
            data = _damaged(data)
        self._searched = len(_START)
        return Framed(data, len(data))

    def restart(self) -> None:
        super().restart()
        self._searched = len(_START)

    def _control(self, buffer: bytearray) -> int | None:
        """Where the next start or end is; None: not here yet."""
        at = buffer.find(_ESCAPE, self._searched)
        while at >= 0:
            run = _RUN.match(buffer, at)
            after = run.end() if run else at
            if len(buffer) < after + len(_ESCAPE):
                break
            escape = after - len(_ESCAPE)
            if (after - at) // len(_ESCAPE) % 2 and buffer.startswith((_START, _END), escape):
                self._searched = at
                return escape
            at = buffer.find(_ESCAPE, after)
        self._searched = max(len(_START), at if at >= 0 else len(buffer) - len(_ESCAPE) + 1)
        return None


def _damaged(data: bytes) -> bytes:
    """What of a transmission cannot belong to the one after it."""
    at = data.find(_START, 1)
    if at < 0:
        at = len(data) - 3 + len(data[-3:].rstrip(b"\x1b"))
    return data[:at]


# --------------------------------------------------------------------------------- registers

_UNITS: Final[Mapping[Value, tuple[str, int]]] = MappingProxyType(
    {
        5: ("h", 0),
        6: ("min", 0),
        7: ("s", 0),
        8: ("deg", 0),
        9: ("Cel", 0),
        13: ("m3", 0),
        27: ("W", 0),
        28: ("VA", 0),
        29: ("var", 0),
        30: ("kWh", -3),
        31: ("kVAh", -3),
        32: ("kvarh", -3),
        33: ("A", 0),
        35: ("V", 0),
        44: ("Hz", 0),
        56: ("%", 0),
    }
)
"""DLMS codes (IEC 62056-62, table of units): our unit, and the power of ten that leads to it."""


class _Meaning(NamedTuple):
    register: Register
    unit: str
    shift: int
    """The power of ten between the stated unit and ours."""


@lru_cache(maxsize=1024)
def _meaning(code: bytes, stated: Value) -> _Meaning | None:
    """What a number under this code and in this one of the units is; None: nothing to keep."""
    a, b, c, d, e, f = code
    if (a, b) != (1, 0):
        return None
    unit, shift = _UNITS.get(stated, ("", 0))
    current = f == 0xFF  # noqa: PLR2004 -- else it is of an earlier period
    known = register(c, d, e) if current else None
    if known:
        return _Meaning(known, unit, shift if unit or d != TIME_INTEGRAL else -3)
    name = f"obis_{c}_{d}_{e}" if current else f"obis_{c}_{d}_{e}_{f}"
    return _Meaning(Register(name), unit, shift) if unit else None


def _scaled(value: int, exponent: int) -> float:
    """By division, because 10 ** -1 is no float: 123456789 / 10000 is 12345.6789."""
    return value / 10**-exponent if exponent < 0 else float(value * 10**exponent)


def _reading(response: ListResponse) -> Reading | None:
    entries = response.entries
    flow = _Flow(entries)
    if response.server.startswith(_DZG) and flow.is_fnn and not flow.outwards:
        entries = _mended(entries)
    stated = []
    units = {}
    for code, entry in entries.items():
        meaning = _meaning(code, entry.unit if entry.unit in _UNITS else None)
        if meaning is None:
            continue
        stated.append((meaning.register, _scaled(entry.value, entry.scaler + meaning.shift)))
        if meaning.unit:
            units[meaning.register.field] = meaning.unit
    if not stated:
        return None
    values = net(stated)
    _direct(values, units, flow)
    device, time_ns = _identity(response.server), response.observed_at_ns
    return Reading(values, units, device, "energy_meter", observed_at_ns=time_ns)


class _Flow:
    """Where energy flows, as the status of the first energy register that has one says."""

    def __init__(self, entries: Mapping[bytes, Entry]) -> None:
        stated = (entry.status for code, entry in entries.items() if code[3] == TIME_INTEGRAL)
        status = next((one for one in stated if isinstance(one, int)), 0)
        self.is_fnn = status & 0xFF == 0x04  # noqa: PLR2004 -- FNN Lastenheft Basiszähler
        self.outwards = bool(status & (1 << 11 if self.is_fnn else 1 << 5))


def _direct(values: dict[str, float], units: dict[str, str], flow: _Flow) -> None:
    """Give power the sign that its meter states elsewhere."""
    if "power" in values:
        if flow.is_fnn and flow.outwards and values["power"] > 0:
            values["power"] = -values["power"]
    elif "absolute_power" in values:
        absolute = values["absolute_power"]
        values["power"] = 0.0 - absolute if flow.outwards else absolute
        units["power"] = "W"


_DZG: Final = b"\x0a\x01DZG"
_POWER: Final = bytes((1, 0, 16, 7, 0, 255))
_POWER_L1: Final = bytes((1, 0, 36, 7, 0, 255))
_POWER_L2: Final = bytes((1, 0, 56, 7, 0, 255))
_WHOLE: Final = 4
"""Bytes that such a meter gives a truly negative power."""


def _mended(entries: Mapping[bytes, Entry]) -> Mapping[bytes, Entry]:
    """The power of a DZG meter that draws energy, read as unsigned."""
    code = _POWER_L1 if _POWER not in entries and _POWER_L2 not in entries else _POWER
    power = entries.get(code)
    if power is None or power.value >= 0 or power.size >= _WHOLE:
        return entries
    return {**entries, code: power._replace(value=power.value + (1 << 8 * power.size))}


_SERVER_MAX: Final = 32
_DIN: Final = re.compile(rb"[\x09\x0a]([\x01-\x0f])([A-Z]{3})(.)(.{4})", re.DOTALL)
_SERIAL_MAX: Final = 99_999_999


@lru_cache(maxsize=64)
def _identity(server: bytes) -> str:
    """The meter's number: `1EMH0012345678` of a DIN 43863-5 identity, else text or hex."""
    if len(server) > _SERVER_MAX:
        return ""
    if din := _DIN.fullmatch(server):
        medium, maker, block, serial = din.groups()
        number = int.from_bytes(serial, "big")
        if number <= _SERIAL_MAX:
            return f"{medium[0]:X}{maker.decode('ascii')}{block[0]:02X}{number:08d}"
    return server.decode("ascii") if server.isalnum() else server.hex()


class SmlDecoder:
    """Decoder of transmissions; it keeps nothing."""

    def decode(self, frame: Frame) -> Verdict:
        data = frame.data
        if not _is_sound(data):
            return Malformed(Reason.CHECKSUM)
        content = data[len(_START) : -_TRAILER].replace(_ESCAPE * 2, _ESCAPE)
        responses, malformed = read_messages(content)
        readings = [reading for one in responses if (reading := _reading(one))]
        if readings:
            return Decoded(readings, malformed)
        return malformed[0] if malformed else Ignored(Reason.UNSUPPORTED)


DEVICE = Device(
    name="sml",
    summary="German electricity meters that push SML through their optical port",
    decoder=SmlDecoder,
    framer=Transmissions,
    baudrates=(9600,),
)
