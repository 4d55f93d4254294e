"""Samples of the archive that wait for their time, and how they get it. Tables: `archive`.

Strategy: samples of a point stay together, and a part of them moves in one transaction, so that
commits get in between, and a crash at any instant leaves every point in exactly one table.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gateway.model import TimeSource
from gateway.times import time_of

RELEASED_MAX = 10_000
"""Samples in one transaction."""

TIME_SOURCES = (TimeSource.ARRIVAL, TimeSource.DEVICE)
"""The number in the file is the place in this list: append only."""

_ARRIVAL, _DEVICE = map(TIME_SOURCES.index, (TimeSource.ARRIVAL, TimeSource.DEVICE))


class Sample(NamedTuple):
    """A field of a point, as it stands in the table `samples`."""

    time: int
    series: int
    field: int
    value: float | None
    text: str | None
    time_source: int


class Held(NamedTuple):
    """A field of a point without a time, as it stands in `held` and `undated` behind `boot`."""

    arrived: int
    series: int
    field: int
    time: int
    value: float | None
    text: str | None
    time_source: int


def put_samples(db: sqlite3.Connection, samples: Iterable[Sample]) -> None:
    """The last value of a field wins, as in InfluxDB."""
    db.executemany(
        "INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (time, series, field) DO UPDATE SET value = excluded.value, "
        "text = excluded.text, time_source = excluded.time_source",
        samples,
    )


def put_held(db: sqlite3.Connection, boot: str, held: Iterable[Held]) -> None:
    """Keep them in `held`."""
    _put(db, "held", boot, held)


def release(db: sqlite3.Connection, boot: str, offset_ns: int) -> int:
    """Move some of this run's samples to `samples`; how many points these were."""
    taken = _take(db, boot)
    put_samples(db, (_dated(held, offset_ns) for held in taken))
    return _points(taken)


def give_up(db: sqlite3.Connection, boot: str) -> int:
    """Move some samples of other runs to `undated`; how many points these were."""
    found = db.execute("SELECT boot FROM held WHERE boot <> ? LIMIT 1", (boot,)).fetchone()
    if found is None:
        return 0
    taken = _take(db, found[0])
    _put(db, "undated", found[0], taken)
    return _points(taken)


def count(db: sqlite3.Connection) -> int:
    """Points that are held."""
    counted = db.execute("SELECT count(*) FROM (SELECT DISTINCT boot, arrived, series FROM held)")
    return int(counted.fetchone()[0])


def _put(db: sqlite3.Connection, table: str, boot: str, held: Iterable[Held]) -> None:
    db.executemany(
        f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        ((boot, *sample) for sample in held),
    )


def _take(db: sqlite3.Connection, boot: str) -> Sequence[Held]:
    """Remove the first samples of a run, with all that belong to their points."""
    rows = db.execute(
        "SELECT arrived, series, field, time, value, text, time_source FROM held "
        "WHERE boot = ? ORDER BY arrived, series, field LIMIT ?",
        (boot, RELEASED_MAX + 1),
    )
    taken = [Held(*row) for row in rows]
    if len(taken) > RELEASED_MAX:  # the last point may not be whole
        last = _point(taken[-1])
        taken = [held for held in taken if _point(held) != last]
    if taken:
        db.execute(
            "DELETE FROM held WHERE boot = ? AND (arrived, series) <= (?, ?)",
            (boot, *_point(taken[-1])),
        )
    return taken


def _point(held: Held) -> tuple[int, int]:
    return held.arrived, held.series


def _points(held: Sequence[Held]) -> int:
    return len(set(map(_point, held)))


def _dated(held: Held, offset_ns: int) -> Sample:
    arrived, series, field, stated, value, text, source = held
    received_at_ns = arrived + offset_ns
    time_ns = time_of(stated if source == _DEVICE else None, received_at_ns)
    is_device_s = source == _DEVICE and time_ns == stated
    return Sample(time_ns, series, field, value, text, _DEVICE if is_device_s else _ARRIVAL)
