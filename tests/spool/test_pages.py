"""Pages and logs read without SQLite: what SQLite has written is read, and garbage is harmless."""

import io
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from gateway.spool.pages import (
    Cell,
    cells,
    header_problem,
    is_free,
    is_live,
    kinds,
    payload,
    values,
)
from gateway.spool.remains import Remains
from gateway.spool.wal import claimed_frames, read_header, read_log
from tests.spool.wreck import FRAME, LOG_HEADER, PAGE, Wreck

ROWS: list[tuple[object, ...]] = [
    (-(2**63), None, 0.5, "text", b"blob"),
    (-1, 0, 1.0, "", b""),
    (0, 1, -2.5, "\u00e9", b"\0" * 200),
    (1, 127, 1e300, "x" * 5_000, b"y" * 70_000),
    (300, -128, 3.0, "a", b"b" * 4_060),
    (2**40, 2**15, 0.1, "b", b"c" * 4_061),
    (2**62, -(2**23), 0.1, "b", b"c" * 4_062),
    (2**63 - 1, 2**47, 2.0**60, "c", b"d" * 4_093),
]


def database(path: Path, page_size: int, schema: str) -> Remains:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA page_size = {page_size}")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute(schema)
        db.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", ROWS)
        db.commit()
    return Remains(io.BytesIO(path.read_bytes()), None)


@pytest.mark.parametrize("page_size", [512, 1024, 4096, 65536])
def test_all_kinds_of_values_come_back(tmp_path: Path, page_size: int) -> None:
    schema = "CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER, c REAL, d TEXT, e BLOB)"
    remains = database(tmp_path / "t.db", page_size, schema)
    found = []
    for cell, is_table, live in remains.records():
        row = values(next(remains.payloads(cell)))
        if kinds(cell.local)[:1] == "N":
            found.append((cell.key, *row[1:]))
            assert is_table
            assert live
    assert sorted(found) == ROWS


@pytest.mark.parametrize("page_size", [512, 4096])
def test_tables_without_rowid_come_back(tmp_path: Path, page_size: int) -> None:
    schema = (
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER, c REAL, d TEXT, e BLOB) WITHOUT ROWID"
    )
    remains = database(tmp_path / "t.db", page_size, schema)
    found = [
        values(next(remains.payloads(cell)))
        for cell, is_table, _ in remains.records()
        if not is_table
    ]
    assert sorted(found) == ROWS


def test_the_pointer_map_agrees_with_the_free_list(one_file: Wreck) -> None:
    pages = [one_file.main[at : at + PAGE] for at in range(0, len(one_file.main), PAGE)]

    def read(number: int) -> bytes:
        return pages[number - 1] if 0 < number <= len(pages) else b""

    used = {page for place in one_file.places.values() for page in place.pages}
    leaves = {place.leaf for place in one_file.places.values()}
    assert all(not is_free(page, read, PAGE, PAGE) for page in used)
    assert all(is_live(page, read, PAGE, PAGE) for page in leaves)
    assert not any(is_live(page, read, PAGE, PAGE) for page in used - leaves)


def test_the_pointer_map_steps_over_the_page_that_is_never_used() -> None:
    """At 1 GiB, where SQLite keeps its locks; the map that would be there is one page on."""
    asked: list[int] = []

    def read(number: int) -> bytes:
        asked.append(number)
        return b""

    lock_page = (1 << 30) // 1024 + 1
    entries = 1024 // 5 + 1
    first = (lock_page - 2) // entries * entries + 2
    is_free(first + 5, read, 1024, 1024)
    assert asked == [first + (first == lock_page)]


def test_garbage_gives_no_error() -> None:
    rng = Random(5)
    for _ in range(3_000):
        page = bytearray(rng.randbytes(512))
        page[0] = rng.choice([2, 10, 13])
        page[3:5] = rng.randrange(300).to_bytes(2, "big")
        for cell in cells(bytes(page), rng.choice([1, 2]), 512):
            values(cell.local)
            kinds(cell.local)
            payload(cell, lambda _: bytes(page), 512)  # noqa: B023 -- called here and now


def test_a_chain_of_pages_that_goes_in_circles_ends() -> None:
    page = (7).to_bytes(4, "big") + bytes(508)
    cell = Cell(1, 1_000_000, b"x" * 100, 7)
    assert len(payload(cell, lambda _: page, 512)) == 1_000_000


def test_the_header_of_a_spool_is_fine_and_each_flipped_bit_that_matters_is_seen(
    one_file: Wreck,
) -> None:
    header = one_file.main[:100]
    assert header_problem(header) == ""
    for at in (*range(18), 18, 19, 20, 21, 22, 23, 47, 59, 67):
        for bit in range(8):
            flipped = bytearray(header)
            flipped[at] ^= 1 << bit
            harmless = at in (18, 19) and flipped[at] in (1, 2)
            assert bool(header_problem(bytes(flipped))) != harmless, f"byte {at}, bit {bit}"


def test_a_whole_log_is_read_as_sqlite_does(with_log: Wreck) -> None:
    file = io.BytesIO(with_log.log)
    header = read_header(file, PAGE)
    assert header is not None
    log = read_log(file, header)
    assert header.is_whole
    assert log.newest == log.sound == {p: at + 24 for p, at in with_log.frames.items()}
    assert not log.torn


def test_a_damaged_frame_condemns_only_itself(with_log: Wreck) -> None:
    frames = (len(with_log.log) - LOG_HEADER) // FRAME
    for number in range(0, frames - 1, 5):
        at = (0, 4, 8, 16, 23, 24, FRAME - 1)[number % 7]
        altered = bytearray(with_log.log)
        altered[LOG_HEADER + number * FRAME + at] ^= 4
        file = io.BytesIO(altered)
        header = read_header(file, PAGE)
        assert header is not None
        assert claimed_frames(file, header) == frames
        torn = read_log(file, header).torn
        assert [offset for _, offset in torn] == [LOG_HEADER + number * FRAME + 24]
