"""Damage aimed at one part each: the header, a row's checksum, the log's frames."""

import struct
from pathlib import Path

import pytest

from tests.spool.test_store import sql
from tests.spool.wreck import (
    FRAME,
    LOG_HEADER,
    PAGE,
    Wreck,
    assert_settled,
    count,
    deliver,
    open_at,
    split,
)

RESERVED, PAGES, FORMAT, ENCODING = 20, 31, 47, 59


def altered(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


@pytest.mark.parametrize("at", [RESERVED, PAGES, FORMAT, ENCODING])
@pytest.mark.parametrize("bit", range(4))
def test_a_header_that_sqlite_would_believe_is_seen_when_the_spool_is_opened(
    one_file: Wreck, tmp_path: Path, at: int, bit: int
) -> None:
    new = bytes([one_file.main[at] ^ 1 << bit])
    spool = open_at(one_file.write(tmp_path / "spool.db", altered(one_file.main, at, new)))
    assert len(spool.warnings) == 1
    assert split(deliver(spool), one_file.pending) == one_file.pending
    assert spool.totals().corrupt == 0
    assert_settled(spool)
    spool.close()


def test_a_salvage_takes_no_altered_row(one_file: Wreck, tmp_path: Path) -> None:
    row = one_file.pending[100]
    at = one_file.main.index(row[-1], (one_file.places[row].leaf - 1) * PAGE)
    content = altered(altered(one_file.main, at, b"n"), 60, b"\1")
    spool = open_at(one_file.write(tmp_path / "spool.db", content))
    assert "set aside" in spool.warnings[0]
    assert spool.totals().corrupt == len(row)
    assert sql(spool.path, "SELECT count(*) FROM rows") == [(len(one_file.pending) - 1,)]
    spool.close()


def frames(wreck: Wreck) -> list[tuple[int, int]]:
    """Page and place of every frame of the log."""
    starts = range(LOG_HEADER, len(wreck.log), FRAME)
    return [(*struct.unpack_from(">I", wreck.log, start), start) for start in starts]


def test_a_frame_that_claims_another_page_does_not_hide_that_page(
    with_log: Wreck, tmp_path: Path
) -> None:
    """An old version of some page, as the newest of a page that a row goes on to."""
    overflow = {
        page for place in with_log.places.values() for page in place.pages if page != place.leaf
    }
    tried = 0
    for page in sorted(overflow)[::5]:
        newest = with_log.frames.get(page, 0)
        _, start = next(
            (other, at) for other, at in frames(with_log) if at > newest < with_log.frames[other]
            and at != with_log.frames[other]
        )  # fmt: skip
        log = altered(with_log.log, start, struct.pack(">I", page))
        path = with_log.write(tmp_path / str(page) / "spool.db", log=log)
        spool = open_at(path)
        assert "set aside" in spool.warnings[0]
        assert set(split(deliver(spool), with_log.pending)) == set(with_log.pending)
        assert spool.totals().corrupt == 0
        spool.close()
        tried += 1
    assert tried > 5


def test_where_the_newest_version_of_a_page_is_lost_the_one_before_counts(
    with_log: Wreck, tmp_path: Path
) -> None:
    leaves = {place.leaf for place in with_log.places.values()}
    tried = 0
    for page in sorted(leaves & set(with_log.frames)):
        versions = [start for other, start in frames(with_log) if other == page]
        if len(versions) < 2 or versions[-1] == len(with_log.log) - FRAME:
            continue
        before = with_log.log[versions[-2] + 24 : versions[-2] + FRAME]
        on_page = [row for row, place in with_log.places.items() if place.leaf == page]
        lost = {row for row in on_page if b"\n".join(row)[:40] not in before}
        log = altered(with_log.log, versions[-1] + 24, bytes(8))
        spool = open_at(with_log.write(tmp_path / str(page) / "spool.db", log=log))
        found = set(split(deliver(spool), with_log.pending))
        assert set(with_log.pending) - found <= lost
        assert spool.totals().corrupt == count(with_log.pending) - count(found)
        spool.close()
        tried += len(on_page) > len(lost)
    assert tried > 3
