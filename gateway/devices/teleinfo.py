r"""TeleInfo (TIC): what French meters send to their customers, Linky and those before it.

    STX  LF ADCO SP 123456789012 SP checksum CR  LF ...  ETX        historic mode, 1200 baud
    STX  LF EAST HT 001234567 HT checksum CR     LF ...  ETX        standard mode, 9600 baud
         LF DATE HT H260115120000 HT HT checksum CR                 a group with its own time

Enedis-NOI-CPT_54E. Both modes are 7E1; parity bits are taken off. They are told apart by each
group's separator. On an overload three-phase meters in historic mode send short frames of ADIR1-3,
ADCO and IINST1-3.

Checksum: each group has its own, the sum of its characters, the last separator included in standard
mode only, of which 6 bits count: (sum & 3F) + 20. That is weak: bit 6 of a character is not in it.
So what the group says must have its form, too. A bad group costs itself. Where the meter's number
is lost so, it is that of the frame before. It stands at the beginning: a frame without it, or with
a bad group, is not whole, and a 0 of one of two directions in it is no apparent power.

Time: DATE is the frame's. Averages (CCASN, CCAIN, UMOY1-3) are those of the time that ended at
their own, so they are readings apart; the same one stands in all frames until the next. E and H are
summer and winter time of Paris, UTC+2 and UTC+1; in small letters the clock is not set, and there
is no time. Historic mode has none.

Tariffs: the one of the index in force, as `energy_import_t1`, and in historic mode by their order:
off-peak before peak; Tempo blue, white, red; EJP normal before peak. Historic mode has no total but
BASE: `energy_import` is then the sum of the option's indexes, if all of them are there.

Left out: texts, state words, the distributor's indexes, the calendar, yesterday's maxima.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.framing.marked import Marked
from gateway.framing.seven_bit import SevenBit
from gateway.ledger import EXAMPLE_BYTES
from gateway.model import (
    Decoded,
    Device,
    Frame,
    Ignored,
    Malformed,
    Reading,
    Reason,
    Verdict,
)
from gateway.times import time_of_digits

_STX: Final = b"\x02"
_ETX: Final = b"\x03"

SIZE_MAX: Final = 4096
"""Standard frames have up to 1.6 kB, historic ones 0.3 kB."""

_HISTORIC: Final = b" "
_STANDARD: Final = b"\t"
_BETWEEN_GROUPS: Final = re.compile(rb"[\r\n]+")
_LABEL: Final = re.compile(rb"[A-Z][A-Z0-9+-]*")
_STAMP: Final = re.compile(r"([EHeh ])([0-9]{12})")
_HOURS_AHEAD: Final = {"E": 2, "H": 1}
_NUMBER: Final = re.compile(r"[0-9]{1,12}")
_METER: Final = re.compile(r"[0-9]{12}")

_PHASES: Final = (("1", "_l1"), ("2", "_l2"), ("3", "_l3"))
_TOTAL: Final = (("", ""), *_PHASES)
_OPTIONS: Final = (
    ("HCHC", "HCHP"),
    ("EJPHN", "EJPHPM"),
    ("BBRHCJB", "BBRHPJB", "BBRHCJW", "BBRHPJW", "BBRHCJR", "BBRHPJR"),
)
"""The indexes of each tariff option of historic mode, in the order of the tariffs."""

_FIELDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "BASE": ("energy_import", "e-3"),
        "EAST": ("energy_import", "e-3"),
        "EAIT": ("energy_export", "e-3"),
        **{
            label: (f"energy_import_t{number}", "e-3")
            for option in _OPTIONS
            for number, label in enumerate(option, 1)
        },
        **{f"EASF{n:02}": (f"energy_import_t{n}", "e-3") for n in range(1, 11)},
        **{f"ERQ{n}": (f"reactive_energy_q{n}", "e-3") for n in range(1, 5)},
        **{f"IINST{n}": (f"current{phase}", "") for n, phase in _TOTAL},
        **{f"IRMS{n}": (f"current{phase}", "") for n, phase in _PHASES},
        **{f"URMS{n}": (f"voltage{phase}", "") for n, phase in _PHASES},
        **{f"SINSTS{n}": (f"apparent_power{phase}", "") for n, phase in _PHASES},
        **{f"SMAXSN{n}": (f"apparent_power_maximum{phase}", "") for n, phase in _TOTAL},
        **{f"ADIR{n}": (f"overload_current{phase}", "") for n, phase in _PHASES},
        **{f"UMOY{n}": (f"voltage_average{phase}", "") for n, phase in _PHASES},
        "PAPP": ("apparent_power", ""),
        "ADPS": ("overload_current", ""),
        "ISOUSC": ("subscribed_current", ""),
        "PREF": ("subscribed_apparent_power", "e3"),
        "NTARF": ("tariff", ""),
        "CCASN": ("power_average", ""),
        "CCAIN": ("power_export_average", ""),
    }
)
"""By label: the field, and where the decimal point goes in its unit."""

_AVERAGES: Final = ("CCASN", "CCAIN", "UMOY1", "UMOY2", "UMOY3")
_DIRECTIONS: Final = (("SINSTS", 1.0), ("SINSTI", -1.0))
_NUMBERS: Final = frozenset({*_FIELDS, *(label for label, _ in _DIRECTIONS)})
_METERS: Final = ("ADSC", "ADCO")
_PERIODS: Final = {
    period: float(number)
    for option in (
        ("TH..",),
        ("HC..", "HP.."),
        ("HN..", "PM.."),
        ("HCJB", "HPJB", "HCJW", "HPJW", "HCJR", "HPJR"),
    )
    for number, period in enumerate(option, 1)
}
"""The tariff of each PTEC."""


class _Group(NamedTuple):
    label: str
    stamp: str
    value: str


class TeleinfoDecoder:
    """Frames; of earlier ones only the meter's number is remembered."""

    def __init__(self) -> None:
        self._meter = ""

    def decode(self, frame: Frame) -> Verdict:
        data = frame.data
        if len(data) > SIZE_MAX or data[:1] != _STX or data[-1:] != _ETX:
            return Malformed(Reason.SYNTAX, data[:EXAMPLE_BYTES])
        groups: dict[str, _Group] = {}
        bad = []
        for piece in filter(None, _BETWEEN_GROUPS.split(data[1:-1])):
            group = _read_group(piece)
            if group is None:
                bad.append(Malformed(Reason.CHECKSUM, piece[:EXAMPLE_BYTES]))
            else:
                groups.setdefault(group.label, group)
        number = next((groups[label].value for label in _METERS if label in groups), "")
        self._meter = number or self._meter
        if not self._meter:  # whose values would they be?
            return bad[0] if bad else Malformed(Reason.SYNTAX, data[:EXAMPLE_BYTES])
        whole = bool(number) and not bad
        readings = [
            Reading(values, device=self._meter, measurement="energy_meter", observed_at_ns=time_ns)
            for time_ns, values in _values_by_time(groups, whole=whole).items()
        ]
        return Decoded(readings, bad) if readings or bad else Ignored(Reason.UNSUPPORTED)


def _read_group(piece: bytes) -> _Group | None:
    """The group, or None: its checksum is wrong, or it has not the form that its label demands."""
    separator = piece[-2:-1]
    covered = piece[:-1] if separator == _STANDARD else piece[:-2]
    if separator not in (_STANDARD, _HISTORIC) or (sum(covered) & 0x3F) + 0x20 != piece[-1]:
        return None
    parts = piece[:-2].split(separator, 2 if separator == _STANDARD else 1)
    if len(parts) < 2 or _LABEL.fullmatch(parts[0]) is None:  # noqa: PLR2004 -- label and value
        return None
    label, *stamp, value = (part.decode("latin-1") for part in parts)
    group = _Group(label, stamp[0] if stamp else "", value)
    return group if _has_its_form(group) else None


def _has_its_form(group: _Group) -> bool:
    if group.label in _METERS:
        return _METER.fullmatch(group.value) is not None
    dated = group.label == "DATE" or group.label in _AVERAGES
    if dated and _STAMP.fullmatch(group.stamp) is None:
        return False
    return group.label not in _NUMBERS or _NUMBER.fullmatch(group.value) is not None


def _values_by_time(
    groups: Mapping[str, _Group], *, whole: bool
) -> dict[int | None, dict[str, float]]:
    """What the frame says of its own time, then of those of averages; `whole`: nothing is lost."""
    now = _time(groups["DATE"].stamp) if "DATE" in groups else None
    times = {now: _present(groups, whole=whole)}
    for label in _AVERAGES:
        time_ns = _time(groups[label].stamp) if label in groups else None
        if time_ns is not None:
            times.setdefault(time_ns, {}).update([_field(groups[label])])
    return {time_ns: values for time_ns, values in times.items() if values}


def _present(groups: Mapping[str, _Group], *, whole: bool) -> dict[str, float]:
    values = dict(
        _field(group)
        for label, group in groups.items()
        if label in _FIELDS and label not in _AVERAGES
    )
    known = [sign * float(groups[label].value) for label, sign in _DIRECTIONS if label in groups]
    if known and (whole or any(known) or len(known) == len(_DIRECTIONS)):
        values["apparent_power"] = sum(known)
    for option in _OPTIONS:
        if groups.keys() >= {*option}:
            values["energy_import"] = sum(int(groups[label].value) for label in option) / 1000
    if "PTEC" in groups and groups["PTEC"].value in _PERIODS:
        values["tariff"] = _PERIODS[groups["PTEC"].value]
    return values


def _field(group: _Group) -> tuple[str, float]:
    name, exponent = _FIELDS[group.label]
    return name, float(group.value + exponent)


def _time(stamp: str) -> int | None:
    """The instant, or None: the meter does not know it, or there is none such."""
    hours_ahead = _HOURS_AHEAD.get(stamp[0])
    return None if hours_ahead is None else time_of_digits(stamp[1:], hours_ahead)


def _framer() -> SevenBit:
    return SevenBit(Marked(re.compile(_STX), re.compile(_ETX), size_max=SIZE_MAX))


DEVICE = Device(
    name="teleinfo",
    summary="TeleInfo of French meters: Linky in historic and standard mode, and older ones",
    decoder=TeleinfoDecoder,
    framer=_framer,
    baudrates=(1200, 9600),
)
