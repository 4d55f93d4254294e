"""Limits: file and log stay below theirs, and what has to go goes in the order asked for."""

import math
import shutil
from pathlib import Path
from random import Random

import pytest

from gateway.model import Group
from gateway.spool.store import Spool
from tests.spool.conftest import OpenSpool
from tests.spool.test_store import assert_balanced, lines, pairs, read_all, sql
from tests.spool.wreck import deliver


def test_room_is_what_the_limits_leave(open_spool: OpenSpool, tmp_path: Path) -> None:
    spool = open_spool(max_bytes=400_000)
    assert spool.pressure() < 0
    spool.commit(Group(rows=lines(1, 250, size=1000)))
    assert spool.pressure() >= 1
    batch = spool.read(10**9, 10**9, newest=False)
    assert batch is not None
    spool.settle(batch.rows, 250, [])
    spool.close()  # the log counts too, until it is checkpointed
    assert open_spool(max_bytes=400_000).pressure() < 0, "pages that are free are room"
    free = shutil.disk_usage(tmp_path).free
    assert open_spool(tmp_path / "other.db", min_free=2 * free).pressure() == math.inf


def test_pressure_rises_from_0_to_1_in_the_last_eighth(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=16_000_000)
    pressures = [spool.pressure()]
    for n in range(100):
        spool.commit(Group(rows=lines(1000 * n, 1000 * n + 200, size=970)))
        pressures.append(spool.pressure())
        if pressures[-1] >= 1:
            break
    assert pressures[0] < -4
    assert pressures == sorted(pressures)
    assert sum(0 <= pressure < 1 for pressure in pressures) in range(8, 12)


def test_a_log_that_is_as_long_as_the_limit_is_cut_back_instead_of_blocking_for_ever(
    open_spool: OpenSpool,
) -> None:
    spool = open_spool(max_bytes=500_000)
    spool.commit(Group(rows=lines(1, 600, size=1000)))
    log = Path(f"{spool.path}-wal")
    assert log.stat().st_size > 500_000, "else the test is pointless"
    assert spool.pressure() > 1
    assert log.stat().st_size == 0
    batch = spool.read(10**9, 10**9, newest=False)
    assert batch is not None
    spool.settle(batch.rows, 600, [])
    assert spool.pressure() < 0


@pytest.mark.parametrize("seed", range(2))
def test_file_and_log_never_exceed_the_limit_and_the_oldest_droppable_rows_go(
    open_spool: OpenSpool, seed: int
) -> None:
    rng = Random(seed)
    limit = 3_000_000
    spool = open_spool(max_bytes=limit)
    kept = lines(1, 40, size=1000)
    spool.commit(Group(rows=kept))
    brought: list[bytes] = []
    for n in range(150):
        size = rng.randrange(spool.group_bytes_max // 1000)
        new = lines(1000 * n, 1000 * n + size, size=970)
        spool.commit(Group(droppable=new))
        brought += new
        used = spool.path.stat().st_size + Path(f"{spool.path}-wal").stat().st_size
        assert used <= limit
    found = read_all(spool)
    assert found[:40] == kept, "what is not droppable stays"
    assert found[40:] == brought[-len(found[40:]) :], "the newest of the others stay"
    assert len(found) > 500
    assert spool.totals().evicted == len(brought) - len(found) + 40
    assert_balanced(spool)


def test_what_is_being_sent_is_not_evicted(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=1_000_000)
    spool.commit(Group(droppable=lines(1, 50, size=900)))
    batch = spool.read(10**9, 10**9, newest=False)
    assert batch is not None
    for n in range(1, 30):
        spool.commit(Group(droppable=lines(100 * n, 100 * n + 50, size=900)))
    spool.settle(batch.rows, 50, [])
    assert spool.totals().delivered == 50
    assert spool.totals().evicted > 0
    assert_balanced(spool)


def test_where_nothing_may_be_dropped_the_newest_is(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=1_000_000)
    for n in range(20):
        spool.commit(Group(rows=lines(100 * n, 100 * n + 50, size=900)))
    kept = read_all(spool)
    spool.commit(Group(droppable=lines(9_000, 9_010)))
    assert read_all(spool) == kept
    assert spool.totals().evicted == 11
    assert_balanced(spool)


def test_rows_that_are_too_old_are_dropped_and_counted(tmp_path: Path) -> None:
    start_ns = now_ns = 1_800_000_000 * 10**9
    hour_ns = 3_600 * 10**9
    spool = Spool.open(
        tmp_path / "spool.db",
        max_bytes=10**8,
        min_free=0,
        now_ns=lambda: now_ns,
        max_age_ns=24 * hour_ns,
    )
    now_ns = 5 * 10**9  # since boot: the clock was not set
    spool.commit(Group(rows=lines(0, 0)))
    for n in range(1, 49):
        now_ns = start_ns + n * hour_ns
        spool.commit(Group(rows=lines(n, n)))
    taken = spool.read(1, 1, newest=False)
    assert taken is not None
    assert spool.pressure() < 0
    assert read_all(spool) == [*lines(0, 0), *lines(24, 48)]
    assert spool.totals().evicted == 23
    assert_balanced(spool)
    spool.close()


def test_corrupt_rows_take_a_small_part_of_the_spool_and_do_not_keep_sources_away(
    open_spool: OpenSpool,
) -> None:
    limit = 8_000_000
    spool = open_spool(max_bytes=limit)
    for n in range(90):
        spool.commit(Group(rows=[b'm f="%060000d" 1' % n]))
    assert spool.pressure() > 0
    sql(spool.path, "UPDATE rows SET crc = crc + 1")
    assert read_all(spool) == []
    assert spool.totals().corrupt == 90
    ((kept, size),) = sql(spool.path, "SELECT count(*), sum(length(body)) FROM corrupt_rows")
    assert (kept, size) == (4, 4 * 60_008)
    assert spool.path.stat().st_size < limit
    assert spool.pressure() < -4
    assert_balanced(spool)


def test_where_nothing_waits_there_is_room_whatever_else_fills_the_spool(
    open_spool: OpenSpool,
) -> None:
    """Sources that wait for room would wait for ever: nothing that is delivered makes any."""
    spool = open_spool(max_bytes=2**20)
    with spool._transaction() as (db, _):
        db.execute("INSERT INTO seen VALUES ('a session', 1, zeroblob(1000000))")
    spool.commit(Group(rows=lines(1, 1)))
    assert spool.pressure() > 0
    deliver(spool)
    assert spool.pressure() == -1
    spool._min_free = 2 * shutil.disk_usage(spool.path.parent).free
    assert spool.pressure() == math.inf


def test_the_ring_of_one_message_per_commit_is_hardly_larger_than_its_messages(
    open_spool: OpenSpool,
) -> None:
    spool = open_spool()
    count = 3_000
    for n in range(1, count + 1):
        spool.commit(Group(seen={"greenhouse-home-1a2b3c4d": pairs(n, n)}))
    assert spool.seen("greenhouse-home-1a2b3c4d") == pairs(1, count)
    spool.close()
    assert spool.path.stat().st_size < 60_000 + 14 * count
    (found,) = sql(spool.path, "SELECT count(*), max(upto), max(length(pairs)) FROM seen")
    assert found == (38, count, 800)
