"""Registers of electricity meters that speak text, as IEC 62056-21 and DSMR P1 write them.

    1-0:1.8.0*255(00123.4*kWh)

is a data set: an OBIS code, perhaps after its medium and channel (A-B) and before its billing
period (F), and values in brackets, perhaps with units. A line holds one data set or more; one that
begins with a bracket goes on with the last one.

`electricity` makes fields of the registers. A number is brought into the unit of its field by
moving the decimal point in the text: 01.005 kW are 1005.0 W, not 1004.9999999999999. What measures
(D is 7 or 8) and has no field of its own is called by its code and unit: `obis_83_8_0_kwh`.

Real meters: blanks stand around a number, E is left out of what is instantaneous (32.7 for 32.7.0,
both Landis+Gyr). The `*` is missing (Fluvius): where no checksum proves the telegram, that may as
well be a damage, and is one. No number has a unit (eHZ of EMH and Hager, Pafal): energies are then
in kWh or kvarh, if they have decimals. All registers are of period 00 (Pafal, Apator): it is now.

Limits: any other number without a unit is none, but for power factors: W or kW, nobody knows.
Values of earlier billing periods (F other than 255) are left out.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.protocols.obis import INSTANTANEOUS, TIME_INTEGRAL, Register, net, register
from gateway.quantities import find_quantity

_VALUES: Final = r"(?:\([ -'*-~]*\))+"
_DATA_SET: Final = re.compile(
    r"(?:([0-9]{1,3}-[0-9]{1,3}):)?([0-9A-Z.]{1,16})(?:[*&]([0-9]{1,3}))?" f"({_VALUES})"
)
_MORE_VALUES: Final = re.compile(_VALUES)
_NUMBER: Final = re.compile(
    r" *([+-]?[0-9]{1,20}(?:\.[0-9]{1,20})?) *(?:\* *([A-Za-z0-9/]{1,12})|([A-Za-z]{1,5}))? *"
)
_REGISTER: Final = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})(?:\.([0-9]{1,3}))?")

_NOW: Final = "255"
_FIRST_PERIOD: Final = "00"
_UNSAID: Final = 255
_MEASURED_MAX: Final = 93
"""C of what is measured; from 94 on it is about the meter."""

_SCALES: Final = {
    prefix.lower() + unit.lower(): (canonical, exponent + offset)
    for unit, canonical, offset in (
        ("W", "W", 0),
        ("VA", "V.A", 0),
        ("var", "V.A{reactive}", 0),
        ("Wh", "kW.h", -3),
        ("VAh", "kV.A.h", -3),
        ("varh", "kV.A.h{reactive}", -3),
        ("V", "V", 0),
        ("A", "A", 0),
        ("Hz", "Hz", 0),
    )
    for prefix, exponent in (("", 0), ("k", 3), ("M", 6))
}
"""By a unit's spelling in lower case: the canonical unit, and where the decimal point goes."""

_ENERGIES: Final = frozenset({"kW.h", "kV.A.h", "kV.A.h{reactive}"})


class DataSet(NamedTuple):
    """A code and what stands in the brackets behind it."""

    source: str
    """Medium and channel, as `1-0`; empty where the meter does not say."""
    code: str
    period: str
    """Of billing; empty: now."""
    values: list[str]


class Electricity(NamedTuple):
    """Fields, the units of those that have no canonical one, and what cannot be read."""

    values: dict[str, float]
    units: dict[str, str]
    unreadable: list[str]


class _Plan(NamedTuple):
    """What to make of a code: a field, and its unit where it has one of its own."""

    register: Register
    unit: str = ""


def read_lines(body: bytes) -> tuple[list[DataSet], list[bytes]]:
    """The data sets of a telegram's lines, and the lines that are none."""
    sets: list[DataSet] = []
    unreadable = []
    for padded in body.decode("latin-1").split("\n"):
        line = padded.strip("\r ")
        if line and not _read_line(line, sets):
            unreadable.append(line.encode("latin-1"))
    return sets, unreadable


def _read_line(line: str, sets: list[DataSet]) -> bool:
    """Whether the line can be read; then its data is added to the sets."""
    if line[0] == "(":
        if not sets or _MORE_VALUES.fullmatch(line) is None:
            return False
        sets[-1].values.extend(_split(line))
        return True
    found = []
    position = 0
    while position < len(line):
        match = _DATA_SET.match(line, position)
        if match is None:
            return False
        source, code, period, values = match.groups("")
        found.append(DataSet(source, code, "" if period == _NOW else period, _split(values)))
        position = match.end()
    sets += found
    return True


def _split(values: str) -> list[str]:
    return values[1:-1].split(")(")


def read_number(text: str, *, proven: bool = False) -> tuple[str, str] | None:
    """The digits and the unit of a value, or None: it is no number.

    `proven`: a checksum says that it is what the meter sent.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    number, unit, without_star = match.groups("")
    if without_star and not (proven and without_star.lower() in _SCALES):
        return None
    return number, unit or without_star


def electricity(sets: Sequence[DataSet], *, proven: bool) -> Electricity:
    """What the registers say now; of those with the same meaning the first one counts."""
    found: dict[Register, float] = {}
    out = Electricity({}, {}, [])
    has_units = any("*" in value for data in sets for value in data.values)
    planned = [(data, plan) for data in sets if (plan := _plan(data.code))]
    period = _FIRST_PERIOD if all(data.period for data, _ in planned) else ""
    for data, plan in planned:
        text = data.values[0]
        if len(data.values) > 1:  # the other one is a time stamp
            text = next((value for value in data.values if "*" in value), text)
        if data.period != period or plan.register in found or not text:
            continue
        number, unit = read_number(text, proven=proven) or ("", "")
        exponent = _exponent(unit, plan.unit) if number else None
        if not (unit or has_units) and "." in number and plan.unit in _ENERGIES:
            exponent = ""
        if exponent is not None:
            found[plan.register] = float(number + exponent)
            if not plan.unit:
                out.units[plan.register.field] = unit
        elif unit or not number:
            out.unreadable.append(f"{data.code}({text})")
    out.values.update(net(found.items()))
    return out


@lru_cache(maxsize=1024)
def _exponent(unit: str, wanted: str) -> str | None:
    """What brings a number into the unit that is wanted, or leaves it as it is where none is."""
    canonical, exponent = _SCALES.get(unit.lower(), ("", 0))
    if wanted and canonical == wanted:
        return f"e{exponent}"
    as_it_is = not unit if wanted == "1" else unit and not wanted
    return "" if as_it_is else None


@lru_cache(maxsize=1024)
def _plan(code: str) -> _Plan | None:
    match = _REGISTER.fullmatch(code)
    if match is None:
        return None
    c, d = int(match[1]), int(match[2])
    if match[3] is None and d != INSTANTANEOUS:
        return None  # a heat meter's
    e = int(match[3] or 0)
    e = 0 if e == _UNSAID else e
    known = register(c, d, e)
    if known is not None:
        quantity = find_quantity(known.field)
        return _Plan(known, quantity.quantity.unit if quantity else "")
    if d in (INSTANTANEOUS, TIME_INTEGRAL) and 0 < c <= _MEASURED_MAX:
        return _Plan(Register(f"obis_{c}_{d}_{e}"))
    return None
