"""Names, numbers and units as people write them into lines of text.

A name may carry its unit in brackets, "temp (°C)"; a number may be followed by its unit, "21.5 °C".
What looks like one of them and is not certain to be one is none: see `gateway.devices.text`.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.model import NOTHING
from gateway.quantities.units import find_unit

STATES: Final = frozenset(
    {"on", "off", "true", "false", "open", "closed", "yes", "no"}
    | {"nan", "none", "null", "unknown", "unavailable", "n/a", "-", "--", "---"}
)
"""Words that stand for a value, and so never for a name."""


class Names(NamedTuple):
    """The names of a line's values; an empty one stands for a column that is left out."""

    names: tuple[str, ...]
    units: Mapping[str, str]


_NAME: Final = re.compile(r"""[^\W\d][^=:,;?!"{}<>|\\]{0,71}""")
_NAME_WITH_UNIT: Final = re.compile(r"(.*\S)\s*[(\[]([^()\[\]]+)[)\]]")
_HEXADECIMAL: Final = re.compile(r"\b0[xX]")
NUMBER_PATTERN: Final = r"[+-]?(?:\d++(?:[.,]\d++|\.)?|\.\d++)(?:[eE][+-]?\d{1,4})?"
_NUMBER_AND_UNIT: Final = re.compile(rf"({NUMBER_PATTERN})\s*([^\d\s,;=:].{{0,23}})")
_DECIMAL_COMMA: Final = re.compile(r"[+-]?\d+,\d+")


def read_name(text: str) -> tuple[str, str] | None:
    """A name and the unit that stands in brackets behind it: "temp (°C)"; None where it is none."""
    name = text.strip(' \t"')
    if not _NAME.fullmatch(name) or _HEXADECIMAL.search(name) or name.lower() in STATES:
        return None
    if any(name.count(opening) != name.count(closing) for opening, closing in ("()", "[]")):
        return None  # half a name
    match = _NAME_WITH_UNIT.fullmatch(name)
    if match is not None and (unit := known_unit(match[2])):
        return match[1], unit
    return name, ""


@lru_cache(maxsize=256)
def read_names(raw: tuple[str, ...]) -> Names | None:
    """Names and units of a line, which are the same in every line of a device.

    A name that occurs again gets its number.
    """
    units: dict[str, str] = {}
    for number, text in enumerate(raw, 1):
        named = read_name(text)
        if named is None:
            return None
        name, unit = named
        units[f"{name}.{number}" if name in units else name] = unit
    if len(units) < len(raw):
        return None
    return Names(tuple(units), {name: unit for name, unit in units.items() if unit} or NOTHING)


def known_unit(spelling: str) -> str:
    """The spelling if it is a unit's, else ""; a star was a degree sign, as in "*C"."""
    unit = spelling.strip()
    if unit[:1] == "*":
        unit = f"°{unit[1:]}"
    return unit if find_unit(unit) is not None else ""


def read_number(text: str) -> float | None:
    """As Python reads numbers, with `nan` and `inf`, without underscores."""
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return None


def read_value(text: str, *, comma: bool = False) -> float | str | None:
    """A number, a number with a known unit (kept as text), or None; `comma`: a decimal one."""
    number = read_number(text)
    if number is not None:
        return number
    if comma and _DECIMAL_COMMA.fullmatch(text):
        return float(text.replace(",", "."))
    if text.lower().lstrip("+-") == "ovf":
        return float("inf")  # what Arduino's print calls a number beyond 32 bits
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match is None or (not comma and "," in match[1]):
        return None
    unit = known_unit(match[2])
    return f"{match[1].replace(',', '.')} {unit}" if unit else None
