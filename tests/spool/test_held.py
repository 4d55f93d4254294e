"""The spool while there is no time of day, and after: every line once, with the right time."""

import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.model import Group
from gateway.spool import held
from gateway.spool.rows import ROW_BYTES
from gateway.spool.store import NEVER_SET, Spool
from tests.spool.conftest import OpenSpool
from tests.spool.held_lines import BOOT, NOON, SECOND, line, observation, with_date
from tests.spool.test_store import read_all


def release_all(spool: Spool, offset_ns: int = NOON) -> int:
    times = 0
    while spool.held():
        spool.release(offset_ns)
        times += 1
    return times


def check_balance(spool: Spool) -> None:
    totals = spool.totals()
    assert totals.spooled == (
        totals.delivered + totals.dead + totals.evicted + totals.corrupt + totals.pending
    )
    lines = read_all(spool)
    assert totals.pending == len(lines) + spool.held()


def test_held_lines_are_on_disk_and_not_delivered_until_they_have_their_time(
    open_spool: OpenSpool,
) -> None:
    spool = open_spool()
    spool.commit(Group(rows=[b"old t=1 5"], held=[line(7), line(8, NOON)]))
    assert read_all(spool) == [b"old t=1 5"]
    assert (spool.held(), spool.totals().pending, spool.totals().spooled) == (2, 3, 3)
    assert spool.pending_bytes() == sum(map(len, [b"old t=1 5", line(7), line(8, NOON)])) + 3
    spool.close()
    spool = open_spool()
    assert spool.held() == 2
    check_balance(spool)
    spool.release(NOON)
    assert read_all(spool) == [b"old t=1 5", with_date(7), with_date(0)]
    assert (spool.held(), spool.totals().pending) == (0, 3)
    assert spool.pending_bytes() == sum(len(found) + 1 for found in read_all(spool))
    check_balance(spool)


def test_what_an_earlier_run_of_the_machine_left_is_dead(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.commit(Group(held=[line(7), line(8, NOON)]))
    spool.close()
    spool = open_spool(boot="second boot")
    spool.commit(Group(held=[line(9)]))
    release_all(spool)
    assert read_all(spool) == [with_date(9)]
    letters = [kept.letter for kept in reversed(spool.dead_letters(10))]
    assert [letter.line for letter in letters] == [line(7), line(8, NOON)]
    assert {(letter.status, letter.message) for letter in letters} == {(0, NEVER_SET)}
    assert (spool.totals().dead, spool.totals().pending, spool.held()) == (2, 1, 0)
    check_balance(spool)


@pytest.mark.parametrize("seed", range(5))
def test_in_parts_with_commits_deliveries_and_crashes_between_nothing_is_lost_or_doubled(
    open_spool: OpenSpool, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(held, "ROWS_TAKEN", 3)
    rng = random.Random(seed)
    spool = open_spool()
    expected: Counter[bytes] = Counter()
    for number in range(100):
        arrivals = range(number * 1000, number * 1000 + rng.randrange(1, 40))
        spool.commit(Group(held=[line(arrived) for arrived in arrivals]))
        expected.update(map(with_date, arrivals))
    delivered: Counter[bytes] = Counter()
    steps = 0
    while spool.held():
        spool.release(NOON)
        check_balance(spool)
        steps += 1
        if rng.random() < 0.4:
            late = with_date(10**9 + steps)
            spool.commit(Group(rows=[late]))
            expected[late] += 1
        if rng.random() < 0.4 and (batch := spool.read(2_000, 100, newest=False)):
            spool.settle(batch.rows, len(batch.lines), [])
            delivered.update(batch.lines)
        if rng.random() < 0.2:  # the process is killed, the machine is not
            spool._connection = None
            spool = open_spool()
    assert steps > 20
    delivered.update(read_all(spool))
    assert delivered == expected


def test_a_transaction_is_bounded_however_much_is_held(open_spool: OpenSpool) -> None:
    spool = open_spool()
    count = 30 * ROW_BYTES // len(line(10**12))
    spool.commit(Group(held=[line(10**12 + number) for number in range(count)]))
    spool.release(NOON)
    assert 0 < spool.totals().pending - spool.held() < count * 0.6
    release_all(spool)
    assert len(read_all(spool)) == count


def test_a_full_disk_releases_nothing_by_halves(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.commit(Group(held=[line(n) for n in range(3000)]))
    with spool._open() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
        db.execute("PRAGMA cache_size = 1")
    with pytest.raises(StoreError, match="the disk is full"):
        spool.release(NOON)
    assert (spool.held(), read_all(spool)) == (3000, [])
    check_balance(spool)
    with spool._open() as db:
        db.execute("PRAGMA max_page_count = 100000")
    release_all(spool)
    assert read_all(spool) == [with_date(n) for n in range(3000)]


def tamper(spool: Spool, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(spool.path, isolation_level=None)) as db:
        db.execute(statement, values)


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE held SET body = ? WHERE seq = 2", line(99)),
        ("UPDATE held SET boot = ? WHERE seq = 2", "another boot"),
        ("UPDATE held SET boot = CAST(? AS BLOB) WHERE seq = 2", "another boot"),
        ("UPDATE held SET crc = ? WHERE seq = 2", 5),
        ("UPDATE held SET lines = ? WHERE seq = 2", 7),
        ("UPDATE held SET lines = ? WHERE seq = 2", "x"),
        ("UPDATE held SET body = CAST(? AS TEXT) WHERE seq = 2", "t"),
        ("UPDATE held SET seq = ? WHERE seq = 2", 2**63 - 1),
        ("UPDATE held SET seq = ? WHERE seq = 2", -5),
    ],
)
def test_a_corrupt_row_gets_no_time_and_is_counted(
    open_spool: OpenSpool, statement: str, value: object
) -> None:
    spool = open_spool()
    for number in (1, 2, 3):
        spool.commit(Group(held=[line(number)]))
    spool.close()
    tamper(spool, statement, value)
    spool = open_spool()
    spool.commit(Group(held=[line(4)]))
    release_all(spool)
    assert sorted(read_all(spool)) == [with_date(number) for number in (1, 3, 4)]
    totals = spool.totals()
    batch = spool.read(10**6, 10, newest=False)
    assert batch is not None
    spool.settle(batch.rows, 3, [])
    totals = spool.totals()
    assert (totals.delivered, totals.dead, totals.corrupt, totals.pending) == (3, 0, 1, 0)
    with closing(sqlite3.connect(spool.path)) as db:
        assert db.execute("SELECT count(*) FROM corrupt_rows").fetchone() == (1,)


def test_counts_that_are_damaged_are_mended_and_end_neither_too_early_nor_never(
    open_spool: OpenSpool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "ROWS_TAKEN", 1)
    for name, wrong, left in (
        ("held", 0, 3),
        ("held", 2, 3),
        ("held", 9, 3),
        ("held", 9, 0),
        ("pending", 1, 3),
        ("pending", 99, 3),
        ("spooled", 99, 3),
    ):
        path = tmp_path / f"{name}-{wrong}-{left}" / "spool.db"
        spool = open_spool(path)
        spool.commit(Group(rows=[b"t=1 5"]))
        for number in range(left):
            spool.commit(Group(held=[line(number)]))
        spool.close()
        tamper(spool, "INSERT OR REPLACE INTO totals VALUES (?, ?)", name, wrong)
        spool = open_spool(path)
        spool.release(NOON)
        release_all(spool)
        assert read_all(spool) == [b"t=1 5", *(with_date(n) for n in range(left))]
        assert spool.totals().pending == left + 1


def test_held_rows_survive_a_salvage(open_spool: OpenSpool) -> None:
    spool = open_spool()
    for number in range(300):
        spool.commit(Group(held=[held.pack(observation({"t": "x" * 500}, number))]))
    spool.close()
    data = bytearray(spool.path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = b"\xff" * 4096
    spool.path.write_bytes(data)
    spool = open_spool()
    with pytest.raises(StoreError, match="is damaged"):
        release_all(spool)
    release_all(spool)  # whoever meets damage is told, and tries again
    assert "set aside" in spool.warnings[0]
    lines = read_all(spool)
    totals = spool.totals()
    assert 200 < len(lines) < 300
    assert len(set(lines)) == len(lines)
    assert all(found.rpartition(b" ")[2].startswith(b"18") for found in lines)
    assert totals.pending == len(lines)
    assert totals.pending + totals.corrupt == 300


def test_at_the_limit_the_oldest_goes_first_and_what_is_held_last(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=2**20)
    body = "x" * 1000
    packed = [held.pack(observation({"t": body}, number)) for number in range(2_000)]
    for start in range(0, 2_000, 20):
        rows = [b"t=1 %d" % (NOON + start)]
        spool.commit(
            Group(
                droppable=rows, held_droppable=packed[start : start + 19], held=[packed[start + 19]]
            )
        )
        check_balance(spool)
    totals = spool.totals()
    assert spool.path.stat().st_size < 2**20
    assert totals.evicted > 1_000
    assert spool.held() >= 100, "what may not be dropped is all there"
    release_all(spool)
    times = [
        int(found.rpartition(b" ")[2]) - NOON for found in read_all(spool) if body.encode() in found
    ]
    assert set(range(19, 2_000, 20)) <= set(times)
    dropped = [n for n in range(2_000) if n % 20 != 19 and n not in times]
    assert dropped == [n for n in range(max(dropped) + 1) if n % 20 != 19]
    check_balance(spool)


def test_what_may_be_dropped_may_be_when_it_has_its_time(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.commit(Group(held=[line(1)], held_droppable=[line(2)]))
    release_all(spool)
    with closing(sqlite3.connect(spool.path)) as db:
        assert db.execute("SELECT droppable, body FROM rows ORDER BY seq").fetchall() == [
            (0, with_date(1)),
            (1, with_date(2)),
        ]


def test_no_age_is_made_of_a_time_that_is_no_date(tmp_path: Path) -> None:
    """While the clock is not trusted commits are timed since the start, and nothing is too old."""
    now_ns = 10**12
    spool = Spool.open(
        tmp_path / "spool.db",
        max_bytes=2**30,
        min_free=0,
        now_ns=lambda: now_ns,
        max_age_ns=3600 * SECOND,
        boot=BOOT,
    )
    spool.commit(Group(rows=[b"inherited t=1 5"], held=[line(7)]))
    spool.pressure()
    now_ns = NOON
    spool.pressure()
    spool.release(NOON)
    spool.pressure()
    assert len(read_all(spool)) == 2
    now_ns += 3600 * SECOND + 1
    spool.pressure()
    assert read_all(spool) == [b"inherited t=1 5"]
    assert spool.totals().evicted == 1
    spool.close()


@pytest.mark.parametrize("page", range(5, 60, 3))
def test_held_rows_on_intact_pages_survive_a_damaged_file(open_spool: OpenSpool, page: int) -> None:
    """Texts are larger than a page: one that is overwritten takes one row, or the tree alone."""
    spool = open_spool()
    texts = [b"%02d" % n * 3_000 for n in range(25)]
    for n, text in enumerate(texts):
        spool.commit(Group(held=[b'm t="%s" %d' % (text, n + 1)]))
    spool.close()
    content = bytearray(spool.path.read_bytes())
    hit = slice(4096 * page, 4096 * (page + 1))
    spared = {n for n, text in enumerate(texts) if text[:100] not in content[hit]}
    content[hit] = b"\xaa" * 4096
    spool.path.write_bytes(content)
    spool = open_spool()
    release_all(spool)
    found = read_all(spool)
    assert set(found) <= {b'm t="%s" %d' % (text, NOON + n + 1) for n, text in enumerate(texts)}
    assert {int(line[5:7]) for line in found} >= spared
    check_balance(spool)
