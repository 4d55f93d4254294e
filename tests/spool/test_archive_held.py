"""The archive while there is no time of day, and after: every point once, in the right place."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.model import FieldValue, Group, Observation, TimeSource
from gateway.sinks.line_protocol import make_series
from gateway.spool import archive_held
from gateway.spool.archive import BEGINNING, Archive
from gateway.times import FUTURE_MAX_NS, PAST_MAX_NS

SECOND = 10**9
NOON = 1_800_000_000 * SECOND
"""The date of the machine's start."""

VERSION_1 = Path(__file__).parent / "archive-1.sql"


def opened(folder: Path, boot: str = "first boot") -> Archive:
    return Archive.open(folder / "archive.db", min_free=0, boot=boot)


def held(
    device: str, arrived_ns: int, stated_ns: int | None = None, /, **fields: FieldValue
) -> Observation:
    series = make_series("sensor", {"device": device})
    if stated_ns is None:
        return Observation(series, fields, arrived_ns, arrived_ns, TimeSource.ARRIVAL)
    return Observation(series, fields, stated_ns, arrived_ns, TimeSource.DEVICE)


def release_all(archive: Archive, offset_ns: int = NOON) -> int:
    """In how many transactions it was done."""
    times = 0
    while archive.held():
        archive.release(offset_ns)
        times += 1
    return times


def readings(archive: Archive) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(archive.path)) as db:
        return db.execute(
            "SELECT device, field, coalesce(text, value), time_ns, time_source FROM readings "
            "ORDER BY time_ns, device, field"
        ).fetchall()


def undated(archive: Archive) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(archive.path)) as db:
        return db.execute(
            "SELECT boot, arrived, device, name, time, coalesce(text, value), time_source "
            "FROM undated JOIN series ON series.id = series JOIN fields ON fields.id = field "
            "ORDER BY arrived, device, name"
        ).fetchall()


def check_balance(archive: Archive) -> None:
    totals = archive.totals()
    assert totals.spooled == totals.delivered + totals.dead + totals.corrupt + totals.pending
    assert totals.pending == archive.held()


def test_what_arrived_without_a_time_gets_it_and_is_in_no_export_before(tmp_path: Path) -> None:
    archive = opened(tmp_path)
    archive.commit(Group(rows=[held("a", NOON - 5, t=1.0)], held=[held("a", 7, t=2.0, s="x y 3")]))
    assert readings(archive) == [("a", "t", 1.0, NOON - 5, "arrival")]
    assert archive.count() == len(archive.export_lines(BEGINNING, 10)) == 1
    assert (archive.held(), archive.totals().pending, archive.totals().delivered) == (1, 1, 1)
    check_balance(archive)
    archive.release(NOON)
    assert readings(archive)[1:] == [
        ("a", "s", "x y 3", NOON + 7, "arrival"),
        ("a", "t", 2.0, NOON + 7, "arrival"),
    ]
    assert (archive.held(), archive.totals().pending, archive.totals().delivered) == (0, 0, 2)
    check_balance(archive)
    archive.close()


def test_a_device_s_time_is_judged_by_the_date_of_its_arrival(tmp_path: Path) -> None:
    archive = opened(tmp_path)
    arrived = 7 * SECOND
    date = NOON + arrived
    stated = {
        "right": date - SECOND,
        "oldest": date - PAST_MAX_NS,
        "too_old": date - PAST_MAX_NS - 1,
        "earliest": date + FUTURE_MAX_NS,
        "too_early": date + FUTURE_MAX_NS + 1,
    }
    archive.commit(Group(held=[held(name, arrived, at, t=1.0) for name, at in stated.items()]))
    release_all(archive)
    found = {device: (time, source) for device, _, _, time, source in readings(archive)}
    believed = ("right", "oldest", "earliest")
    assert found == {
        name: (at, "device") if name in believed else (date, "arrival")
        for name, at in stated.items()
    }
    archive.close()


def test_what_an_earlier_run_of_the_machine_left_is_dead_and_kept(tmp_path: Path) -> None:
    archive = opened(tmp_path)
    archive.commit(Group(held=[held("a", 7, t=1.0, s="on"), held("b", 8, NOON, t=2.0)]))
    archive.close()
    archive = opened(tmp_path, boot="second boot")
    archive.commit(Group(held=[held("c", 9, t=3.0)]))
    assert archive.held() == 3
    release_all(archive)
    assert readings(archive) == [("c", "t", 3.0, NOON + 9, "arrival")]
    assert undated(archive) == [
        ("first boot", 7, "a", "s", 7, "on", 0),
        ("first boot", 7, "a", "t", 7, 1.0, 0),
        ("first boot", 8, "b", "t", NOON, 2.0, 1),
    ]
    assert (archive.totals().dead, archive.totals().delivered, archive.held()) == (2, 1, 0)
    check_balance(archive)
    archive.close()


def test_a_restart_within_the_same_run_changes_nothing(tmp_path: Path) -> None:
    archive = opened(tmp_path)
    archive.commit(Group(held=[held("a", 7, t=1.0)]))
    archive.close()
    archive = opened(tmp_path)
    assert archive.held() == 1
    archive.commit(Group(held=[held("a", 8, t=2.0)]))
    release_all(archive)
    assert [time for *_, time, _ in readings(archive)] == [NOON + 7, NOON + 8]
    check_balance(archive)
    archive.close()


@pytest.mark.parametrize("seed", range(5))
def test_in_parts_with_commits_and_crashes_between_every_point_arrives_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(archive_held, "RELEASED_MAX", 20)
    rng = random.Random(seed)
    archive = opened(tmp_path)
    expected: dict[tuple[object, ...], float] = {}
    for number in range(300):
        fields = {f"f{n}": rng.random() for n in range(rng.randrange(1, 15))}
        device = f"d{rng.randrange(4)}"
        archive.commit(Group(held=[held(device, 1000 + number, **fields)]))
        expected |= {(device, name, NOON + 1000 + number): v for name, v in fields.items()}
    steps = 0
    while archive.held():
        archive.release(NOON)
        check_balance(archive)
        steps += 1
        if rng.random() < 0.3:
            late = held("late", NOON + 10**6 + steps, v=1.0)
            archive.commit(Group(rows=[late]))
            expected["late", "v", late.time_ns] = 1.0
        if rng.random() < 0.2:  # the process is killed, the machine is not
            archive._connection = None
            archive = opened(tmp_path)
    assert steps > 50
    assert {(d, f, t): v for d, f, v, t, _ in readings(archive)} == expected
    archive.close()


def test_a_full_disk_releases_nothing_by_halves(tmp_path: Path) -> None:
    archive = opened(tmp_path)
    archive.commit(Group(held=[held("a", n, t=1.0, s="x" * 400) for n in range(1, 200)]))
    with archive._open() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="the disk is full"):
        archive.release(NOON)
    assert (archive.held(), readings(archive)) == (199, [])
    with archive._open() as db:
        db.execute("PRAGMA max_page_count = 100000")
    release_all(archive)
    assert len(readings(archive)) == 2 * 199
    archive.close()


def test_a_count_that_is_damaged_ends_neither_too_early_nor_never(tmp_path: Path) -> None:
    for wrong, left in ((0, 3), (2, 3), (9, 3), (9, 0)):
        folder = tmp_path / f"{wrong}-{left}"
        archive = opened(folder)
        archive.commit(Group(held=[held("a", n, t=1.0) for n in range(1, left + 1)]))
        archive.close()
        with closing(sqlite3.connect(folder / "archive.db", isolation_level=None)) as db:
            db.execute("INSERT OR REPLACE INTO totals VALUES ('held', ?)", (wrong,))
        archive = opened(folder)
        archive.release(NOON)
        release_all(archive)
        assert len(readings(archive)) == left
        check_balance(archive)
        archive.close()


def test_held_points_that_damage_has_taken_are_counted_corrupt(tmp_path: Path) -> None:
    archive = opened(tmp_path)
    archive.commit(Group(rows=[held("a", NOON, t=0.0)], held=[held("a", n, t=1.0) for n in (1, 2)]))
    archive.close()
    with closing(sqlite3.connect(tmp_path / "archive.db", isolation_level=None)) as db:
        db.execute("DELETE FROM held WHERE arrived = 1")
        db.execute("UPDATE totals SET value = 7 WHERE name = 'delivered'")
    archive = opened(tmp_path)
    assert archive.held() == 1
    assert archive.totals().corrupt == 1
    check_balance(archive)
    archive.close()


def test_a_file_of_version_1_is_taken_over(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "archive.db", isolation_level=None)) as db:
        db.executescript(VERSION_1.read_text(encoding="utf-8"))
    archive = opened(tmp_path)
    assert archive.warnings == []
    assert readings(archive) == [("mast", "temperature", 21.5, NOON, "arrival")]
    archive.commit(Group(held=[held("mast", 7, temperature=22.5)]))
    archive.close()
    archive = opened(tmp_path)
    release_all(archive)
    assert [value for _, _, value, *_ in readings(archive)] == [21.5, 22.5]
    assert archive.warnings == []
    archive.close()


def test_the_archive_keeps_what_other_stores_may_drop(tmp_path: Path) -> None:
    """`when_full = "drop_oldest"` means nothing to a store that never drops."""
    archive = opened(tmp_path)
    archive.commit(Group(droppable=[held("a", NOON, t=1.0)], held_droppable=[held("b", 7, t=2.0)]))
    release_all(archive)
    assert [(device, time) for device, _, _, time, _ in readings(archive)] == [
        ("a", NOON),
        ("b", NOON + 7),
    ]
    assert archive.totals().spooled == 2
    check_balance(archive)
    archive.close()
