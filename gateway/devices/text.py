"""Lines of text from boards and instruments, each in whichever of these forms it has.

    {"temp": 21.5, "hum": 45}                 JSON, see `gateway.objects`
    temp=21.5 hum=45                          pairs, between them blanks, commas, semicolons, tabs
    Temperature: 21.5 °C  Humidity: 45 %      likewise; the serial plotter's `a:1,b:2` too
    temp (°C),hum                             a header, and from then on
    21.5,45                                   rows under its names, or under `columns`
    21.5                                      `value`

Boards mix data with boot messages and prose, and a wrong name stays in a database for ever, so a
line is one of these from end to end or it is malformed. After a colon only a number, a number with
a known unit or a state (`on`) is a value; after an equals sign any word. A header's cells are
names; where they are parted by blanks or contain some, the dictionary must know one of them. A
decimal comma is read wherever the comma cannot be a separator.

The first line after opening may have lost its beginning. JSON proves that it is whole, and is used.
A pair, a row, a number cannot, and is dropped. A header cannot either but is believed: a board that
restarts when its port is opened prints its only header as the first line, so that without it every
row would be lost; a header cut short needs a port opened within the milliseconds of its passage,
mostly has a cell too few for the rows then, and the next one replaces it.

Limits: LINE_MAX bytes except for JSON; headers are learned from streams, not from MQTT messages.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from gateway.errors import ConfigError
from gateway.framing.delimited import LINE_MAX, Lines
from gateway.labels import (
    NUMBER_PATTERN,
    STATES,
    Names,
    known_unit,
    read_name,
    read_names,
    read_number,
    read_value,
)
from gateway.ledger import EXAMPLE_BYTES
from gateway.model import (
    NOTHING,
    Device,
    Frame,
    Ignored,
    Learned,
    Malformed,
    Reason,
    Value,
    Verdict,
)
from gateway.objects import FIELDS_MAX, OPTIONS, ObjectReader
from gateway.payloads import to_text
from gateway.quantities import find_quantity

_PADDING: Final = b" \r\n\0"


class TextDecoder:
    """One stream's decoder; `columns` are the names of a CSV without a header, "" skips one."""

    def __init__(
        self,
        *,
        columns: Sequence[str] = (),
        time: str = "",
        timezone: str = "",
        device: str = "",
    ) -> None:
        self._objects = ObjectReader(time=time, timezone=timezone, device=device)
        self._table = _Table(columns)

    def decode(self, frame: Frame) -> Verdict:
        data = frame.data.strip(_PADDING)
        if data[:1] in (b"{", b"["):
            return self._objects.decode(frame)
        text = to_text(data) if 0 < len(data) <= LINE_MAX else None
        if text is None:
            return Malformed(_why_no_line(data), data[:EXAMPLE_BYTES])
        if frame.first:
            self._table.reopen()
            return Learned() if self._table.learn(text) else Ignored(Reason.FIRST_LINE)
        found = self._table.row(text) or _read_pairs(text)
        if found is None and (value := read_value(text)) is not None:
            found = _Found({"value": value}, NOTHING)
        if found is None and not frame.topic and self._table.learn(text):
            return Learned()
        if found is None:
            reason = Reason.COLUMNS if _has_columns(text) else Reason.SYNTAX
            return Malformed(reason, data[:EXAMPLE_BYTES])
        return self._objects.reading(found.values, found.units, frame.received_at_ns)


def _why_no_line(data: bytes) -> Reason:
    if not data:
        return Reason.EMPTY
    return Reason.TOO_LARGE if len(data) > LINE_MAX else Reason.NOT_TEXT


class _Found(NamedTuple):
    values: dict[str, Value]
    units: Mapping[str, str]


# ------------------------------------------------------------------------------------ pairs

_SEPARATORS: Final = (";", "\t", ",", " ")
_BETWEEN_PAIRS: Final = " ,;\t\r\n"
_NUMBER: Final = re.compile(NUMBER_PATTERN)
_NAME_AND_MARK: Final = {
    mark: re.compile(rf"""[{_BETWEEN_PAIRS}]*+([^\W\d][^{mark},;"{{}}]{{0,71}}+){mark}[ \t]*+""")
    for mark in "=:"
}
_LONG_UNIT: Final = re.compile(r" {0,2}([^\d\s,;=:][^,;\t=:]{0,23}?)(?=[,;\t\r\n]|  |$)")
_SHORT_UNIT: Final = re.compile(r" {0,2}([^\d\s,;=:][^\s,;=:]{0,23}+)(?![ \t]*+[=:])")
_WORD: Final = {
    "=": re.compile(r'"[^"]*"|[^\s,;="]*'),
    ":": re.compile(r"[\w/-]+"),
}


def _read_pairs(text: str) -> _Found | None:
    """The pairs that the line consists of, or None where it is anything else."""
    mark = "=" if "=" in text else ":"
    if mark not in text:
        return None
    return _named(_split_pairs(text, mark)) or _named(
        _scan_pairs(text.rstrip(_BETWEEN_PAIRS), mark)
    )


def _named(pairs: dict[str, Value] | None) -> _Found | None:
    """The pairs under their names proper, or None where these are no names."""
    named = read_names(tuple(pairs)) if pairs else None
    if pairs is None or named is None:
        return None
    return _Found(dict(zip(named.names, pairs.values(), strict=True)), named.units)


def _split_pairs(text: str, mark: str) -> dict[str, Value] | None:
    """The fast way: plain numbers between separators of one kind."""
    if text.count(mark) == 1:
        parts = [text]
    elif ";" in text:
        parts = text.split(";")
    elif "," in text:
        parts = text.split(",")
    else:
        parts = text.split()
    pairs: dict[str, Value] = {}
    try:
        for part in parts:
            name, _, number = part.partition(mark)
            if "_" in number:
                return None
            pairs[name] = float(number)
    except ValueError:
        return None
    return pairs


def _scan_pairs(text: str, mark: str) -> dict[str, Value] | None:
    """The thorough way, from left to right: units, words, separators of several kinds."""
    pairs: dict[str, Value] = {}
    position = 0
    while position < len(text):
        name = _NAME_AND_MARK[mark].match(text, position)
        if name is None:
            return None
        scanned = _scan_number(text, name.end()) or _scan_word(text, name.end(), mark)
        if scanned is None:
            return None
        value, position = scanned
        pairs[name[1]] = value
    return pairs


def _scan_number(text: str, start: int) -> tuple[Value, int] | None:
    """A number and the unit behind it, and where they end."""
    match = _NUMBER.match(text, start)
    if match is None:
        return None
    number = match[0].replace(",", ".")
    unit, end = _scan_unit(text, match.end())
    if not _is_boundary(text, end):
        return None
    if not unit:
        return float(number), end
    again = _NUMBER.match(text, end + 1)
    if again is not None:  # the same in another unit: "21.50°C 70.70°F"
        other, other_end = _scan_unit(text, again.end())
        end = other_end if other and _is_boundary(text, other_end) else end
    return f"{number} {unit}", end


def _scan_unit(text: str, start: int) -> tuple[str, int]:
    """The known unit at this place, and where it ends; without one "" and the same place."""
    for pattern in (_LONG_UNIT, _SHORT_UNIT):
        match = pattern.match(text, start)
        if match is not None and (unit := known_unit(match[1])):
            return unit, match.end()
    return "", start


def _scan_word(text: str, start: int, mark: str) -> tuple[Value, int] | None:
    match = _WORD[mark].match(text, start)
    if match is None or not _is_boundary(text, match.end()):
        return None
    number = read_value(match[0])
    if number is not None:
        return number, match.end()
    if mark == ":" and match[0].lower() not in STATES:
        return None
    return match[0].strip('"'), match.end()


def _is_boundary(text: str, position: int) -> bool:
    return position == len(text) or text[position] in _BETWEEN_PAIRS


# -------------------------------------------------------------------------------------- CSV


class _Table:
    """The columns of a CSV, from the configuration or from the last header."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._fixed = bool(columns)
        self._columns = _configured(columns) if columns else Names((), NOTHING)
        self._known = False
        """The header had a name of the dictionary, so one without is prose."""
        self._separators: tuple[str, ...] = _SEPARATORS
        """The likely one first; after a header only its own."""

    def row(self, text: str) -> _Found | None:
        """The values of a row of the table, or None where the line is none."""
        count = len(self._columns.names)
        if not count:
            return None
        for separator in self._separators:
            cells = _cells(text, separator)
            if len(cells) == count + 1 and not cells[-1]:
                cells.pop()
            if len(cells) == count:
                return self._values(cells, separator)
        return None

    def learn(self, text: str) -> bool:
        """Whether the line is a header; its names are used from now on, unless configured."""
        separator = next((s for s in _SEPARATORS if s in text), None)
        if separator is None:
            return False
        cells = _cells(text, separator)
        if not cells[-1]:
            cells.pop()
        named = read_names(tuple(cells))
        if named is None or not 1 < len(cells) <= FIELDS_MAX:
            return False
        known = any(find_quantity(name) is not None for name in named.names)
        prose = separator == " " or any(" " in name for name in named.names)
        if not known and (prose or self._known):
            return False
        if not self._fixed:
            self._columns = named
            self._separators = (separator,)
            self._known = known
        return True

    def reopen(self) -> None:
        """Another board may be at the end of the line: any header counts again."""
        self._known = False

    def _values(self, cells: Sequence[str], separator: str) -> _Found | None:
        """In a row at least one cell is certainly a value; between blanks, every one is."""
        values: dict[str, Value] = {}
        doubtful = 0
        comma = separator != ","
        for name, cell in zip(self._columns.names, cells, strict=True):
            value = read_value(cell, comma=comma)
            if value is None:
                value = cell.strip('"')
                doubtful += cell.lower() not in STATES
            if name:
                values[name] = value
        prose = doubtful == len(cells) or (doubtful and separator == " ")
        return None if prose else _Found(values, self._columns.units)


def _cells(text: str, separator: str) -> list[str]:
    return text.split() if separator == " " else [c.strip() for c in text.split(separator)]


def _configured(columns: Sequence[str]) -> Names:
    """Names and units of the option; raises ConfigError."""
    if isinstance(columns, str) or not all(isinstance(c, str) for c in columns):
        raise ConfigError([f"columns: a list of names is expected, not {columns!r}"])
    wanted = [column for column in columns if column]
    problems = [f"columns: {c!r} is no name" for c in wanted if read_name(c) is None]
    problems += [f"columns: {c!r} stands there twice" for c in set(wanted) if wanted.count(c) > 1]
    if not wanted:
        problems.append("columns: no name is left")
    named = read_names(tuple(wanted))
    if problems or named is None:
        raise ConfigError(problems or ["columns: the names are not distinct"])
    names = iter(named.names)
    return Names(tuple(next(names) if column else "" for column in columns), named.units)


def _has_columns(text: str) -> bool:
    """Whether the line looks like a row, had the table such columns."""
    cells = re.split(r"[,;\t ]+", text)
    numbers = sum(read_number(cell) is not None for cell in cells)
    return numbers > 1 and 2 * numbers >= len(cells)


DEVICE = Device(
    name="text",
    summary="lines of text: JSON, key=value, name: value, CSV, or a single number",
    decoder=TextDecoder,
    framer=Lines,
    options=OPTIONS | {"columns"},
)
