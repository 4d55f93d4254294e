"""The archive: observations in one SQLite file, for use without InfluxDB.

It is the store itself, nothing lies in between: an observation is archived when it is committed.
The file can be read at any time, by hand, with Grafana's SQLite plug-in, or by anything that
speaks SQL; `export_lines` sends it on to InfluxDB later.

Tables (beside those that every store has, see `gateway/spool/__init__.py`):

    series(id, measurement, device, tags, prefix)          tags is a JSON object with all tags;
                                                           prefix: both as line protocol writes them
    fields(id, name)
    samples(time, series, field, value, text, time_source)
        time         nanoseconds since 1970, UTC
        value, text  a number is in value, text is in text, the other one is NULL
        time_source  0: the time of arrival, 1: the device's own

    held, undated(boot, arrived, series, field, time, value, text, time_source)
        Readings without a time, which are in no export. `held` ones arrived while the clock was not
        trusted, and become samples once it is. `undated` ones, of a run of the machine in which it
        never was, stay here: dead letters.
        boot         which run of the machine: /proc/sys/kernel/random/boot_id
        arrived      nanoseconds since its start
        time         the same, or the device's own time, which was not judged yet

    readings             a view for people: measurement, device, field, value, text,
                         time (seconds since 1970), iso_time, time_ns, time_source, tags

The temperatures of one day, and a time series for Grafana (which knows `$__from` and `$__to` in
milliseconds; `time` is to be formatted as time):

    SELECT iso_time, device, value FROM readings
    WHERE field = 'temperature' AND time_ns >= strftime('%s', '2026-05-01') * 1000000000
      AND time_ns < strftime('%s', '2026-05-02') * 1000000000;

    SELECT time, device AS metric, value FROM readings
    WHERE field = 'temperature' AND time_ns BETWEEN $__from * 1000000 AND $__to * 1000000
    ORDER BY time_ns;

Restrict `time_ns`, not `time`, in a WHERE: only the integer is the key.

Strategy: samples lie in the order of time, so that a commit touches the last page or two. With
the series first, every field of every device has a page of its own at its end: 18 times the bytes
per commit at 20 devices of 4 fields (439 kB against 25 kB measured), which wears out SD cards.
The price is that a query reads all series of its time range: 0.1 s for 700,000 samples of a day on
a PC. The same point twice is merged field by field and the last one wins, as in InfluxDB. Limits:
nothing is ever deleted.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, Self

from gateway.errors import StoreError
from gateway.model import FieldValue, Group, Observation, Series, TimeSource
from gateway.sinks.line_protocol import encode
from gateway.spool import archive_held
from gateway.spool.archive_held import TIME_SOURCES, Held, Sample, put_held, put_samples
from gateway.spool.counts import Counts, add, missing_lines
from gateway.spool.database import Database, put_shared, storable

_IDS_MAX = 20_000
"""Identifiers remembered; beyond, they are looked up anew."""

_POINT_BYTES = 100
_FIELD_BYTES = 32


class PointKey(NamedTuple):
    """A point's place in the order of export."""

    time_ns: int
    series: int


BEGINNING = PointKey(-(2**63), 0)


class Archive(Database):
    """The `Store[Observation]` for use without InfluxDB."""

    schema = """
    CREATE TABLE series (
        id INTEGER PRIMARY KEY, measurement TEXT NOT NULL, device TEXT NOT NULL,
        tags TEXT NOT NULL, prefix TEXT NOT NULL UNIQUE
    );
    CREATE TABLE fields (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE samples (
        time INTEGER, series INTEGER, field INTEGER, value REAL, text TEXT,
        time_source INTEGER NOT NULL, PRIMARY KEY (time, series, field)
    ) WITHOUT ROWID;
    CREATE VIEW readings AS SELECT
        series.measurement, series.device, fields.name AS field, samples.value, samples.text,
        samples.time / 1e9 AS time,
        strftime('%Y-%m-%dT%H:%M:%fZ', samples.time / 1e9, 'unixepoch') AS iso_time,
        samples.time AS time_ns,
        CASE samples.time_source WHEN 1 THEN 'device' ELSE 'arrival' END AS time_source,
        series.tags
        FROM samples JOIN series ON series.id = samples.series JOIN fields
        ON fields.id = samples.field;
    CREATE TABLE held (
        boot TEXT, arrived INTEGER, series INTEGER, field INTEGER, time INTEGER NOT NULL,
        value REAL, text TEXT, time_source INTEGER NOT NULL,
        PRIMARY KEY (boot, arrived, series, field)
    ) WITHOUT ROWID;
    CREATE TABLE undated (
        boot TEXT, arrived INTEGER, series INTEGER, field INTEGER, time INTEGER NOT NULL,
        value REAL, text TEXT, time_source INTEGER NOT NULL,
        PRIMARY KEY (boot, arrived, series, field)
    ) WITHOUT ROWID;
    """
    schema_version = 2
    upgrades = {1: schema[schema.index("CREATE TABLE held") :]}  # noqa: RUF012 -- as above
    application_id = 0x53474152  # "SGAR"
    file_mode = 0o640
    """The group may read: Grafana runs as another user."""

    def __init__(self, path: Path, *, min_free: int, boot: str = "") -> None:
        self._boot = boot
        self._series_ids: dict[str, int] = {}
        self._field_ids: dict[str, int] = {}
        super().__init__(path, max_bytes=None, min_free=min_free)

    @classmethod
    def open(cls, path: Path, *, min_free: int, boot: str = "") -> Self:
        """Blocking. Raises StoreError; a damaged file is salvaged, see `warnings`.

        Args:
            path: the file, made where it is missing.
            min_free: bytes of the disk that are left free.
            boot: which run of the machine this is.
        """
        return cls(path, min_free=min_free, boot=boot)

    def pack(self, observation: Observation) -> Observation:
        return observation

    def size(self, row: Observation) -> int:
        texts = sum(len(value) for value in row.fields.values() if isinstance(value, str))
        return _POINT_BYTES + _FIELD_BYTES * len(row.fields) + texts

    def commit(self, group: Group[Observation]) -> None:
        """On return the group is on disk. Raises StoreError: nothing of it is; try again."""
        try:
            with self._transaction() as (db, counts):
                rows = [*group.rows, *group.droppable]  # nothing is ever dropped here
                waits = [*group.held, *group.held_droppable]
                put_samples(db, list(self._samples(db, rows)))
                put_held(db, self._boot, list(self._held_samples(db, waits)))
                put_shared(db, group)
                add(counts, "spooled", len(rows) + len(waits))
                add(counts, "delivered", len(rows))
                add(counts, "pending", len(waits))
                add(counts, "held", len(waits))
        except StoreError:
            self._forget_ids()  # some were given out by the transaction that failed
            raise

    def release(self, offset_ns: int) -> None:
        """Give some held points their time; those of earlier runs of the machine are dead."""
        with self._transaction() as (db, counts):
            released = archive_held.release(db, self._boot, offset_ns)
            dead = 0 if released else archive_held.give_up(db, self._boot)
            _withdraw(db, counts, released, dead)

    def count(self, after: PointKey = BEGINNING) -> int:
        """Points that follow `after`; reads them all."""
        with self._open() as db:
            found = db.execute(
                "SELECT count(*) FROM (SELECT DISTINCT time, series FROM samples "
                "WHERE (time, series) > (?, ?))",
                after,
            )
            return int(found.fetchone()[0])

    def export_lines(self, after: PointKey, limit: int) -> list[tuple[PointKey, bytes]]:
        """The points that follow `after` in order of time, as line protocol; none at the end.

        Begin with `BEGINNING`, go on with the last key.
        """
        with self._open() as db:
            samples = db.execute(
                "SELECT time, series, prefix, name, "
                "coalesce(CAST(text AS TEXT), CAST(value AS REAL)) AS stored FROM samples "
                "CROSS JOIN series ON series.id = series CROSS JOIN fields ON fields.id = field "
                "WHERE (time, series) > (?, ?) AND stored IS NOT NULL "
                "ORDER BY time, series, field",
                after,
            )
            points = groupby(samples, key=itemgetter(0, 1, 2))
            return [
                (PointKey(time_ns, series), _line(prefix, time_ns, {f: v for *_, f, v in fields}))
                for (time_ns, series, prefix), fields in islice(points, limit)
            ]

    def _samples(
        self, db: sqlite3.Connection, observations: Iterable[Observation]
    ) -> Iterator[Sample]:
        for series, fields, time_ns, _, time_source in observations:
            series_id = self._series_id(db, series)
            source = TIME_SOURCES.index(time_source)
            for name, value in fields.items():
                number, text = (None, storable(value)) if isinstance(value, str) else (value, None)
                yield Sample(time_ns, series_id, self._field_id(db, name), number, text, source)

    def _held_samples(
        self, db: sqlite3.Connection, observations: Iterable[Observation]
    ) -> Iterator[Held]:
        for observation in observations:
            for stated, series, field, value, text, source in self._samples(db, [observation]):
                yield Held(observation.received_at_ns, series, field, stated, value, text, source)

    def _series_id(self, db: sqlite3.Connection, series: Series) -> int:
        known = self._series_ids.get(series.prefix)
        if known is not None:
            return known
        tags = dict(series.tags)
        row = (series.measurement, tags.get("device", ""), json.dumps(tags), series.prefix)
        db.execute(
            "INSERT OR IGNORE INTO series (measurement, device, tags, prefix) VALUES (?, ?, ?, ?)",
            row,
        )
        found = "SELECT id FROM series WHERE prefix = ?"
        return _remember(self._series_ids, series.prefix, db.execute(found, row[3:]).fetchone()[0])

    def _field_id(self, db: sqlite3.Connection, name: str) -> int:
        known = self._field_ids.get(name)
        if known is not None:
            return known
        db.execute("INSERT OR IGNORE INTO fields (name) VALUES (?)", (storable(name),))
        found = db.execute("SELECT id FROM fields WHERE name = ?", (storable(name),))
        return _remember(self._field_ids, name, found.fetchone()[0])

    def _forget_ids(self) -> None:
        self._series_ids.clear()
        self._field_ids.clear()

    def _repair(self, db: sqlite3.Connection, counts: Counts) -> str:
        self._forget_ids()
        orphans = sum(  # whose numbers would be given to others
            db.execute(
                f"DELETE FROM {table} WHERE series NOT IN (SELECT id FROM series) "  # noqa: S608
                "OR field NOT IN (SELECT id FROM fields)"
            ).rowcount
            for table in ("samples", "held", "undated")
        )
        for name, count in counts.items():
            counts[name] = max(count, 0)
        held = archive_held.count(db)
        lost = max(counts.get("pending", 0) - held, 0)
        counts["pending"] = counts["held"] = held
        add(counts, "corrupt", lost)
        missing = missing_lines(counts)
        add(counts, "delivered" if missing > 0 else "spooled", abs(missing))
        return f"what can be read is kept; {orphans} samples have lost their names"


def _withdraw(db: sqlite3.Connection, counts: Counts, released: int, dead: int) -> None:
    """Points have left `held`; when the last one has, none waits, whatever was counted."""
    is_left = db.execute("SELECT EXISTS (SELECT 1 FROM held)").fetchone()[0]
    held = max(counts.get("held", 0) - released - dead, 1) if is_left else 0
    counts["held"] = counts["pending"] = held
    add(counts, "dead", dead)
    add(counts, "delivered", missing_lines(counts))


def _remember(ids: dict[str, int], name: str, number: int) -> int:
    if len(ids) >= _IDS_MAX:
        ids.clear()
    ids[name] = number
    return number


def _line(prefix: str, time_ns: int, fields: dict[str, FieldValue]) -> bytes:
    series = Series("", (), prefix)  # the prefix is all that line protocol needs
    return encode(Observation(series, fields, time_ns, time_ns, TimeSource.ARRIVAL))
