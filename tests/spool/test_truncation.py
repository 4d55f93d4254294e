"""A spool cut at every page boundary, with and without a log beside it: what is left comes back."""

import shutil
from pathlib import Path

import pytest

from gateway.model import Group
from gateway.spool.store import Spool
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


def survivors(wreck: Wreck, spool: Spool) -> list[Lines]:
    """What the spool delivers, after which it is as good as new."""
    found = split(deliver(spool), wreck.pending + wreck.settled)
    assert_settled(spool)
    spool.commit(Group(rows=[b"m v=1 1"]))
    assert deliver(spool) == [b"m v=1 1"]
    assert_settled(spool)
    return found


def test_the_wrecks_are_worth_damaging(one_file: Wreck, with_log: Wreck) -> None:
    for wreck in (one_file, with_log):
        assert len(wreck.pending) > 200
        assert len(wreck.settled) > 50
        assert sum(len(place.pages) > 1 for place in wreck.places.values()) > 20
        assert wreck.pages > 70
    assert len(with_log.frames) > 20
    assert any(page > with_log.pages for page in with_log.frames)


@pytest.mark.parametrize("part", range(4))
def test_a_file_cut_at_any_page_gives_back_every_whole_row(
    one_file: Wreck, tmp_path: Path, part: int
) -> None:
    for pages in range(part, one_file.pages, 4):
        path = one_file.write(tmp_path / str(pages) / "spool.db", one_file.main[: pages * PAGE])
        spool = open_at(path)
        assert len(spool.warnings) == 1
        kept = [row for row in one_file.pending if max(one_file.places[row].pages) <= pages]
        ring = spool.seen("s")
        assert set(ring) <= set(one_file.ring)
        assert set(spool.pins()) <= set(PINS)
        assert survivors(one_file, spool) == kept
        if pages >= one_file.totals_page:
            assert spool.totals().corrupt == count(one_file.pending) - count(kept)
            assert spool.totals().delivered == count(kept) + count(one_file.settled) + 1
        spool.close()
        shutil.rmtree(path.parent)


@pytest.mark.parametrize("part", range(4))
def test_a_file_cut_at_any_page_has_its_log_besides(
    with_log: Wreck, tmp_path: Path, part: int
) -> None:
    for pages in range(part, with_log.pages, 4):
        path = with_log.write(tmp_path / str(pages) / "spool.db", with_log.main[: pages * PAGE])
        there = set(range(1, pages + 1)) | set(with_log.frames)
        kept = [row for row in with_log.pending if with_log.places[row].pages <= there]
        spool = open_at(path)
        found = survivors(with_log, spool)
        assert sorted(found) == sorted(kept)
        assert spool.warnings or len(kept) == len(with_log.pending)
        assert spool.totals().corrupt == count(with_log.pending) - count(kept)
        spool.close()
        shutil.rmtree(path.parent)


@pytest.mark.parametrize("part", range(4))
def test_a_log_cut_anywhere_gives_back_what_was_committed_until_then(
    with_log: Wreck, tmp_path: Path, part: int
) -> None:
    """As after a power cut; what only the rest of the log knew is not known any more."""
    later = {row for _, row in with_log.log_ends}
    earlier = [row for row in with_log.settled + with_log.pending if row not in later]
    frames = (len(with_log.log) - LOG_HEADER) // FRAME
    cuts = [LOG_HEADER + n * FRAME - (n % 3) * 1000 for n in range(1, frames)]
    for cut in cuts[part::12]:
        path = with_log.write(tmp_path / str(cut) / "spool.db", log=with_log.log[:cut])
        committed = earlier + [row for end, row in with_log.log_ends if end <= cut]
        spool = open_at(path)
        assert not spool.warnings
        found = survivors(with_log, spool)
        assert set(found) <= set(committed)
        assert set(committed) - set(with_log.settled) <= set(found)
        assert spool.totals().corrupt == 0
        spool.close()
        shutil.rmtree(path.parent)
