"""Flipped bits and lost blocks, anywhere in the file or its log: altered rows are never delivered.

1,000 flips, each in a copy of its own. A row whose bytes are as they were must come back: that is
its cell, its overflow pages, and the directory of the page that leads to the cell; in the log the
number of the page too.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from gateway.errors import StoreError
from gateway.model import Group
from tests.spool.wreck import (
    FRAME,
    LOG_HEADER,
    PAGE,
    PINS,
    Lines,
    Wreck,
    assert_settled,
    count,
    deliver,
    open_at,
    split,
)


def flipped(content: bytes, at: int, bit: int) -> bytes:
    altered = bytearray(content)
    altered[at] ^= 1 << bit
    return bytes(altered)


def used(content: bytes, rng: Random) -> int:
    """The place of a byte that means something, mostly."""
    for _ in range(20):
        at = rng.randrange(len(content))
        if content[at]:
            return at
    return at


def check(wreck: Wreck, path: Path, may_be_lost: set[Lines], *, counts_are_whole: bool) -> None:
    """Everything but what may be lost is delivered, and the counts say what was lost."""
    spool = open_at(path)
    assert len(spool.pins()) <= len(PINS)
    assert len(spool.seen("s")) <= len(wreck.ring)
    found = split(deliver(spool), wreck.pending + wreck.settled)
    assert len(set(found)) == len(found)
    lost = set(wreck.pending) - set(found)
    assert lost <= may_be_lost, f"{len(lost - may_be_lost)} rows are lost"
    assert_settled(spool)
    if counts_are_whole:
        assert spool.totals().corrupt == count(lost)
        assert set(found) <= set(wreck.pending)
    spool.close()
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_bit_in_the_file_costs_at_most_the_rows_it_hits(
    one_file: Wreck, tmp_path: Path, seed: int
) -> None:
    rng = Random(seed)
    for attempt in range(30):
        at, bit = used(one_file.main, rng), rng.randrange(8)
        path = tmp_path / str(attempt) / "spool.db"
        one_file.write(path, flipped(one_file.main, at, bit))
        counts_are_whole = at // PAGE + 1 != one_file.totals_page
        check(one_file, path, hit(one_file, at), counts_are_whole=counts_are_whole)


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_in_the_log_costs_at_most_the_rows_it_hits(
    with_log: Wreck, tmp_path: Path, seed: int
) -> None:
    rng = Random(seed)
    last = len(with_log.log) - FRAME
    for attempt in range(25):
        at, bit = used(with_log.log, rng), rng.randrange(8)
        path = tmp_path / str(attempt) / "spool.db"
        with_log.write(path, log=flipped(with_log.log, at, bit))
        hits_counts = with_log.position_in_log(at)[0] == with_log.totals_page or at >= last
        check(with_log, path, lost_in_log(with_log, at), counts_are_whole=not hits_counts)


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_in_a_file_with_a_log_costs_at_most_the_rows_it_hits(
    with_log: Wreck, tmp_path: Path, seed: int
) -> None:
    rng = Random(seed)
    for attempt in range(25):
        at, bit = used(with_log.main, rng), rng.randrange(8)
        path = tmp_path / str(attempt) / "spool.db"
        with_log.write(path, flipped(with_log.main, at, bit))
        check(with_log, path, hit(with_log, at), counts_are_whole=True)


def hit(wreck: Wreck, at: int) -> set[Lines]:
    page, where = wreck.position(at)
    return wreck.touched(page, where, where)


def lost_in_log(wreck: Wreck, at: int) -> set[Lines]:
    """What a byte of the log may take along."""
    if at < LOG_HEADER:
        return set()
    page, where = wreck.position_in_log(at)
    if at >= len(wreck.log) - FRAME:  # like a power cut during the last commit
        return {wreck.log_ends[-1][1]}
    if -24 <= where < -20:  # the number of the page
        return {row for row, place in wreck.places.items() if page in place.pages}
    return wreck.touched(page, where, where)


def blocks(content: bytes, rng: Random) -> Iterator[range]:
    """One to eight blocks of a disk."""
    size = rng.choice([512, 4096])
    for _ in range(rng.randrange(1, 9)):
        start = rng.randrange(len(content) // size) * size
        yield range(start, min(start + size, len(content)))


@pytest.mark.parametrize("seed", range(8))
def test_lost_blocks_cost_at_most_the_rows_in_them(
    one_file: Wreck, tmp_path: Path, seed: int
) -> None:
    rng = Random(seed)
    for attempt in range(10):
        altered = bytearray(one_file.main)
        lost: set[Lines] = set()
        hurt: set[int] = set()
        for block in blocks(one_file.main, rng):
            garbage = bytes(len(block)) if attempt % 2 else rng.randbytes(len(block))
            altered[block.start : block.stop] = garbage
            page, first = one_file.position(block.start)
            lost |= one_file.touched(page, first, first + len(block) - 1)
            hurt.add(page)
        counts_are_whole = one_file.totals_page not in hurt
        path = one_file.write(tmp_path / str(attempt) / "spool.db", bytes(altered))
        check(one_file, path, lost, counts_are_whole=counts_are_whole)


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_file_that_goes_on_being_used_stays_balanced(
    one_file: Wreck, tmp_path: Path, seed: int
) -> None:
    """Writing may make damage worse before it is noticed; what was altered is still never sent."""
    rng = Random(seed)
    for attempt in range(10):
        altered = one_file.main
        for _ in range(5):
            altered = flipped(altered, used(altered, rng), rng.randrange(8))
        path = one_file.write(tmp_path / str(attempt) / "spool.db", altered)
        spool = open_at(path)
        fresh: list[Lines] = [(b"m,device=fresh v=%d" % n,) for n in range(30)]
        waiting = list(fresh)
        for _ in range(60):
            try:
                while waiting:
                    spool.commit(Group(rows=list(waiting[0]), seen={"s": [(1, b"12345678")]}))
                    del waiting[0]
            except StoreError:
                continue
        assert not waiting
        found = split(deliver(spool), one_file.pending + one_file.settled + fresh)
        assert set(fresh) <= set(found)
        assert_settled(spool)
        spool.close()
        shutil.rmtree(path.parent)
