import math
import sqlite3
import stat
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from zlib import crc32

import pytest

from gateway.errors import StoreError
from gateway.model import DeadLetter, Group, Observation, Pin, TimeSource
from gateway.redelivery import REMEMBERED
from gateway.sinks.line_protocol import make_series
from gateway.spool.rows import ROW_BYTES
from gateway.spool.store import Spool
from tests.spool.conftest import OpenSpool

VERSION_1 = """
CREATE TABLE totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE pins (
    measurement TEXT, field TEXT, is_text INTEGER NOT NULL, PRIMARY KEY (measurement, field)
) WITHOUT ROWID;
CREATE TABLE seen (
    session TEXT, upto INTEGER, pairs BLOB NOT NULL, PRIMARY KEY (session, upto)
) WITHOUT ROWID;

    CREATE TABLE rows (
        seq INTEGER PRIMARY KEY, lines INTEGER NOT NULL, crc INTEGER NOT NULL,
        committed_ns INTEGER NOT NULL, body BLOB NOT NULL
    );
    CREATE TABLE corrupt_rows (id INTEGER PRIMARY KEY, seq, lines, crc, committed_ns, body);
    CREATE TABLE dead_letters (
        id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, status INTEGER NOT NULL,
        message TEXT NOT NULL, line BLOB NOT NULL
    );
PRAGMA application_id = 0x53475350;
PRAGMA user_version = 1;
"""
"""As the first version made it."""


def lines(first: int, last: int, size: int = 0) -> list[bytes]:
    return [b"m,device=d v=%d " % n + b"x" * size for n in range(first, last + 1)]


def read_all(spool: Spool) -> list[bytes]:
    """Everything the spool would deliver, without taking it."""
    found: list[bytes] = []
    taken = spool._taken.copy()
    spool._taken.clear()
    while batch := spool.read(30_000, 10**9, newest=False):
        assert batch.size == sum(len(line) + 1 for line in batch.lines)
        found += batch.lines
    spool._taken = taken
    return found


def assert_balanced(spool: Spool) -> None:
    t = spool.totals()
    assert t.spooled + t.retried == t.delivered + t.dead + t.evicted + t.corrupt + t.pending
    assert t.pending == len(read_all(spool))


def sql(path: Path, statement: str, *parameters: object) -> list[tuple[object, ...]]:
    """Run a statement behind the spool's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return db.execute(statement, parameters).fetchall()


def test_what_is_committed_is_read_back_in_order_and_survives_reopening(
    open_spool: OpenSpool,
) -> None:
    spool = open_spool()
    spool.commit(Group(rows=lines(1, 3)))
    spool.commit(Group(rows=lines(4, 5)))
    assert read_all(spool) == lines(1, 5)
    spool.close()
    again = open_spool()
    assert read_all(again) == lines(1, 5)
    assert again.totals().pending == 5
    assert again.pending_bytes() == sum(len(line) + 1 for line in lines(1, 5))
    assert_balanced(again)


def test_an_observation_is_packed_as_line_protocol(open_spool: OpenSpool) -> None:
    spool = open_spool()
    series = make_series("sensor", {"device": "roof"})
    row = spool.pack(Observation(series, {"temperature": 21.5}, 7, 8, TimeSource.ARRIVAL))
    assert row == b"sensor,device=roof temperature=21.5 7"
    assert spool.size(row) == len(row) + 1


def test_a_batch_keeps_to_its_limits_but_has_at_least_one_row(open_spool: OpenSpool) -> None:
    spool = open_spool()
    for first in (1, 4, 7):
        spool.commit(Group(rows=lines(first, first + 2)))
    by_lines = spool.read(10**9, 7, newest=False)
    assert by_lines is not None
    assert by_lines.lines == lines(1, 6)
    assert by_lines.size == sum(len(line) + 1 for line in by_lines.lines)
    smallest = spool.read(1, 1, newest=False)
    assert smallest is not None
    assert smallest.lines == lines(7, 9)
    assert spool.read(10**9, 10**9, newest=False) is None


def test_rows_are_taken_from_either_end_and_by_one_reader_only(open_spool: OpenSpool) -> None:
    spool = open_spool()
    for n in range(1, 9):
        spool.commit(Group(rows=lines(n, n)))
    oldest = spool.read(10**9, 2, newest=False)
    newest = spool.read(10**9, 3, newest=True)
    assert oldest is not None
    assert newest is not None
    assert (oldest.lines, newest.lines) == (lines(1, 2), lines(6, 8))
    spool.settle(newest.rows, 3, [])
    spool.commit(Group(rows=lines(9, 9)))
    rest = spool.read(10**9, 10**9, newest=True)
    assert rest is not None
    assert rest.lines == [*lines(3, 5), *lines(9, 9)], "in order of arrival"
    assert spool.read(1, 1, newest=False) is None
    spool.close()
    assert read_all(open_spool()) == [*lines(1, 5), *lines(9, 9)], "what was not settled is kept"


def test_large_groups_become_several_rows_so_that_batches_can_be_small(
    open_spool: OpenSpool,
) -> None:
    spool = open_spool()
    many = [*lines(1, 300, size=1000), b"m v=0 " + b"x" * 2 * ROW_BYTES, *lines(1, 2)]
    spool.commit(Group(rows=many))
    first = spool.read(1, 1, newest=False)
    assert first is not None
    assert ROW_BYTES // 2 < first.size <= ROW_BYTES
    assert read_all(spool) == many


def test_settled_rows_are_gone_and_counted(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.commit(Group(rows=lines(1, 3)))
    spool.commit(Group(rows=lines(4, 5)))
    batch = spool.read(10**9, 3, newest=False)
    assert batch is not None
    spool.settle(batch.rows, 2, [DeadLetter(batch.lines[1], 400, "bad \ud800" + "!" * 600)])
    totals = spool.totals()
    assert (totals.spooled, totals.delivered, totals.dead, totals.pending) == (5, 2, 1, 2)
    assert_balanced(spool)
    spool.close()
    again = open_spool()
    assert again.totals() == totals
    assert read_all(again) == lines(4, 5)
    (kept,) = again.dead_letters(10)
    assert (kept.at_ns, kept.letter.line, kept.letter.status) == (1_700, batch.lines[1], 400)
    assert kept.letter.message == ("bad ?" + "!" * 600)[:500]


def test_settling_must_account_for_every_line(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.commit(Group(rows=lines(1, 3)))
    batch = spool.read(10**9, 10**9, newest=False)
    assert batch is not None
    with pytest.raises(ValueError, match="3 lines to settle, not 2 and 0"):
        spool.settle(batch.rows, 2, [])
    assert read_all(spool) == lines(1, 3)
    assert spool.totals().delivered == 0
    spool.settle(batch.rows, 3, [])
    with pytest.raises(ValueError, match="settled before"):
        spool.settle(batch.rows, 3, [])
    assert_balanced(spool)


def test_row_numbers_are_not_used_again_while_a_reader_remembers_them(
    open_spool: OpenSpool,
) -> None:
    spool = open_spool()
    rows: set[int] = set()
    for n in range(1, 4):
        spool.commit(Group(rows=lines(n, n)))
        batch = spool.read(10**9, 10**9, newest=False)
        assert batch is not None
        assert batch.lines == lines(n, n)
        spool.settle(batch.rows, 1, [])
        rows.update(batch.rows)
    assert len(rows) == 3


def test_pins_are_kept_and_freed(open_spool: OpenSpool) -> None:
    spool = open_spool()
    text, number = Pin("sensor", "state", is_text=True), Pin("sensor", "power", is_text=False)
    spool.commit(Group(pins=[text, number]))
    spool.close()
    again = open_spool()
    assert sorted(again.pins()) == sorted([text, number])
    assert again.unpin("sensor", "state")
    assert not again.unpin("sensor", "state")
    assert again.pins() == [number]
    again.commit(Group(pins=[Pin("sensor", "no \ud800 unicode", is_text=False)]))
    assert len(again.pins()) == 2


def pairs(first: int, last: int) -> list[tuple[int, bytes]]:
    return [(n % 65536, n.to_bytes(8, "big")) for n in range(first, last + 1)]


def test_the_redelivery_ring_keeps_the_last_messages_of_each_session(
    open_spool: OpenSpool,
) -> None:
    spool = open_spool()
    end = REMEMBERED + 8
    for first, last in ((1, 7), (8, 4_000), (4_001, end - 5), (end - 4, end)):
        spool.commit(Group(seen={"a": pairs(first, last), "b": pairs(first, first)}))
    spool.close()
    again = open_spool()
    assert again.seen("a") == pairs(end - REMEMBERED + 1, end)
    assert [digest for _, digest in again.seen("b")] == [
        n.to_bytes(8, "big") for n in (1, 8, 4_001, end - 4)
    ]
    assert sql(again.path, "SELECT count(*) FROM seen WHERE session = 'a'") == [(3,)]
    again.commit(Group(seen={"c": pairs(1, 1)}))
    again.commit(Group(seen={"c": pairs(2, REMEMBERED)}))
    assert again.seen("c") == pairs(1, REMEMBERED)
    again.commit(Group(forget={"a"}, seen={"a": pairs(1, 2)}))
    assert again.seen("a") == pairs(1, 2)
    assert len(again.seen("b")) == 4


def test_a_full_disk_refuses_the_commit_and_keeps_the_rest(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.commit(Group(rows=lines(1, 3)))
    before = spool.totals()
    with spool._open() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
    group = Group(
        rows=lines(4, 400, size=200),
        pins=[Pin("m", "v", is_text=False)],
        seen={"s": pairs(1, 3)},
    )
    for _ in range(2):
        with pytest.raises(StoreError, match="the disk is full"):
            spool.commit(group)
        assert read_all(spool) == lines(1, 3)
        assert (spool.totals(), spool.pins(), spool.seen("s")) == (before, [], [])
    with spool._open() as db:
        db.execute("PRAGMA max_page_count = 100000")
    spool.commit(group)
    assert read_all(spool) == lines(1, 3) + group.rows
    assert spool.totals().spooled == 400
    assert_balanced(spool)


def test_a_database_that_another_program_holds_is_an_error_that_passes(
    open_spool: OpenSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.spool.database._BUSY_S", 0)
    spool = open_spool()
    with closing(sqlite3.connect(spool.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program holds"):
            spool.commit(Group(rows=lines(1, 1)))
    spool.commit(Group(rows=lines(1, 1)))
    assert read_all(spool) == lines(1, 1)


def test_a_spool_of_the_first_version_is_upgraded_with_all_its_rows(
    open_spool: OpenSpool, tmp_path: Path
) -> None:
    path = tmp_path / "spool.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.executescript(VERSION_1)
        body = b"\n".join(lines(1, 3))
        db.execute("INSERT INTO rows VALUES (5, 3, ?, 7, ?)", (crc32(b"5 3\n" + body), body))
        for name, value in (("spooled", 9), ("delivered", 6), ("pending", 3)):
            db.execute("INSERT INTO totals VALUES (?, ?)", (name, value))
    spool = open_spool(path)
    assert spool.warnings == []
    assert read_all(spool) == lines(1, 3)
    spool.commit(Group(rows=lines(4, 4), droppable=lines(5, 5)))
    spool.close()
    spool = open_spool(path)
    assert read_all(spool) == lines(1, 5)
    assert spool.warnings == []
    assert_balanced(spool)


def test_an_emptied_spool_is_room_itself_on_a_full_disk(
    open_spool: OpenSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its free pages go back to the disk only while rows are deleted."""
    spool = open_spool(min_free=300_000)
    spool.commit(Group(rows=lines(1, 600, size=1000)))
    full = SimpleNamespace(free=0)
    monkeypatch.setattr("gateway.spool.database.shutil.disk_usage", lambda _: full)
    assert spool.pressure() == math.inf
    batch = spool.read(10**9, 10**9, newest=False)
    assert batch is not None
    spool.settle(batch.rows, 600, [])
    assert spool.pressure() < 1


def test_no_more_is_given_back_in_one_step_than_the_log_may_hold(open_spool: OpenSpool) -> None:
    """Pages are moved through the log first, for which a nearly full disk has no room."""
    spool = open_spool(min_free=1_000_000)
    for n in range(30):
        spool.commit(Group(rows=lines(n * 300, n * 300 + 299, size=1000)))
    while batch := spool.read(300_000, 10**9, newest=False):
        spool.settle(batch.rows, len(batch.lines), [])
        assert Path(f"{spool.path}-wal").stat().st_size < 1_000_000


def test_a_drained_backlog_gives_its_space_back_in_steps(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.commit(Group(rows=lines(1, 12_000, size=1000)))
    spool.close()
    spool = open_spool()
    sizes = [spool.path.stat().st_size]
    while batch := spool.read(500_000, 10**9, newest=False):
        spool.settle(batch.rows, len(batch.lines), [])
    for n in range(20):
        spool.commit(Group(rows=lines(n, n)))
        batch = spool.read(500_000, 10**9, newest=False)
        assert batch is not None
        spool.settle(batch.rows, 1, [])
    spool.close()
    sizes.append(spool.path.stat().st_size)
    assert sizes[0] > 12_000_000
    assert sizes[1] < 6_000_000


def test_the_file_is_private_and_keeps_what_it_was_set_up_for(open_spool: OpenSpool) -> None:
    spool = open_spool()
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o600
    with spool._open() as db:
        settings = {
            name: db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "auto_vacuum", "secure_delete")
        }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "auto_vacuum": 2,
        "secure_delete": 0,
    }


def test_a_file_of_a_newer_version_or_another_program_is_refused_untouched(
    open_spool: OpenSpool, tmp_path: Path
) -> None:
    spool = open_spool()
    spool.commit(Group(rows=lines(1, 3)))
    spool.close()
    with closing(sqlite3.connect(spool.path, isolation_level=None)) as db:
        db.execute("ALTER TABLE rows ADD COLUMN mood TEXT")
        db.execute("PRAGMA user_version = 99")
    content = spool.path.read_bytes()
    with pytest.raises(StoreError, match="newer version of the gateway"):
        open_spool()
    assert spool.path.read_bytes() == content
    other = tmp_path / "other.db"
    sql(other, "CREATE TABLE photos (name)")
    with pytest.raises(StoreError, match="belongs to another program"):
        open_spool(other)
    assert sql(other, "SELECT name FROM sqlite_master") == [("photos",)]


def test_a_directory_that_cannot_be_made_is_said_in_words(
    open_spool: OpenSpool, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/spool\.db: (Not a directory|File exists)"):
        open_spool(tmp_path / "file" / "spool.db")


def test_rows_are_as_the_documented_format_says(open_spool: OpenSpool) -> None:
    """A reader written from the description of the format, not from the code."""
    spool = open_spool()
    spool.commit(Group(rows=lines(1, 3), seen={"s": [(258, b"12345678")]}))
    spool.commit(Group(rows=lines(4, 4)))
    spool.close()
    rows = sql(spool.path, "SELECT seq, lines, crc, committed_ns, body FROM rows ORDER BY seq")
    assert all(a[0] < b[0] for a, b in pairwise(rows))  # type: ignore[operator]
    for seq, count, crc, committed_ns, body in rows:
        assert isinstance(body, bytes)
        assert crc == crc32(f"{seq} {count}\n".encode() + body)
        assert body.count(b"\n") + 1 == count
        assert committed_ns == 1_700
    assert b"\n".join(row[4] for row in rows).split(b"\n") == lines(1, 4)  # type: ignore[misc]
    assert sql(spool.path, "SELECT * FROM seen") == [("s", 1, b"\x01\x0212345678")]
    assert ("pending", 4) in sql(spool.path, "SELECT name, value FROM totals")
