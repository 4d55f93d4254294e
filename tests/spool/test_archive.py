import random
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.model import FieldValue, Group, Observation, Pin, TimeSource
from gateway.sinks.line_protocol import encode, make_series
from gateway.spool import archive as archive_module
from gateway.spool.archive import BEGINNING, Archive, PointKey
from tests.spool.conftest import OpenSpool

OpenArchive = Callable[..., Archive]
NOON = 1_777_636_800_000_000_000
"""2026-05-01 12:00:00 UTC."""


@pytest.fixture
def open_archive(tmp_path: Path) -> Iterator[OpenArchive]:
    opened: list[Archive] = []

    def open_(boot: str = "first boot") -> Archive:
        archive = Archive.open(tmp_path / "archive.db", min_free=0, boot=boot)
        opened.append(archive)
        return archive

    yield open_
    for archive in opened:
        archive.close()


def observation(
    device: str, time_ns: int, source: TimeSource = TimeSource.ARRIVAL, /, **fields: FieldValue
) -> Observation:
    series = make_series("sensor", {"device": device, "room": "a b"})
    return Observation(series, fields, time_ns, time_ns, source)


def query(archive: Archive, statement: str) -> list[tuple[object, ...]]:
    """What another program sees while the gateway runs."""
    with closing(sqlite3.connect(f"file:{archive.path}?mode=ro", uri=True)) as db:
        return db.execute(statement).fetchall()


def export(archive: Archive, limit: int) -> list[bytes]:
    lines: list[bytes] = []
    after = BEGINNING
    while part := archive.export_lines(after, limit):
        lines += [line for _, line in part]
        after = part[-1][0]
        assert archive.count(after) == archive.count() - len(lines)
    return lines


def test_readings_are_there_for_people_and_grafana(open_archive: OpenArchive) -> None:
    archive = open_archive()
    rows = [
        observation("roof", NOON + 500_000_000, temperature=-0.5, state="on"),
        observation("cellar", NOON, TimeSource.DEVICE, temperature=11.0),
    ]
    archive.commit(Group(rows=[archive.pack(row) for row in rows]))
    found = query(archive, "SELECT * FROM readings ORDER BY time, field DESC")
    tags = '{"device": "roof", "room": "a b"}'
    seconds, iso = NOON / 1e9, "2026-05-01T12:00:0"
    assert found == [
        ("sensor", "cellar", "temperature", 11.0, None, seconds, f"{iso}0.000Z", NOON, "device",
         tags.replace("roof", "cellar")),
        ("sensor", "roof", "temperature", -0.5, None, seconds + 0.5, f"{iso}0.500Z",
         NOON + 500_000_000, "arrival", tags),
        ("sensor", "roof", "state", None, "on", seconds + 0.5, f"{iso}0.500Z",
         NOON + 500_000_000, "arrival", tags),
    ]  # fmt: skip
    assert stat.S_IMODE(archive.path.stat().st_mode) == 0o640


def test_the_queries_of_the_documentation_work_and_use_the_key(
    open_archive: OpenArchive,
) -> None:
    archive = open_archive()
    archive.commit(Group(rows=[observation("roof", NOON, temperature=20.0)]))
    documentation = str(archive_module.__doc__)
    statements = [part for part in documentation.split("\n\n") if part.startswith("    SELECT")]
    assert len(statements) == 2
    for statement in statements:
        sql = statement.replace("$__from", str(NOON // 10**6)).replace("$__to", str(NOON // 10**6))
        assert query(archive, sql)[0][-1] == 20.0
        plan = str(query(archive, f"EXPLAIN QUERY PLAN {sql}"))
        assert "SEARCH samples USING PRIMARY KEY (time>" in plan


def test_the_same_point_twice_is_merged_and_the_last_value_wins(
    open_archive: OpenArchive,
) -> None:
    archive = open_archive()
    archive.commit(Group(rows=[observation("d", 1, a=1.0, b=2.0)]))
    archive.commit(Group(rows=[observation("d", 1, b=3.0, c="w"), observation("d", 1, a=1.0)]))
    archive.commit(Group(rows=[observation("d", 1, c="x")]))
    assert query(archive, "SELECT field, value, text FROM readings ORDER BY field") == [
        ("a", 1.0, None),
        ("b", 3.0, None),
        ("c", None, "x"),
    ]
    assert archive.count() == 1
    totals = archive.totals()
    assert (totals.spooled, totals.delivered, totals.pending) == (4, 4, 0)


def test_the_export_is_what_would_have_been_sent_in_order_of_time(
    open_archive: OpenArchive,
) -> None:
    rng = random.Random(1)
    archive = open_archive()
    rows = [
        observation(f"d,{n % 7} =", NOON + n // 3, value=rng.random() * n, text=f'"{n}"\n,=')
        for n in range(500)
    ]
    for start in range(0, 500, 50):
        archive.commit(Group(rows=rng.sample(rows[start : start + 50], 50)))
    archive.close()
    archive = open_archive()
    expected = [encode(row) for row in rows]
    for limit in (1, 7, 10_000):
        lines = export(archive, limit)
        assert sorted(lines) == sorted(expected)
        times = [int(line.rsplit(b" ", 1)[1]) for line in lines]
        assert times == sorted(times)
    assert archive.export_lines(PointKey(NOON + 10**6, 0), 10) == []


def test_text_that_is_no_unicode_is_stored_as_well_as_can_be(open_archive: OpenArchive) -> None:
    archive = open_archive()
    archive.commit(Group(rows=[observation("d", 1, **{"x\udc80": "y\ud800", "z": "ok"})]))
    assert query(archive, "SELECT field, text FROM readings") == [("x?", "y?"), ("z", "ok")]


def test_a_full_disk_refuses_the_commit_and_the_next_one_names_everything_right(
    open_archive: OpenArchive,
) -> None:
    archive = open_archive()
    archive.commit(Group(rows=[observation("known", 1, a=1.0)]))
    with archive._open() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
    group = Group(
        rows=[observation(f"new{n}", n, b=1.0, c="x" * 500) for n in range(100)],
        pins=[Pin("sensor", "c", is_text=True)],
        seen={"s": [(1, b"12345678")]},
    )
    with pytest.raises(StoreError, match="the disk is full"):
        archive.commit(group)
    assert query(archive, "SELECT device, field FROM readings") == [("known", "a")]
    assert archive.totals().spooled == 1
    with archive._open() as db:
        db.execute("PRAGMA max_page_count = 100000")
    archive.commit(Group(rows=[observation("other", 2, d=1.0)]))
    archive.commit(group)
    devices = {device for (device,) in query(archive, "SELECT DISTINCT device FROM readings")}
    assert devices == {"known", "other"} | {f"new{n}" for n in range(100)}
    assert query(archive, "SELECT count(*) FROM readings WHERE field = 'b'") == [(100,)]
    assert archive.totals().spooled == archive.totals().delivered == 102
    assert archive.pins() == group.pins
    assert archive.seen("s") == [(1, b"12345678")]


def test_any_number_of_series_and_fields_is_told_apart(
    open_archive: OpenArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.spool.archive._IDS_MAX", 3)
    archive = open_archive()
    rows = [observation(f"d{n}", n, **{f"f{n % 5}": float(n)}) for n in range(20)]
    archive.commit(Group(rows=rows))
    archive.commit(Group(rows=rows))
    found = query(archive, "SELECT device, field, value FROM readings ORDER BY time_ns")
    assert found == [(f"d{n}", f"f{n % 5}", float(n)) for n in range(20)]


def test_samples_whose_names_are_lost_are_not_given_to_others(
    open_archive: OpenArchive,
) -> None:
    archive = open_archive()
    archive.commit(Group(rows=[observation("a", 1, x=1.0), observation("b", 2, x=2.0)]))
    archive.close()
    with closing(sqlite3.connect(archive.path, isolation_level=None)) as db:
        db.execute("DELETE FROM series WHERE device = 'b'")
        db.execute("UPDATE totals SET value = 7 WHERE name = 'delivered'")
    archive = open_archive()
    assert "1 samples have lost their names" in archive.warnings[0]
    archive.commit(Group(rows=[observation("c", 3, x=3.0)]))
    assert query(archive, "SELECT device, value FROM readings") == [("a", 1.0), ("c", 3.0)]
    totals = archive.totals()
    assert totals.spooled == totals.delivered


def test_a_spool_is_no_archive(open_archive: OpenArchive, open_spool: OpenSpool) -> None:
    archive = open_archive()
    archive.close()
    with pytest.raises(StoreError, match="belongs to another program"):
        open_spool(archive.path)
