"""Units of measurement: which unit a vendor's spelling means, and how two units convert.

A spelling is looked up once per device and field, never per value, and becomes a `Unit`; a
conversion is two numbers, `value * factor + offset`.  Nothing is parsed or derived: a spelling
that `unit_table` does not list is no unit, and what vendors really write (an ordinal sign for a
degree, "% RH") is listed.

Codes are UCUM (https://ucum.org, case-sensitive).  UCUM has no reactive volt-ampere and no
A-weighting: `V.A{reactive}` and `dB[SPL]{A}` use its annotations; `dBm` is SenML's secondary unit.

Limits, on purpose:

* Only units of one *dimension* convert.  Dimensions are finer than physics: a relative humidity
  in per cent is no gas in parts (per cent by volume, [ppm] and [ppb] are one dimension, "parts"),
  a rain rate is no wind speed, reactive power is no active power, and a gas in parts needs its
  molar mass to become ug/m3.
* The base of a dimension is the coherent SI unit, with two exceptions.  Temperatures count from
  0 degrees Celsius, so that Celsius and Fahrenheit convert without cancellation; kelvins are
  `conversion(unit, UNITS["K"])`.  Logarithmic units (dB, dBm, pH) are bases of their own and
  convert into nothing.
* Some spellings mean two things (`g`: gram or standard gravity, `%`: ratio or volume fraction,
  `C`: Celsius or coulomb).  The frequent one is found, unless the expected dimension is told.
"""

import math
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.quantities.unit_table import ROWS

LONGEST_SPELLING: Final = 48
"""Longer texts are no units; a hostile one is cut before anything looks at it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit: in the base unit of its dimension, a value is `value * factor + offset`."""

    code: str
    dimension: str
    factor: float
    suffix: str
    """For field names without a quantity: "flow" in L/min is stored as `flow_l_min`."""
    offset: float = 0.0


_OFFSETS: Final = {"[degF]": -160 / 9, "K": -273.15}
"""From 0 degrees Celsius; every other unit has its zero where the base has it."""

UNITS: Final[Mapping[str, Unit]] = MappingProxyType(
    {
        code: Unit(code, dimension, factor, suffix, _OFFSETS.get(code, 0.0))
        for dimension, rows in ROWS.items()
        for code, factor, suffix, _ in rows
    }
)
"""Every known unit by its code."""

_OTHER_MEANINGS: Final = {
    ("g", "acceleration"): "[g]",
    ("G", "acceleration"): "[g]",
    ("mg", "acceleration"): "m[g]",
    ("mG", "acceleration"): "m[g]",
    ("%", "parts"): "%{vol}",
    ("C", "charge"): "C",
    ("m", "duration"): "min",
    ("1/min", "count_rate"): "/min",
    ("dB", "sound_pressure"): "dB[SPL]",
}
"""(spelling or code, expected dimension): what it means there."""

_PREFIXES: Final = frozenset("numcdkMGTP")
_MICRO_AND_DOTS: Final = str.maketrans(
    # Greek mu (NFKC turns the micro sign into it), stray bytes of UTF-8 read as Latin-1, dots.
    {
        "\u03bc": "u",
        "\u00c2": None,
        "^": None,
        "\u00b7": ".",
        "\u22c5": ".",
        "\u2219": ".",
        "*": ".",
    }
)


def normalised(spelling: str) -> str:
    """Compatibility characters folded, spaces gone, `u` for micro, `.` for any product sign.

    A text that is too long to be a unit becomes the empty one.
    """
    if len(spelling) > LONGEST_SPELLING:
        return ""
    folded = unicodedata.normalize("NFKC", spelling).replace("**", "")
    return "".join(folded.translate(_MICRO_AND_DOTS).split())


def spellings() -> Iterator[tuple[str, Unit]]:
    """Every spelling, normalised, with its unit."""
    for rows in ROWS.values():
        for code, _, _, words in rows:
            unit = UNITS[code]
            if (code, unit.dimension) not in _OTHER_MEANINGS:
                yield normalised(code), unit
            for word in words.split():
                yield normalised(word), unit


_EXACT: Final = dict(spellings())


def _by_folded_case() -> dict[str, Unit]:
    """Spellings whose case does not matter: those that only one unit has, whatever the case."""
    units: dict[str, set[Unit]] = {}
    for spelling, unit in _EXACT.items():
        units.setdefault(spelling.casefold(), set()).add(unit)
    return {
        folded: found.pop()
        for folded, found in units.items()
        if len(folded) > 1 and len(found) == 1
    }


_FOLDED: Final = _by_folded_case()


def find_unit(spelling: str, dimension: str = "") -> Unit | None:
    """The unit a vendor or a user means, or None: exactly as written first, then in any case.

    Case is ignored only where it cannot matter: never for one letter (T, S, H), never where two
    units differ by case (mW and MW), and never where the text as written is an SI prefix and a
    known unit ("mbit" is no Mbit, "MV" no mV, "PA" no Pa).

    Args:
        spelling: what the device, the discovery message or the configuration says.
        dimension: the one that is expected, for the few spellings that mean two things.
    """
    text = normalised(spelling)
    other = _OTHER_MEANINGS.get((text, dimension))
    if other is not None:
        return UNITS[other]
    unit = _EXACT.get(text)
    if unit is not None or (text[:1] in _PREFIXES and text[1:] in _EXACT):
        return unit
    return _FOLDED.get(text.casefold())


def in_dimension(unit: Unit, dimension: str) -> Unit:
    """The same spelling's unit in that dimension where it has one there, else the unit itself."""
    other = _OTHER_MEANINGS.get((unit.code, dimension))
    return unit if other is None else UNITS[other]


def conversion(source: Unit, target: Unit) -> tuple[float, float] | None:
    """(factor, offset) with target value = value * factor + offset; None between dimensions.

    Both zeros are taken into account: for a *difference* of temperatures drop the offset
    (`gateway.quantities.conversion_for` does).
    """
    if source.dimension != target.dimension:
        return None
    if source is target:
        return 1.0, 0.0
    factor = source.factor / target.factor
    return _tidy(factor), _tidy((source.offset - target.offset) / target.factor)


def _tidy(number: float) -> float:
    """The short decimal that a quotient means (25.4, not 25.399999999999999), if there is one."""
    short = float(f"{number:.12g}")
    return short if abs(short - number) <= 4 * math.ulp(number) else number
