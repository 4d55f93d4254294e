"""What each generation of InfluxDB stores of a batch with a bad line, and how it says so.

* version 1  stores the good lines (400); but a type conflict within a batch that opens a new shard
             (seven days of data) loses all lines of that shard, once. Conflicts and points that
             are too old hide what cannot be parsed
* version 2  stores nothing where a line cannot be parsed (400), the other lines where a type
             conflicts or a point is too old (422)
* version 3  stores the good lines and numbers the bad ones (400); without `accept_partial` nothing,
             and names the first. Tables have a limit of columns (422)
"""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

from simulators.line_protocol import LineError, Point, Value, parse

V1, V2, V3 = 1, 2, 3
SHARD_NS = 7 * 86_400 * 10**9
BAD_LINES_MAX = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """What a database takes; 0: anything."""

    oldest_ns: int = 0
    """Versions 1 and 2: the end of the retention period."""
    columns: int = 0
    """Version 3: of a table, time and tags included."""


class Said(NamedTuple):
    """An answer: words for the version's usual document, or another document, or plain text."""

    status: int
    words: str = ""
    document: dict[str, object] | None = None
    is_plain: bool = False


class Line(NamedTuple):
    """A line that can be read."""

    number: int
    text: str
    point: Point


class BadLine(NamedTuple):
    number: int
    text: str
    reason: str


class Storage:
    """The points of one server; its databases are not told apart."""

    def __init__(self, version: int, limits: Limits) -> None:
        self.points: dict[tuple[str, int], dict[str, Value]] = {}
        self._version = version
        self._limits = limits
        self._types: dict[int, dict[tuple[str, str], str]] = {}
        """Shard -> (measurement, field) -> type; version 3 has a single one, for ever."""
        self._columns: dict[str, set[str]] = {}

    def write(self, text: str, unit_ns: int, *, partial: bool = True) -> Said:
        lines, bad = _read(text, unit_ns, self._version)
        match self._version:
            case 1:
                return self._write_v1(lines, bad)
            case 2:
                return self._write_v2(lines, bad)
            case _ if not text.strip():
                return Said(400, "incoming write was empty")
            case _:
                return self._write_v3(lines, bad, partial=partial)

    def _write_v1(self, lines: list[Line], bad: list[BadLine]) -> Said:
        recent, dropped = self._recent(lines)
        lost = self._shards_in_conflict(recent)
        conflicts = self._store(line for line in recent if self._shard(line.point) not in lost)
        if lost:
            return Said(400, "field type conflict")
        if dropped := conflicts or dropped:
            return Said(400, _partial(dropped))
        if bad:
            unable = _unable_to_parse(bad)
            return Said(400, f"partial write: {unable} dropped=0" if lines else unable)
        return Said(204)

    def _write_v2(self, lines: list[Line], bad: list[BadLine]) -> Said:
        if bad:
            return Said(400, _unable_to_parse(bad))
        recent, dropped = self._recent(lines)
        dropped = self._store(recent) or dropped
        if dropped:
            return Said(422, f"failure writing points to database: {_partial(dropped)}")
        return Said(204)

    def _write_v3(self, lines: list[Line], bad: list[BadLine], *, partial: bool) -> Said:
        if not partial:
            if bad:
                return Said(400, document=_first(bad))
            points, types = deepcopy(self.points), deepcopy(self._types)
            if conflicts := self._store(lines):
                self.points, self._types = points, types
                return Said(400, document=_first(conflicts))
            return Said(204)
        wide = [line for line in lines if self._is_too_wide(line.point)]
        bad += self._store(line for line in lines if line not in wide)
        if bad:
            return Said(400, document=_all(bad))
        if wide:
            most = self._limits.columns
            words = f"Update to schema would exceed number of columns per table limit of {most}"
            return Said(422, words, is_plain=True)
        return Said(204)

    def _store(self, lines: Iterable[Line]) -> list[BadLine]:
        """What can be stored is; the rest is returned."""
        bad = []
        for number, text, point in lines:
            if problem := _reserved(point) or self._conflict(point):
                bad.append(BadLine(number, text, problem))
            else:
                self.points.setdefault((point.series, point.time_ns), {}).update(point.fields)
        return bad

    def _recent(self, lines: list[Line]) -> tuple[list[Line], list[BadLine]]:
        """The lines within the retention period, and complaints about the others."""
        oldest_ns = self._limits.oldest_ns or -(1 << 63)
        recent = [line for line in lines if line.point.time_ns >= oldest_ns]
        words = "points beyond retention policy"
        old = [BadLine(n, text, words) for n, text, point in lines if point.time_ns < oldest_ns]
        return recent, old

    def _shards_in_conflict(self, lines: list[Line]) -> set[int]:
        """Version 1's new shards in which two lines of the batch disagree about a type."""
        lost = set()
        for shard in {self._shard(line.point) for line in lines} - self._types.keys():
            inside = [line.point for line in lines if self._shard(line.point) == shard]
            if any([self._conflict(point) for point in inside]):  # noqa: C419 - each is remembered
                lost.add(shard)
        return lost

    def _shard(self, point: Point) -> int:
        return 0 if self._version == V3 else point.time_ns // SHARD_NS

    def _conflict(self, point: Point) -> str:
        """Why the line's types cannot be stored; else they are remembered."""
        types = self._types.setdefault(self._shard(point), {})
        for name, value in point.fields.items():
            known = types.get((point.measurement, name))
            if known and known != _type(value):
                return (
                    f'field type conflict: input field "{name}" on measurement'
                    f' "{point.measurement}" is type {_type(value)}, already exists as type {known}'
                )
        for name, value in point.fields.items():
            types[point.measurement, name] = _type(value)
        return ""

    def _is_too_wide(self, point: Point) -> bool:
        known = self._columns.setdefault(point.measurement, {"time"})
        columns = known | set(point.tags) | set(point.fields)
        if self._limits.columns and len(columns) > self._limits.columns:
            return True
        known |= columns
        return False


def _read(text: str, unit_ns: int, version: int) -> tuple[list[Line], list[BadLine]]:
    lines, bad = [], []
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            lines.append(Line(number, line, parse(line, unit_ns, version)))
        except LineError as error:
            bad.append(BadLine(number, line, str(error)))
    return lines, bad


def _reserved(point: Point) -> str:
    if "time" not in {*point.tags, *point.fields}:
        return ""
    return f'invalid tag key: input tag "time" on measurement "{point.measurement}" is invalid'


def _partial(dropped: list[BadLine]) -> str:
    return f"partial write: {dropped[0].reason} dropped={len(dropped)}"


def _unable_to_parse(bad: list[BadLine]) -> str:
    return "\n".join(f"unable to parse '{line.text}': {line.reason}" for line in bad)


def _first(bad: list[BadLine]) -> dict[str, object]:
    return {"error": "parsing failed for write_lp endpoint", "data": _account(min(bad))}


def _all(bad: list[BadLine]) -> dict[str, object]:
    found = [_account(line) for line in sorted(bad)[:BAD_LINES_MAX]]
    return {"error": "partial write of line protocol occurred", "data": found}


def _account(line: BadLine) -> dict[str, object]:
    return {
        "original_line": line.text,
        "line_number": line.number,
        "error_message": line.reason,
    }


def _type(value: Value) -> str:
    return {float: "float", int: "integer", bool: "boolean", str: "string"}[type(value)]
