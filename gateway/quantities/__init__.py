"""The dictionary: which quantity a vendor's name means, and what its field is called.

`table` has the quantities (names after Home Assistant's device classes, one canonical UCUM unit
each), `words` the words around them, `units` the units.  Here are the look-ups; all of them are
made once per device and raw name, so they are written to be read, and bounded for hostile names.

How a raw name is read (`find_quantity`), on its words in snake case:

1. the whole name, as a quantity or an alias (`pm2.5`, `WindSpeed`, `linkquality`);
2. without a unit at its end (`temperature_C`, `wind_avg_km_h`, `tempf`, `total_m3`), if that unit
   fits the quantity: `temp_in` is no temperature in inches;
3. without a number at its end, which the field keeps (`Temperature1` is `temperature_1`);
4. with qualifiers, which the field keeps (`room.temp` is `room_temperature`, `voltage_l1`).  A
   quantity comes last in English, so anything may stand before most of them, but only known
   words after them; nothing passes that makes a setting or a flag of it (`temperature_alarm`).

**The default unit.** Where neither the device nor the configuration states a unit and the name
implies none, the value is taken to be in the quantity's canonical unit already.

Because of that rule a short or ambiguous name without a unit stays unknown, which loses nothing,
rather than being stored under a name that may be wrong: `t`, `h`, `p` (time, height, power?),
`bat` (volts or per cent), `ec` (micro- or millisiemens), `rain`, `light`, `gas`, `water` (often
flags), `noise` (a level in dBm with radios), `voc`, `no2`, `o3`, `so2` (parts or mass), `press`
(a button), `consumption`.  With a unit, stated or in the name, they are clear and understood.
Canonical names, also the ordinary words among them (`level`, `volume`, `charge`), are always
known: decoders rely on it.  `freq` too is unknown without a unit: radios mean MHz, meters Hz.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from gateway.quantities.table import QUANTITIES, Quantity
from gateway.quantities.units import UNITS, Unit, conversion, find_unit, in_dimension, spellings
from gateway.quantities.words import CLEAR_WITH_UNIT, PLACES, QUALIFIERS, SPOILERS, WEAK

__all__ = [
    "QUANTITIES",
    "UNITS",
    "Match",
    "Quantity",
    "Unit",
    "conversion",
    "conversion_for",
    "find_quantity",
    "find_unit",
    "snake_case",
    "unknown_field",
]

LONGEST_NAME: Final = 512
"""Characters of a raw name that are looked at."""

LONGEST_FIELD: Final = 64

_OWN_SCALES: Final = frozenset({"uv_index", "voc_index", "nox_index", "iaq", "link_quality"})
"""Numbers on a scale of their own: per cent of it are something else."""


class Match(NamedTuple):
    """What a raw name means."""

    field: str
    """The field's full name, with number and qualifiers."""
    quantity: Quantity
    unit: Unit | None
    """The unit stated, else the one that the name implies, else None: canonical."""


_FLAGS: Final = {"battery_ok": ("battery", UNITS["1"])}
"""Names of rtl_433 that have a scale of their own: 0 or 1 is 0 or 100 %."""


# ------------------------------------------------------------------------------ field names

_SIGNS: Final = str.maketrans(
    {
        "°": " deg ",
        "\u00ba": " deg ",
        "\u2103": " deg C ",
        "\u2109": " deg F ",
        "%": " percent ",
        "\u00b5": "u",
        "\u03bc": "u",
        "\u03a9": "ohm",
        "\u2126": "ohm",
    }
    | {"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "ł": "l", "Ł": "L"}
    | {"đ": "d", "ð": "d", "þ": "th", "\u0131": "i"}
)
_MIXED_CASE_UNIT: Final = re.compile(
    r"(?:[kKM]Wh|k?VArh?|kVAh?|kvarh?|hPa|[kKM]Pa|mAh|dB[mA]|[kMG]Hz|inHg|mmHg|[unm]Sv|kBq|pCi"
    r"|[KMG]iB|(?<![A-Za-z])(?:kW|m[VAW]|pH|dB|kV|u[AW]|kB))(?![a-z])"
)
_WORD_STARTS: Final = re.compile(
    r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[0-9])(?=[A-Z][a-z])"
)
_OTHER: Final = re.compile(r"[^a-z0-9]+")


def snake_case(name: str) -> str:
    """A field name `[a-z][a-z0-9_]*` of at most 64 characters from any text.

    Different names stay different where that is possible: letters without a Latin form become
    their code points, and what is too long ends in a checksum.  InfluxDB reserves "time".
    """
    decomposed = unicodedata.normalize("NFKD", name[:LONGEST_NAME].translate(_SIGNS))
    units_apart = _MIXED_CASE_UNIT.sub(lambda unit: f"_{unit[0].lower()}_", decomposed)
    words = _WORD_STARTS.sub("_", units_apart).lower()
    if not words.isascii():
        words = "".join(map(_latin, words))
    field = _OTHER.sub("_", words).strip("_")
    if field == "time":
        return "device_time"
    if field[:1].isdigit():
        field = f"n_{field}"
    return _bounded(field or "value")


def _latin(character: str) -> str:
    """A character in ASCII: accents vanish, foreign letters and digits become code points."""
    if character.isascii():
        return character
    if "\u0300" <= character <= "\u036f":
        return ""
    return f"u{ord(character):x}" if unicodedata.category(character)[0] in "LMN" else "_"


def _bounded(field: str) -> str:
    """The field, or its beginning and a checksum (FNV-1a) of all of it."""
    if len(field) <= LONGEST_FIELD:
        return field
    checksum = 0x811C9DC5
    for byte in field.encode():
        checksum = (checksum ^ byte) * 0x01000193 & 0xFFFFFFFF
    return f"{field[: LONGEST_FIELD - 9].rstrip('_')}_{checksum:08x}"


def unknown_field(raw_name: str, unit: Unit | None) -> str:
    """The field of a name that no quantity has: snake case, ending in its unit.

    It never is the name of a quantity: a "temperature" in a unit that is none of temperature
    must not mix with the temperatures of others.
    """
    field = snake_case(raw_name)
    suffix = unit.suffix if unit is not None else ""
    if suffix and not any(unit in found for _, found in _units_at_end(field.split("_"))):
        field = f"{field}_{suffix}"
    return _bounded(f"{field}_raw" if field in QUANTITIES else field)


# ------------------------------------------------------------------------------- conversion


def conversion_for(quantity: Quantity, unit: Unit | None) -> tuple[float, float] | None:
    """(factor, offset) into the quantity's canonical unit, or None where the unit cannot be.

    Unlike `conversion` this knows what the quantity says about the unit: differences have no
    offset, `mg` of acceleration are no milligrams, `%` of a gas are parts, an index has no `%`.
    """
    if unit is None:
        return 1.0, 0.0
    canonical = UNITS[quantity.unit]
    if quantity.name in _OWN_SCALES and unit is not canonical:
        return None
    found = conversion(in_dimension(unit, canonical.dimension), canonical)
    if found is not None and quantity.name == "temperature_delta":
        return found[0], 0.0
    return found


# ---------------------------------------------------------------------------------- look-up


def _known_names() -> dict[str, Quantity]:
    """Names and aliases, also written as one word where no digit changes its meaning by that."""
    names = dict(QUANTITIES)
    for quantity in QUANTITIES.values():
        names.update(dict.fromkeys(quantity.aliases, quantity))
    for name, quantity in tuple(names.items()):
        if not any(map(str.isdigit, name)):
            names.setdefault(name.replace("_", ""), quantity)
    return names


_NAMES: Final = _known_names()

_BY_UNIT: Final = {
    (name, dimension): field
    for names, fields in CLEAR_WITH_UNIT.items()
    for name in names.split()
    for dimension, field in fields.items()
}

_HEIGHT_OR_NUMBER: Final = re.compile(r"[0-9]{1,4}(?:mm|cm|m)?|t[0-9]{1,2}|q[1-4]")
"""After a quantity: `temperature_2m`, `power_3`; also a tariff or a quadrant of a meter."""

_NUMBERED: Final = re.compile(r"([a-z]{3,})([0-9]{1,3})")
_LONGEST_ALIAS: Final = 5
_LONGEST_UNIT: Final = 4
_GLUED_UNITS: Final = ("mph", "kmh", "kph", "hpa", "kpa", "ppm", "ppb", "kwh", "in", "mm", "c", "f")
_WRITTEN_UNIT: Final = re.compile(r"[A-Za-z°%\[][ -~°]*")


def _units_by_words() -> dict[str, list[Unit]]:
    """What a unit looks like at the end of a name; some look like two (mW and MW).

    Never the unit 1: `humidity_1` is the first humidity.
    """
    found: dict[str, list[Unit]] = {}
    for spelling, unit in spellings():
        if unit.code != "1" and _WRITTEN_UNIT.fullmatch(spelling):
            words = spelling.replace("°", "deg_").replace("%", "_percent_").lower()
            key = _OTHER.sub("_", words).strip("_")
            if unit not in found.setdefault(key, []):
                found[key].append(unit)
    return found


_UNITS_BY_WORDS: Final = _units_by_words()


def _units_at_end(words: Sequence[str]) -> Iterator[tuple[Sequence[str], list[Unit]]]:
    """Every way to read the last words as a unit, the longest first: (what is left, units)."""
    for length in range(min(_LONGEST_UNIT, len(words) - 1), 0, -1):
        units = _UNITS_BY_WORDS.get("_".join(words[-length:]))
        if units:
            yield words[:-length], units
    last = words[-1]
    for glued in _GLUED_UNITS:
        rest = last.removesuffix(glued)
        if rest != last and rest in _NAMES:
            yield [*words[:-1], rest], _UNITS_BY_WORDS[glued]


def find_quantity(raw_name: str, stated: Unit | None = None) -> Match | None:
    """What a raw name means, or None: it stays unknown under `unknown_field`.

    Args:
        raw_name: as the device or the decoder calls it; canonical names are always known.
        stated: the unit that the device or the configuration states.  It makes short names
            clear, and a name whose quantity cannot have this unit is no match.
    """
    raw_name = raw_name[:LONGEST_NAME]
    words = snake_case(raw_name).split("_")
    flag = _FLAGS.get("_".join(words))
    if flag is not None:
        return _match((flag[0], QUANTITIES[flag[0]]), stated or flag[1])
    whole = _look_up(words, stated)
    if whole is not None:
        return _match(whole, stated)
    # The case of the name decides between mW and MW, unless all of it is in capitals.
    last = re.split(r"[\s_./\-]", raw_name)[-1]
    written = None if raw_name.isupper() else find_unit(last)
    for rest, units in _units_at_end(words):
        matches = [match for unit in units if (match := _with_implied(rest, unit, stated))]
        exact = [match for match in matches if stated is None and match.unit is written]
        if len(matches) == 1 or exact:
            return (exact or matches)[0]
        if matches:
            return matches[0] if stated is not None else None
    found = _qualified(words, stated)
    return None if found is None else _match(found, stated)


def _match(found: tuple[str, Quantity], unit: Unit | None) -> Match:
    """The answer, its unit being what the spelling means for this quantity."""
    field, quantity = found
    if unit is not None:
        unit = in_dimension(unit, UNITS[quantity.unit].dimension)
    return Match(_bounded(field), quantity, unit)


def _with_implied(words: Sequence[str], implied: Unit, stated: Unit | None) -> Match | None:
    """The name without its unit, if the quantity can have it; what is stated goes first."""
    found = _qualified(words, implied)
    if found is None or (stated is not None and conversion_for(found[1], stated) is None):
        return None
    return _match(found, stated or implied)


def _look_up(words: Sequence[str], unit: Unit | None) -> tuple[str, Quantity] | None:
    """These words as one name: (field, quantity), if the quantity can have the unit."""
    name = "_".join(words)
    if unit is not None:
        field = _BY_UNIT.get((name, unit.dimension))
        if field is not None:
            return field, QUANTITIES.get(field) or QUANTITIES[field.rpartition("_")[2]]
    quantity = _NAMES.get(name)
    if quantity is not None and conversion_for(quantity, unit) is not None:
        return quantity.name, quantity
    return None


def _numbered(words: Sequence[str], unit: Unit | None) -> tuple[str, Quantity] | None:
    """Like `_look_up`, also for "temperature1"."""
    found = _look_up(words, unit)
    number = _NUMBERED.fullmatch(words[-1])
    if found is None and number is not None:
        found = _look_up([*words[:-1], number[1]], unit)
        if found is not None:
            return f"{found[0]}_{int(number[2])}", found[1]
    return found


def _qualified(words: Sequence[str], unit: Unit | None) -> tuple[str, Quantity] | None:
    """The longest, then the last quantity within the words whose neighbours allow it."""
    count = len(words)
    for length in range(min(_LONGEST_ALIAS, count), 0, -1):
        for start in range(count - length, -1, -1):
            span = words[start : start + length]
            before, after = words[:start], words[start + length :]
            found = _numbered(span, unit)
            if found is not None and _allowed(span, before, after, unit):
                if before and before[-1] == found[0]:  # "temperature.tC"
                    before = before[:-1]
                return "_".join((*before, found[0], *after)), found[1]
    return None


def _allowed(
    span: Sequence[str], before: Sequence[str], after: Sequence[str], unit: Unit | None
) -> bool:
    """Whether the neighbours leave the quantity what it is."""
    if not SPOILERS.isdisjoint((*before, *after)):
        return False
    narrow = unit is None and "_".join(span) in WEAK
    known = PLACES if narrow else QUALIFIERS
    if not all(word in known or _HEIGHT_OR_NUMBER.fullmatch(word) for word in after):
        return False
    if narrow:
        return all(word in known or word.isdigit() for word in before)
    # "current" is the present before a quantity, and a quantity itself after one.
    known |= {"current"}
    return unit is not None or not any(word in _NAMES and word not in known for word in before)
