"""Bit flips, cut files and garbage: nothing altered is delivered, and the counts still balance."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.model import Group, Pin
from gateway.spool.rows import CORRUPT_ROWS_MAX
from gateway.spool.salvage import copy_readable
from gateway.spool.store import Spool
from tests.spool.conftest import OpenSpool
from tests.spool.test_store import assert_balanced, lines, read_all, sql
from tests.spool.wreck import deliver

LINES = lines(1, 60)


def fill(spool: Spool) -> Path:
    """Six rows of ten lines, a pin and a ring, all in the one file."""
    for start in range(0, len(LINES), 10):
        spool.commit(
            Group(
                rows=LINES[start : start + 10],
                pins=[Pin("m", "v", is_text=False)],
                seen={"s": [(start, b"12345678")]},
            )
        )
    spool.close()
    return spool.path


def flip(path: Path, position: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


def test_an_altered_row_is_set_aside_and_counted_and_the_others_are_delivered(
    open_spool: OpenSpool,
) -> None:
    path = fill(open_spool())
    flip(path, path.read_bytes().index(LINES[25]) + 3, 0)
    spool = open_spool()
    assert read_all(spool) == LINES[:20] + LINES[30:]
    totals = spool.totals()
    assert (totals.corrupt, totals.pending) == (10, 50)
    assert_balanced(spool)
    ((body,),) = sql(path, "SELECT body FROM corrupt_rows")
    assert isinstance(body, bytes)
    assert body.startswith(LINES[20])
    assert not spool.warnings


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE rows SET lines = 1000000 WHERE seq = 3",
        "UPDATE rows SET lines = -5 WHERE seq = 3",
        "UPDATE rows SET lines = CAST(x'fffe' AS TEXT) WHERE seq = 3",
        "UPDATE rows SET body = CAST(x'fffe' AS TEXT) WHERE seq = 3",
        "UPDATE rows SET body = x'' WHERE seq = 3",
        "UPDATE rows SET crc = crc + 1 WHERE seq = 3",
        "UPDATE rows SET seq = 1000 WHERE seq = 3",
        "UPDATE rows SET seq = -3 WHERE seq = 3",
    ],
)
def test_the_counts_come_right_whatever_is_altered_in_a_row(
    open_spool: OpenSpool, damage: str
) -> None:
    path = fill(open_spool())
    sql(path, damage)
    spool = open_spool()
    kept = LINES[:20] + LINES[30:]
    assert read_all(spool) == kept
    while batch := spool.read(1, 1, newest=False):
        spool.settle(batch.rows, len(batch.lines), [])
    totals = spool.totals()
    assert (totals.delivered, totals.corrupt, totals.pending) == (50, 10, 0)
    assert spool.pending_bytes() == 0
    assert_balanced(spool)


def test_corrupt_rows_are_kept_within_bounds(open_spool: OpenSpool) -> None:
    spool = open_spool()
    count = 2 * CORRUPT_ROWS_MAX + 50
    for _ in range(count):
        spool.commit(Group(rows=lines(1, 1)))
    spool.close()
    sql(spool.path, "UPDATE rows SET crc = 0 WHERE seq > 1")
    spool = open_spool()
    assert read_all(spool) == lines(1, 1)
    assert spool.totals().corrupt == count - 1
    assert sql(spool.path, "SELECT count(*) FROM corrupt_rows") == [(CORRUPT_ROWS_MAX,)]


def test_damaged_counts_are_made_to_agree_with_the_rows(open_spool: OpenSpool) -> None:
    path = fill(open_spool())
    sql(path, "UPDATE totals SET value = value + 1024 WHERE name = 'pending'")
    spool = open_spool()
    assert "damaged counts" in spool.warnings[0]
    assert spool.totals().pending == 60
    assert_balanced(spool)
    spool.close()
    assert open_spool().warnings == []


@pytest.mark.parametrize("garbage", [b"not a database" * 1000, os.urandom(20_000), b"\0" * 8192])
def test_a_file_that_is_no_database_is_set_aside_and_a_new_one_begun(
    open_spool: OpenSpool, garbage: bytes
) -> None:
    path = fill(open_spool())
    path.write_bytes(garbage)
    spool = open_spool()
    assert "spool.db.corrupt-1" in spool.warnings[0]
    assert path.with_name("spool.db.corrupt-1").read_bytes() == garbage
    spool.commit(Group(rows=LINES))
    assert read_all(spool) == LINES
    assert_balanced(spool)
    spool.close()
    path.write_bytes(garbage)
    assert "spool.db.corrupt-2" in open_spool().warnings[0]


def test_what_was_lost_before_the_start_is_counted_from_the_start(open_spool: OpenSpool) -> None:
    path = fill(open_spool())
    flip(path, path.read_bytes().index(LINES[25]) + 3, 0)
    flip(path, 60, 0)
    spool = open_spool()
    assert (spool.opening.pending, spool.opening.corrupt) == (60, 0)
    assert (spool.totals().pending, spool.totals().corrupt) == (50, 10)
    spool.close()
    assert open_spool().opening == spool.totals()


def test_a_truncated_file_gives_back_what_it_still_has(open_spool: OpenSpool) -> None:
    spool = open_spool()
    kept = [line for n in range(50) for line in lines(10 * n, 10 * n + 9, size=500)]
    for start in range(0, len(kept), 10):
        spool.commit(Group(rows=kept[start : start + 10], pins=[Pin("m", "v", is_text=True)]))
    spool.close()
    size = spool.path.stat().st_size
    os.truncate(spool.path, size // 2)
    spool = open_spool()
    found = read_all(spool)
    assert len(kept) // 4 < len(found) < len(kept)
    assert found == [line for line in kept if line in set(found)]
    totals = spool.totals()
    assert totals.spooled == len(kept)
    assert totals.corrupt == len(kept) - len(found)
    assert_balanced(spool)
    assert spool.pins() == [Pin("m", "v", is_text=True)]


def test_damage_met_while_running_is_salvaged_at_the_next_call(open_spool: OpenSpool) -> None:
    spool = open_spool()
    kept = [line for n in range(100) for line in lines(10 * n, 10 * n + 9, size=500)]
    for start in range(0, len(kept), 10):
        spool.commit(Group(rows=kept[start : start + 10]))
    with spool._open() as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        db.execute("PRAGMA shrink_memory")
    content = bytearray(spool.path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096 * 8] = b"\xaa" * 4096 * 8
    spool.path.write_bytes(content)
    found: list[bytes] = []
    for _ in range(3):
        try:
            found = read_all(spool)
        except StoreError as error:
            assert "damaged" in str(error)  # noqa: PT017 -- it may also be read without one
    assert len(kept) // 2 < len(found) < len(kept)
    assert set(found) < set(kept)
    spool.commit(Group(rows=LINES))
    assert read_all(spool) == found + LINES
    totals = spool.totals()
    assert totals.spooled == len(kept) + len(LINES)
    assert totals.corrupt == len(kept) - len(found)
    assert_balanced(spool)


def test_rows_that_a_salvage_lost_while_they_were_sent_are_delivered_after_all(
    open_spool: OpenSpool,
) -> None:
    spool = open_spool()
    spool.commit(Group(rows=LINES[:10]))
    spool.commit(Group(rows=LINES[10:]))
    batch = spool.read(10**9, 10**9, newest=False)
    assert batch is not None
    with spool._transaction() as (db, counts):  # what a salvage does
        db.execute("DELETE FROM rows WHERE seq = 1")
        spool._repair(db, counts)
    assert spool.totals().corrupt == 10
    spool.settle(batch.rows, 60, [])
    totals = spool.totals()
    assert (totals.delivered, totals.corrupt, totals.pending) == (60, 0, 0)
    assert_balanced(spool)


def interrupted_before_the_new_file_is_complete(path: Path) -> None:
    path.with_name("spool.db.new").write_bytes(b"half a file")


def interrupted_before_the_new_file_has_the_name(path: Path) -> None:
    complete = path.with_name("spool.db.new")
    shutil.copy(path, complete)
    with closing(sqlite3.connect(path, isolation_level=None)) as damaged:
        damaged.execute("DELETE FROM rows")
        shutil.copy(f"{path}-wal", path.with_name("log"))
    path.unlink()
    path.with_name("log").replace(f"{path}-wal")  # would delete the rows of the new file as well


@pytest.mark.parametrize(
    "interrupted",
    [
        interrupted_before_the_new_file_is_complete,
        interrupted_before_the_new_file_has_the_name,
    ],
)
def test_a_crash_during_a_salvage_loses_nothing(
    open_spool: OpenSpool, interrupted: Callable[[Path], None]
) -> None:
    path = fill(open_spool())
    interrupted(path)
    assert read_all(open_spool()) == LINES


def test_the_damaged_file_can_still_be_inspected(open_spool: OpenSpool) -> None:
    path = fill(open_spool())
    sql(path, "PRAGMA writable_schema = ON")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = 'CREATE TABLE pins (x)' WHERE name = 'pins'")
    spool = open_spool()
    assert read_all(spool) == LINES
    aside = path.with_name("spool.db.corrupt-1")
    assert sql(aside, "SELECT count(*) FROM rows") == [(6,)]


@pytest.mark.parametrize("field", [60, 68], ids=["user_version", "application_id"])
def test_a_flipped_bit_does_not_make_a_spool_foreign_or_newer(
    open_spool: OpenSpool, tmp_path: Path, field: int
) -> None:
    original = fill(open_spool())
    for bit in range(32):
        path = tmp_path / str(bit) / "spool.db"
        path.parent.mkdir()
        shutil.copy(original, path)
        flip(path, field + bit // 8, bit % 8)
        spool = open_spool(path)
        assert "header is damaged" not in spool.warnings[0]
        assert "set aside as spool.db.corrupt-1: 60 pending lines are kept" in spool.warnings[0]
        assert read_all(spool) == LINES
        assert_balanced(spool)
        spool.close()
        assert len(open_spool(path).warnings) == 0


def test_a_schema_and_an_id_that_are_both_damaged_are_set_aside(open_spool: OpenSpool) -> None:
    path = fill(open_spool())
    flip(path, 68, 3)
    flip(path, path.read_bytes().index(b"CREATE TABLE pins") + 13, 0)
    assert read_all(open_spool()) == LINES
    assert path.with_name("spool.db.corrupt-1").exists()


@pytest.mark.parametrize("keep", ["spool.db", "spool.db-wal"])
def test_a_file_without_its_log_or_a_log_without_its_file(
    open_spool: OpenSpool, tmp_path: Path, keep: str
) -> None:
    spool = open_spool()
    for start in range(0, len(LINES), 10):
        spool.commit(Group(rows=LINES[start : start + 10]))
    with spool._open() as db:
        db.execute("PRAGMA wal_checkpoint").fetchall()
    path = tmp_path / "copy" / "spool.db"
    path.parent.mkdir()
    shutil.copy(spool.path.with_name(keep), path.with_name(keep))
    again = open_spool(path)
    assert read_all(again) == LINES
    assert again.totals().corrupt == 0
    assert_balanced(again)


def test_rows_that_a_damaged_tree_hides_are_found_when_the_others_are_gone(
    open_spool: OpenSpool,
) -> None:
    """Another leaf stands in the place of one, where SQLite sees nothing wrong."""
    spool = open_spool()
    kept = [line for n in range(50) for line in lines(10 * n, 10 * n + 9, size=90)]
    for start in range(0, len(kept), 10):
        spool.commit(Group(rows=kept[start : start + 10]))
    spool.close()
    ((root,),) = sql(spool.path, "SELECT rootpage FROM sqlite_master WHERE name = 'rows'")
    assert isinstance(root, int)
    content = bytearray(spool.path.read_bytes())
    page = (root - 1) * 4096
    assert content[page] == 5, "the root is an interior page"
    first, second = (
        page + int.from_bytes(content[page + at : page + at + 2], "big") for at in (12, 14)
    )
    content[first : first + 4] = content[second : second + 4]
    spool.path.write_bytes(content)
    spool = open_spool()
    assert not spool.warnings
    assert sorted(deliver(spool)) == sorted(kept)
    assert len(spool.warnings) == 1
    assert spool.totals().corrupt == 0
    assert_balanced(spool)


def test_two_rows_of_one_number_are_both_kept(open_spool: OpenSpool) -> None:
    """The older one was hidden by damage when its number was given out again."""
    path = fill(open_spool())
    hidden = path.read_bytes()
    spool = open_spool()
    deliver(spool)
    spool._last_seq = 0
    others = lines(100, 104)
    spool.commit(Group(rows=others))
    old = path.with_name("old.db")
    old.write_bytes(hidden)
    with spool._open() as db:
        copy_readable(old, db, spool.checks)
    assert sorted(read_all(spool)) == sorted(LINES + others)


def test_a_damaged_spool_of_version_1_is_salvaged_too(open_spool: OpenSpool) -> None:
    path = fill(open_spool())
    sql(path, "ALTER TABLE rows DROP COLUMN droppable")
    sql(path, "DROP TABLE held")
    sql(path, "PRAGMA user_version = 1")
    flip(path, path.read_bytes().index(b"CREATE TABLE pins") + 13, 0)
    spool = open_spool()
    assert "60 pending lines are kept, 0 are lost" in spool.warnings[0]
    assert read_all(spool) == LINES
