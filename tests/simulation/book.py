"""What was said, what became of it, and whether that is what must become of it.

Every reading has a number, a value that is a function of it, and the points that it has become on
disk. The book is asked at each instant at which something is promised:

    committed      each line is the point of a reading that arrived, its fields and time exact, and
                   no reading becomes more points than it may
    acknowledged   the message's point is on disk, or the gateway counted it shed
    gone           what leaves the spool is in InfluxDB as it was committed, or dead for a reason
    stored         InfluxDB gets nothing that was not committed
    at the end     InfluxDB has every point that was committed, and no other

A message may become another point only where the broker, set back by a crash, sent it as a new one.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.model import DeadLetter, Group
from simulators.influxdb import Influx
from simulators.line_protocol import parse
from tests.simulation.machine import Machine
from tests.simulation.spool import HeldRow, Row
from tests.simulation.world import SECOND_NS, World

NEIGHBOURS_NS = 20_000_000
"""Points that would meet at one nanosecond move on, after a setback of the clock by up to 256 us
each; what is read at once are a few dozen."""

FUTURE_NS = 60 * SECOND_NS
PAST_NS = 7 * 86_400 * SECOND_NS
"""A device time outside of these around its arrival is not believed."""

DATES_NS = 30 * 366 * 86_400 * SECOND_NS
"""What is below is no date but a time since the machine's start."""

PointKey = tuple[str, int]


@dataclass(eq=False, slots=True)
class Reading:
    """One thing that a device said."""

    number: int
    source: str
    series: str
    """`sensor,device=a`; empty where it is nothing to be stored."""
    fields: str
    """As line protocol has them."""
    device_ns: int | None = None
    """When the device says that it was."""
    poison: bool = False
    """InfluxDB will never take it."""
    arrivals: list[int] = field(default_factory=list)
    """What the gateway's clock showed when it was handed over: more than once if redelivered."""
    sent_as_new: int = 0
    """How often the broker gave it a new identifier; 1 for what comes from a port."""
    points: list[int] = field(default_factory=list)
    """The times of the points that it became."""
    acknowledged: bool = False

    def __str__(self) -> str:
        return f"reading {self.number} of {self.series or 'nothing'} [{self.fields}]"

    def takes(self, time_ns: int) -> bool:
        """Whether the time is one that the reading's point may have."""
        return any(
            0 <= time_ns - time_of(self.device_ns, arrival) < NEIGHBOURS_NS
            for arrival in self.arrivals
        )


def time_of(device_ns: int | None, arrival_ns: int) -> int:
    """The device's time where it is to be believed; a line that is held has that of its arrival."""
    if device_ns is None or not -FUTURE_NS <= arrival_ns - device_ns <= PAST_NS:
        return arrival_ns
    return device_ns


class Book:
    """All readings and all points."""

    def __init__(self, world: World, influx: Influx, machine: Machine) -> None:
        self._world = world
        self._influx = influx
        self._machine = machine
        self._by_content: defaultdict[tuple[str, str], list[Reading]] = defaultdict(list)
        self._by_arrival: defaultdict[str, list[tuple[int, int, Reading]]] = defaultdict(list)
        """Of devices that say the same again and again: arrival, number, reading."""
        self._lines: dict[bytes, PointKey] = {}
        """Every line that was ever committed."""
        self._points: dict[PointKey, str] = {}
        self._gone: set[PointKey] = set()
        self._dead: set[PointKey] = set()
        self._evicted: set[PointKey] = set()
        self._poisoned: set[str] = set()
        self.evictions = 0
        self.may_evict_old = False
        self.dead_undated = 0
        self.readings = 0
        self.arrivals = 0
        self.acknowledged = 0
        self.not_stored: defaultdict[str, int] = defaultdict(int)
        """Acknowledged readings that are on no disk, by source: they must be counted shed."""
        self.last_not_stored: Reading | None = None

    def open(self, reading: Reading) -> Reading:
        """Enter a new reading."""
        self.readings += 1
        if reading.poison:
            self._poisoned.add(reading.series)
        if reading.series:
            self._by_content[reading.series, reading.fields].append(reading)
        return reading

    def arrived(self, reading: Reading, now_ns: int) -> None:
        """The reading is handed to the gateway, whole, at what its clock calls now."""
        self.arrivals += 1
        reading.arrivals.append(now_ns)
        entry = (now_ns, reading.number, reading)
        arrivals = self._by_arrival[reading.series]
        arrivals.insert(bisect_left(arrivals, entry[:2]), entry)

    def committed(self, group: Group[bytes]) -> None:
        for line in (*group.rows, *group.droppable):
            series, fields, stamp = line.decode().split(" ")
            self._enter(line, (series, int(stamp)), fields, is_new=True)
        for line in (*group.held, *group.held_droppable):
            series, fields, *_, stamp = line.decode().split(" ")
            if int(stamp) >= DATES_NS:
                self._violate(f"held with a date: {line!r}")
            if not series.startswith("units,"):
                self._claim((series, int(stamp)), fields)

    def released(self, lines: Sequence[tuple[bytes, bytes]], start_ns: int) -> None:
        """Held lines get their time, by the date of the machine's start."""
        if start_ns not in self._machine.start_dates:
            self._violate(f"the machine did not start at {start_ns}")
        for held, line in lines:
            series, fields, *stated, stamp = held.decode().split(" ")
            time_ns = time_of(int(stated[0]) if stated else None, int(stamp) + start_ns)
            if line != f"{series} {fields} {time_ns}".encode():
                self._violate(f"{held!r} becomes {line!r}, started at {start_ns}")
            self._enter(line, (series, time_ns), fields, is_new=False)

    def buried(self, row: HeldRow) -> None:
        """Held lines are dead: the machine was started again."""
        self.dead_undated += len(row.lines)
        if row.boot == self._machine.boot:
            self._violate(f"dead though the machine still runs, such as {row.lines[0]!r}")

    def acknowledged_to_broker(self, reading: Reading) -> None:
        if reading.acknowledged:
            return
        reading.acknowledged = True
        self.acknowledged += 1
        if reading.series and not reading.points:
            self.not_stored[reading.source] += 1
            self.last_not_stored = reading

    def sent(self, lines: Sequence[bytes]) -> None:
        """InfluxDB is about to read these lines."""
        for line in lines:
            if line not in self._lines:
                self._violate(f"InfluxDB gets a line that was never committed: {line!r}")

    def settled(self, lines: Sequence[bytes], dead: Sequence[DeadLetter]) -> None:
        """The lines leave the spool, some of them as dead letters."""
        letters = {letter.line for letter in dead}
        for line in lines:
            key = self._lines[line]
            self._gone.add(key)
            if line in letters:
                self._dead.add(key)
                if key[0] not in self._poisoned:
                    self._violate(f"a good line is among the dead letters: {line!r}")
            elif self._influx.points.get(key) is None:
                self._violate(f"a line leaves the spool that InfluxDB does not have: {line!r}")

    def evicted(self, row: Row | HeldRow, too_old: bool) -> None:  # noqa: FBT001 -- a callback's
        """The row leaves the spool because it is full, or the row is old."""
        self.evictions += len(row.lines)
        self._evicted.update(self._lines[line] for line in row.lines if line in self._lines)
        if not (row.droppable or (too_old and self.may_evict_old)):
            self._violate(f"evicted without need, such as {row.lines[0]!r}")

    def close(self, pending: Sequence[bytes]) -> None:
        """All is drained: what was committed is in InfluxDB, and nothing else is."""
        stored = self._influx.points
        if pending:
            self._violate(f"{len(pending)} lines are still in the spool, such as {pending[0]!r}")
        for line, key in self._lines.items():
            if key in self._dead or (key in self._evicted and key not in stored):
                continue
            fields = parse(line.decode(), 1, self._influx.version).fields
            if key not in stored:
                self._violate(f"committed and not in InfluxDB: {line!r}")
            elif stored[key] != fields:
                self._violate(f"in InfluxDB with other values: {line!r} as {stored[key]}")
        for key in stored:
            if key not in self._points and not key[0].startswith("poison,"):
                self._violate(f"in InfluxDB and never committed: {key}")

    def points(self) -> int:
        return len(self._points)

    def dead(self) -> int:
        return len(self._dead) + self.dead_undated

    def _enter(self, line: bytes, key: PointKey, fields: str, *, is_new: bool) -> None:
        """A line is on disk, and will be sent; a new one is the point of a reading."""
        known = self._points.get(key)
        if known not in (None, fields):
            self._violate(f"the point {key} changes from [{known}] to [{fields}]")
        self._lines[line] = key
        self._points[key] = fields
        if is_new and known is None and not key[0].startswith("units,"):
            self._claim(key, fields)

    def _claim(self, key: PointKey, fields: str) -> None:
        """Find the reading that the point belongs to."""
        series, time_ns = key
        candidates = self._by_content.get((series, fields), [])
        if len(candidates) > 2:  # says the same again and again
            candidates = [r for r in self._arrived_about(series, time_ns) if r.fields == fields]
        fitting = [reading for reading in candidates if reading.takes(time_ns)]
        reading = next((r for r in fitting if len(r.points) < r.sent_as_new), None)
        if reading is not None:
            reading.points.append(time_ns)
        elif fitting:
            self._violate(f"{fitting[0]} becomes a second point: {_shown(fitting[0], time_ns)}")
        elif candidates:
            self._violate(
                f"{candidates[0]} gets a time of nobody: {_shown(candidates[0], time_ns)}"
            )
        else:
            self._violate(f"a point that nobody said: {series} {fields} {time_ns}")

    def _arrived_about(self, series: str, time_ns: int) -> list[Reading]:
        arrivals = self._by_arrival[series]
        first = bisect_left(arrivals, (time_ns - NEIGHBOURS_NS,))
        last = bisect_left(arrivals, (time_ns + 1,))
        return [reading for *_, reading in arrivals[first:last]]

    def _violate(self, what: str) -> None:
        self._world.violate(what)


def _shown(reading: Reading, time_ns: int) -> str:
    offsets = ", ".join(f"{(time_ns - arrival) / SECOND_NS:+.9f}" for arrival in reading.arrivals)
    return f"at {time_ns}, from its arrivals {offsets} s, points before {reading.points}"


def fields_text(fields: Mapping[str, float]) -> str:
    """Fields as line protocol writes them, every number a float."""
    return ",".join(f"{name}={float(value)!r}" for name, value in fields.items())
