"""Dead letters: bounded, counted, and dealt with whole or not at all."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.model import DeadLetter, Group
from gateway.spool import letters
from gateway.spool.letters import KeptLetter, Selection
from gateway.spool.rows import LOWEST
from gateway.spool.store import Spool
from tests.spool.conftest import OpenSpool
from tests.spool.test_store import assert_balanced, lines, read_all, sql

NO = "field type conflict"
Step = Callable[[list[KeptLetter]], None]


def kill(spool: Spool, *dead: bytes, message: str = NO, status: int = 400) -> None:
    """The lines come, and die."""
    spool.commit(Group(rows=list(dead)))
    batch = spool.read(10**9, 10**9, newest=False)
    assert batch is not None
    spool.settle(batch.rows, 0, [DeadLetter(line, status, message) for line in batch.lines])


def kept_lines(spool: Spool) -> list[bytes]:
    """The oldest first."""
    return [kept.letter.line for kept in reversed(spool.dead_letters(10**9))]


def assert_accounted(spool: Spool) -> None:
    """Lines and letters add up, and the counts say what the table holds."""
    assert_balanced(spool)
    kept = spool.dead_letters(10**9)
    counts, totals = spool.letter_counts(), spool.totals()
    assert (counts.kept, counts.kept_bytes) == (len(kept), sum(letter.size for letter in kept))
    assert totals.dead == counts.kept + totals.retried + counts.dropped + counts.forgotten


def test_the_latest_letters_are_kept_and_the_others_counted(
    open_spool: OpenSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.spool.letters.LETTERS_MAX", 100)
    spool = open_spool()
    for n in range(0, 120, 10):
        kill(spool, *lines(n, n + 9))
        assert_accounted(spool)
    assert kept_lines(spool) == lines(20, 119)
    assert spool.dead_letters(1)[0].letter.line == lines(119, 119)[0]
    assert spool.letter_counts().forgotten == 20
    assert spool.totals().dead == 120


def test_numbers_that_are_missing_make_no_room_early(
    open_spool: OpenSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.spool.letters.LETTERS_MAX", 100)
    spool = open_spool()
    kill(spool, *lines(1, 100))
    spool.drop(spool.dead_letters(90))
    kill(spool, *lines(101, 150))
    assert kept_lines(spool) == lines(1, 10) + lines(101, 150)
    assert spool.letter_counts().forgotten == 0
    assert_accounted(spool)


def test_long_letters_are_bounded_by_a_share_of_the_spool(open_spool: OpenSpool) -> None:
    """100,000 letters of 64 KiB would be three times the default spool."""
    limit = 4 * 2**20
    spool = open_spool(max_bytes=limit)
    for n in range(100):
        kill(spool, *lines(n, n, size=60_000), *lines(n, n))
        assert spool.letter_counts().kept_bytes <= limit // letters.SHARE_OF_SPOOL
        assert_accounted(spool)
    assert kept_lines(spool)[-2:] == [*lines(99, 99, size=60_000), *lines(99, 99)]
    assert 14 <= spool.letter_counts().kept <= 18
    spool.close()  # the log counts too, until it is checkpointed
    again = open_spool(max_bytes=limit)
    space = again.space()
    assert space["file"] - space["free_pages"] < limit // 4
    assert again.pressure() < 1, "letters leave most of the spool to what is pending"


def test_the_latest_letter_is_kept_whatever_its_size(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=2**20)
    kill(spool, *lines(1, 5))
    kill(spool, *lines(6, 6, size=200_000))
    assert kept_lines(spool) == lines(6, 6, size=200_000)
    assert_accounted(spool)
    kill(spool, *lines(7, 8))
    assert kept_lines(spool) == lines(7, 8)
    assert spool.letter_counts().forgotten == 6
    assert_accounted(spool)


def test_a_retried_line_is_pending_again_and_no_letter_any_more(open_spool: OpenSpool) -> None:
    spool = open_spool()
    kill(spool, *lines(1, 3))
    spool.commit(Group(rows=lines(10, 10)))
    one, two, three = reversed(spool.dead_letters(10))
    spool.retry([(one, b"m mended=1 1"), (three, three.letter.line)])
    assert read_all(spool) == [*lines(10, 10), b"m mended=1 1", *lines(3, 3)]
    assert spool.dead_letters(10) == [two]
    totals = spool.totals()
    assert (totals.spooled, totals.dead, totals.retried, totals.pending) == (4, 3, 2, 3)
    assert spool.pending_bytes() == sum(len(line) + 1 for line in read_all(spool))
    assert_accounted(spool)
    spool.close()
    again = open_spool()
    assert again.totals() == totals
    assert_accounted(again)


def test_a_retried_line_may_die_again(open_spool: OpenSpool) -> None:
    spool = open_spool()
    kill(spool, *lines(1, 1))
    (first,) = spool.dead_letters(10)
    spool.retry([(first, first.letter.line)])
    batch = spool.read(10**9, 10**9, newest=False)
    assert batch is not None
    spool.settle(batch.rows, 0, [DeadLetter(batch.lines[0], 400, "again")])
    (second,) = spool.dead_letters(10)
    assert (second.id, second.letter.message) == (2, "again")
    assert spool.totals().dead == 2
    assert_accounted(spool)


def test_dropped_letters_stay_counted(open_spool: OpenSpool) -> None:
    spool = open_spool()
    kill(spool, *lines(1, 5))
    spool.drop(spool.dead_letters(2))
    assert kept_lines(spool) == lines(1, 3)
    assert spool.letter_counts().dropped == 2
    assert spool.totals().dead == 5
    assert_accounted(spool)
    spool.drop([])
    assert spool.letter_counts().dropped == 2


def test_a_number_is_never_given_again(open_spool: OpenSpool) -> None:
    """What was exported up to 3 and is dropped up to 3 must not be another letter."""
    spool = open_spool()
    kill(spool, *lines(1, 3))
    spool.drop(spool.dead_letters(10))
    spool.close()
    again = open_spool()
    kill(again, *lines(4, 5))
    assert [kept.id for kept in again.dead_letters(10)] == [5, 4]


def test_letters_are_dealt_with_once(open_spool: OpenSpool) -> None:
    spool = open_spool()
    kill(spool, *lines(1, 2))
    found = spool.dead_letters(1)
    spool.drop(found)
    with pytest.raises(ValueError, match="dealt with before"):
        spool.drop(found)
    with pytest.raises(ValueError, match="dealt with before"):
        spool.retry([(found[0], b"m f=1 1")])
    assert read_all(spool) == []
    assert_accounted(spool)


def full(spool: Spool) -> None:
    with spool._open() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_refuses_a_retry_and_keeps_the_letters(open_spool: OpenSpool) -> None:
    spool = open_spool()
    kill(spool, *lines(1, 1), *lines(2, 300, size=200))
    before, found = spool.totals(), spool.dead_letters(10**9)
    full(spool)
    with pytest.raises(StoreError, match="the disk is full"):
        spool.retry([(letter, letter.letter.line) for letter in found])
    assert spool.dead_letters(10**9) == found
    assert spool.totals() == before
    assert_accounted(spool)
    spool.drop(found)
    assert_accounted(spool)


def test_a_crash_between_two_calls_loses_and_doubles_nothing(
    open_spool: OpenSpool, tmp_path: Path
) -> None:
    spool = open_spool()
    kill(spool, *lines(1, 9))
    steps: list[Step] = [
        lambda found: spool.retry([(letter, letter.letter.line) for letter in found[:2]]),
        lambda found: spool.drop(found[2:4]),
        lambda found: spool.retry([(found[4], b"m mended=1 1")]),
    ]
    found = spool.dead_letters(10)
    for n, step in enumerate(steps):
        step(found)
        copy = tmp_path / f"crash-{n}"
        copy.mkdir()
        for name in ("spool.db", "spool.db-wal"):
            shutil.copy(tmp_path / name, copy)
        crashed = open_spool(copy / "spool.db")
        assert crashed.totals() == spool.totals()
        assert crashed.dead_letters(10) == spool.dead_letters(10)
        assert read_all(crashed) == read_all(spool)
        assert_accounted(crashed)


def select(spool: Spool, selection: Selection, **how: int) -> list[int]:
    with spool.reading() as db:
        found = letters.find(
            db,
            selection,
            after=how.get("after", LOWEST),
            limit=how.get("limit", 100),
            max_bytes=how.get("max_bytes", 10**9),
        )
        unbounded = letters.find(db, selection, limit=10**9, max_bytes=10**9)
        highest = max((kept.id for kept in unbounded), default=0)
        assert letters.measure(db, selection) == (len(unbounded), highest)
    return [kept.id for kept in found]


def test_letters_are_selected_by_number_words_and_limit(open_spool: OpenSpool) -> None:
    spool = open_spool()
    kill(spool, *lines(1, 3))
    kill(spool, *lines(4, 6), message="beyond 100 % of the retention_policy")
    assert select(spool, letters.ALL) == [1, 2, 3, 4, 5, 6]
    assert select(spool, Selection((5, 2, 99))) == [2, 5]
    assert select(spool, Selection(message="retention_policy")) == [4, 5, 6]
    assert select(spool, Selection(message="100 %")) == [4, 5, 6], "no patterns"
    assert select(spool, Selection(message="%")) == [4, 5, 6]
    assert select(spool, Selection(message="retentionXpolicy")) == []
    assert select(spool, Selection(up_to=4)) == [1, 2, 3, 4]
    assert select(spool, Selection(message="beyond", up_to=4)) == [4]
    assert select(spool, Selection(up_to=0)) == []
    assert select(spool, letters.ALL, after=4) == [5, 6]
    assert select(spool, letters.ALL, limit=2) == [1, 2]
    assert select(spool, letters.ALL, max_bytes=1) == [1], "at least one"
    size = spool.dead_letters(1)[0].size
    assert select(spool, letters.ALL, after=3, max_bytes=2 * size) == [4, 5]


def test_a_file_of_an_earlier_version_is_counted_when_it_is_opened(open_spool: OpenSpool) -> None:
    """It kept the latest 100,000 and had no counts of them."""
    spool = open_spool()
    kill(spool, *lines(1, 8))
    spool.close()
    sql(spool.path, "DELETE FROM totals WHERE name LIKE 'letter%'")
    sql(spool.path, "DELETE FROM dead_letters WHERE id <= 3")
    again = open_spool()
    assert again.warnings == []
    assert again.letter_counts() == (5, sum(k.size for k in again.dead_letters(10)), 0, 3)
    assert_accounted(again)
    again.close()
    assert ("letters", 5) in sql(spool.path, "SELECT name, value FROM totals")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE totals SET value = value + 64 WHERE name = 'letters'",
        "UPDATE totals SET value = value - 64 WHERE name = 'letters'",
        "UPDATE totals SET value = value + 64 WHERE name = 'letters_dropped'",
        "UPDATE totals SET value = value + 64 WHERE name = 'dead'",
        "UPDATE totals SET value = 0 WHERE name = 'dead'",
        "UPDATE totals SET value = value + 64 WHERE name = 'retried'",
        "DELETE FROM dead_letters WHERE id = 2",
        "DELETE FROM totals WHERE name LIKE 'letter%'; DELETE FROM dead_letters",
    ],
)
def test_damaged_counts_are_made_to_agree_with_the_letters(
    open_spool: OpenSpool, damage: str
) -> None:
    spool = open_spool()
    kill(spool, *lines(1, 8))
    found = spool.dead_letters(10)
    spool.drop(found[:2])
    spool.retry([(found[2], found[2].letter.line)])
    spool.close()
    for statement in damage.split(";"):
        sql(spool.path, statement)
    again = open_spool()
    assert_balanced(again)
    if "DELETE FROM dead_letters" not in damage:
        assert_accounted(again)
        assert kept_lines(again) == lines(1, 5)
    kill_more(again)
    again.close()
    assert open_spool().warnings == []


def kill_more(spool: Spool) -> None:
    """It goes on."""
    before = spool.letter_counts()
    batch = spool.read(10**9, 10**9, newest=False)
    assert batch is not None
    spool.settle(batch.rows, 0, [DeadLetter(line, 400, NO) for line in batch.lines])
    assert spool.letter_counts().kept == before.kept + len(batch.lines)


def test_a_damaged_letter_breaks_nothing(open_spool: OpenSpool) -> None:
    spool = open_spool()
    kill(spool, *lines(1, 3))
    spool.close()
    sql(
        spool.path,
        "UPDATE dead_letters SET line = CAST(x'fffe' AS TEXT), message = x'ff', status = 'x',"
        " at_ns = 'y' WHERE id = 2",
    )
    again = open_spool()
    two = next(kept for kept in again.dead_letters(10) if kept.id == 2)
    assert two == KeptLetter(2, 0, DeadLetter(b"\xff\xfe", 0, "\ufffd"))
    again.drop(again.dead_letters(10))
    assert again.letter_counts().kept == 0
