r"""IEC 62056-21 (D0): meters that send their registers as text, mostly through an optical port.

    /XYZ5ABC-1 V1.00                      identification
    STX                                   in an answer, not where the meter sends by itself
    1-0:1.8.0*255(00012345.678*kWh)       data sets, see `gateway.protocols.meter_text`;
    1.8.0(00012345.678*kWh)               some lines hold several of them
    !
    ETX BCC                               behind STX only: XOR of what follows STX, ETX included

Port: 9600 baud or 2400 (mode D), 300 for the answer to a request; 7E1. Parity bits are taken off.

Checksum: with STX there must be a right BCC, and behind it an unreadable line costs itself. Without
there is none, so every line must be readable: parity errors and lost bytes show in the form.

Fields: as in `gateway.protocols.obis`; registers of electricity that it does not know keep their
code as name and their unit (`obis_83_8_0_kwh`). Heat meters say 6.8 (energy) and 6.26 (volume),
codes of two parts. What has no unit (dates, states, error numbers, texts) and earlier billing
periods are left out; for energies without a unit see `gateway.protocols.meter_text`. The meter's
number is 96.1, else C.1, else 0.0.0, or 9.21 of a heat meter. A meter's own time has no zone: the
arrival counts.

Limits: it only listens. A meter that wants a sign-on (`/?!` at 300 baud) needs a head or another
program that asks.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from gateway.framing.checksums import xor8
from gateway.framing.marked import Marked
from gateway.framing.seven_bit import SevenBit
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
    Value,
    Verdict,
)
from gateway.protocols.meter_text import DataSet, electricity, read_lines, read_number
from gateway.quantities.units import find_unit

SIZE_MAX: Final = 16 * 1024
"""Some 50 lines; with the values of many billing periods some hundred."""

_START: Final = re.compile(rb"/[A-Za-z]{3}[0-9A-I]")
_END: Final = re.compile(rb"!\r?\n")
_LAST: Final = re.compile(rb"!\r?\Z")
_STX: Final = b"\x02"
_ETX: Final = b"\x03"
_ELECTRICITY: Final = re.compile(r"(?:1-[0-9]+)?")
_IDENTITIES: Final = ("96.1.0", "96.1.255", "96.1.1", "C.1.0", "C.1", "0.0.0", "9.21")
"""The best one first."""

_HEAT: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {"6.8": ("heat_energy", "energy"), "6.26": ("volume", "volume")}
)
"""The field, and the dimension of its unit."""


class Telegrams(Marked):
    """`Framer` for `/...!`, and for ETX and BCC behind it where there was STX."""

    def __init__(self) -> None:
        super().__init__(_START, _END, size_max=SIZE_MAX, start_max=5, end_max=3, last=_LAST)

    def step(self, buffer: bytearray, *, ended: bool) -> Framed | Noise | None:
        item = super().step(buffer, ended=ended)
        if not isinstance(item, Framed) or _STX not in item.data:
            return item
        behind = bytes(buffer[item.size : item.size + 2])
        if not ended and behind in (b"", _ETX):
            return None
        if not behind.startswith(_ETX):
            return item
        data = item.data + behind
        if data.endswith(b"/") and not _is_whole(data.partition(_STX)[2]):
            data = data[:-1]  # it begins the next telegram; the BCC is lost
        return Framed(data, len(data))


class Iec62056Decoder:
    """Telegrams; each is complete in itself."""

    def decode(self, frame: Frame) -> Verdict:
        data = frame.data
        _, answer, block = data.partition(_STX)
        if len(data) > SIZE_MAX or _START.match(data) is None:
            return Malformed(Reason.SYNTAX, data[:EXAMPLE_BYTES])
        if answer and not _is_whole(block):
            return Malformed(Reason.CHECKSUM, data[:EXAMPLE_BYTES])
        lines, end, behind = (block or data.partition(b"\n")[2]).rpartition(b"!")
        if not end or (behind.strip(b"\r\n") and not answer):
            return Malformed(Reason.SYNTAX, data[:EXAMPLE_BYTES])
        sets, unreadable = read_lines(lines)
        reading, problems = _reading(sets, proven=bool(answer))
        malformed = [Malformed(Reason.SYNTAX, m[:EXAMPLE_BYTES]) for m in (*unreadable, *problems)]
        if malformed and not answer:
            return malformed[0]
        if reading is None and not malformed:
            return Ignored(Reason.UNSUPPORTED)
        return Decoded([reading] if reading else [], malformed)


def _is_whole(block: bytes) -> bool:
    """Whether what follows STX ends with ETX and the right BCC."""
    return block[-2:-1] == _ETX and xor8(block[:-1]) == block[-1]


def _reading(sets: Sequence[DataSet], *, proven: bool) -> tuple[Reading | None, list[bytes]]:
    """What the meter measures, and the data that cannot be read."""
    registers = [each for each in sets if _ELECTRICITY.fullmatch(each.source)]
    electric = electricity(registers, proven=proven)
    values: dict[str, Value] = dict(electric.values)
    units = electric.units
    present = [each for each in sets if not each.period]
    for each in present:
        field, dimension = _HEAT.get(each.code, ("", ""))
        number, unit = read_number(each.values[0]) or ("", "")
        known = find_unit(unit) if field and unit else None
        if known is not None and known.dimension == dimension:
            values[field], units[field] = float(number), unit
    problems = [text.encode() for text in electric.unreadable]
    if not values:
        return None, problems
    return Reading(values, units, _identity(present), "energy_meter"), problems


def _identity(sets: Sequence[DataSet]) -> str:
    """The meter's number, or nothing; one of zeros only is none."""
    found = {each.code: each.values[0].strip() for each in reversed(sets)}
    return next((found[code] for code in _IDENTITIES if found.get(code, "").strip("0")), "")


def _framer() -> SevenBit:
    return SevenBit(Telegrams())


DEVICE = Device(
    name="iec62056",
    summary="IEC 62056-21 (D0): meters that send their registers as text, pushed or answered",
    decoder=Iec62056Decoder,
    framer=_framer,
    baudrates=(9600, 2400, 300),
)
