"""The archive, cut at every page boundary or with bits flipped: it starts and keeps what it can."""

import shutil
from functools import partial
from pathlib import Path
from random import Random

import pytest

from gateway.model import Group, TimeSource
from gateway.spool.archive import BEGINNING, Archive
from tests.spool.test_archive import NOON, observation
from tests.spool.wreck import PAGE, insist

POINTS = 3_000


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[bytes]]:
    """The file, and its points as lines."""
    path = tmp_path_factory.mktemp("archive") / "archive.db"
    archive = Archive.open(path, min_free=0)
    for start in range(0, POINTS, 100):
        archive.commit(
            Group(
                rows=[
                    observation(
                        f"d{n % 20}", NOON + n, TimeSource.DEVICE, value=n / 4, state=f"on {n}"
                    )
                    for n in range(start, start + 100)
                ]
            )
        )
    lines = [line for _, line in archive.export_lines(BEGINNING, POINTS)]
    archive.close()
    return path.read_bytes(), lines


def fields(line: bytes) -> set[tuple[bytes, bytes, bytes]]:
    """Each field with its series and time; the text has a blank of its own."""
    series, rest = line.replace(b"a\\ b", b"a_b").split(b" ", 1)
    values, time = rest.rsplit(b" ", 1)
    return {(series, field, time) for field in values.split(b",")}


def test_an_archive_cut_at_any_page_keeps_what_is_left(
    archived: tuple[bytes, list[bytes]], tmp_path: Path
) -> None:
    content, lines = archived
    pages = len(content) // PAGE
    assert pages > 40
    whole = {field for line in lines for field in fields(line)}
    kept: list[int] = []
    for cut in range(pages):
        path = tmp_path / str(cut) / "archive.db"
        path.parent.mkdir()
        path.write_bytes(content[: cut * PAGE])
        archive = Archive.open(path, min_free=0)
        assert len(archive.warnings) == 1
        found = {f for _, line in archive.export_lines(BEGINNING, POINTS) for f in fields(line)}
        assert found <= whole
        kept.append(len(found))
        totals = archive.totals()
        assert totals.spooled == totals.delivered
        archive.commit(Group(rows=[observation("new", NOON + POINTS, value=1.0)]))
        archive.close()
        shutil.rmtree(path.parent)
    assert kept == sorted(kept)
    assert kept[-1] > 0.9 * len(whole)
    per_page = len(whole) / pages
    assert all(count > (cut - 12) * per_page for cut, count in enumerate(kept))


@pytest.mark.parametrize("seed", range(4))
def test_any_flipped_bit_leaves_an_archive_that_works(
    archived: tuple[bytes, list[bytes]], tmp_path: Path, seed: int
) -> None:
    content, lines = archived
    rng = Random(seed)
    for attempt in range(25):
        altered = bytearray(content)
        altered[rng.randrange(len(altered))] ^= 1 << rng.randrange(8)
        path = tmp_path / str(attempt) / "archive.db"
        path.parent.mkdir()
        path.write_bytes(altered)
        archive = Archive.open(path, min_free=0)
        fresh = Group(rows=[observation("new", NOON - 1, value=1.0)])
        insist(partial(archive.commit, fresh))
        exported = insist(partial(archive.export_lines, BEGINNING, 2 * POINTS))
        found = [line for _, line in exported]
        assert len(set(lines) - set(found)) <= POINTS / 20
        archive.close()
        shutil.rmtree(path.parent)
