"""A spool to be damaged, and an opinion of its own on what must survive.

`Wreck` is a filled spool as bytes: the file, the log beside it, and what was committed. Where each
row lies is found by looking for its bytes, without the salvage's code: in the image that SQLite
makes of file and log, outside of the pages on the free list.
"""

import shutil
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeVar

from gateway.errors import StoreError
from gateway.model import Group, Pin
from gateway.spool.store import Spool

PAGE = 4096
FRAME = 24 + PAGE
LOG_HEADER = 32
CELL_HEADER = 24
"""More than what stands before a body in its cell: sizes, key, header of the record, numbers."""

PINS = [Pin("m", f"field_{n}", is_text=n % 2 > 0) for n in range(20)]
Lines = tuple[bytes, ...]
T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """The bytes of the file, by page, that a row depends on."""

    leaf: int
    spans: dict[int, range]

    @property
    def pages(self) -> set[int]:
        return set(self.spans)


@dataclass
class Wreck:
    """A spool's files before they are damaged."""

    main: bytes = b""
    log: bytes = b""
    pending: list[Lines] = field(default_factory=list)
    settled: list[Lines] = field(default_factory=list)
    log_ends: list[tuple[int, Lines]] = field(default_factory=list)
    """How long the log was after each commit since the last checkpoint."""
    ring: list[tuple[int, bytes]] = field(default_factory=list)
    places: dict[Lines, Place] = field(default_factory=dict)
    totals_page: int = 0
    frames: dict[int, int] = field(default_factory=dict)
    """Where in the log the newest version of a page is."""

    @property
    def pages(self) -> int:
        return len(self.main) // PAGE

    def write(self, path: Path, main: bytes | None = None, log: bytes | None = None) -> Path:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(self.main if main is None else main)
        log = self.log if log is None else log
        if log:
            Path(f"{path}-wal").write_bytes(log)
        return path

    def position(self, at: int) -> tuple[int, int]:
        """The page of a byte of the file (0: the log has a newer one), and the place on it."""
        page = at // PAGE + 1
        return (0 if page in self.frames else page), at % PAGE

    def position_in_log(self, at: int) -> tuple[int, int]:
        """The same for a byte of the log; the place is negative in the frame's header."""
        start = (at - LOG_HEADER) // FRAME * FRAME + LOG_HEADER
        page = next((page for page, frame in self.frames.items() if frame == start), 0)
        return page, at - start - 24

    def touched(self, page: int, first: int, last: int) -> set[Lines]:
        """The rows whose bytes, or whose place in their page, are among these bytes of a page."""
        here = [(row, place) for row, place in self.places.items() if page in place.spans]
        rows = {row for row, place in here if _overlap(place.spans[page], first, last)}
        neighbours = {row for row, place in here if place.leaf == page}
        in_directory = first < 8 + 2 * len(neighbours)
        return rows | neighbours if in_directory else rows


def _overlap(span: range, first: int, last: int) -> bool:
    return first < span.stop and last >= span.start


def open_at(path: Path) -> Spool:
    return Spool.open(path, max_bytes=2**31, min_free=0, now_ns=lambda: 1_700)


def make(folder: Path, *, checkpoint_after: int | None) -> Wreck:
    """Several hundred rows, one in ten over several pages; some settled, pins, a ring.

    `checkpoint_after` so many rows the log begins anew and is kept; None: all in one file.
    """
    wreck = Wreck()
    rng = Random(7)
    spool = open_at(folder / "original" / "spool.db")
    for number in range(400):
        size = rng.randrange(5_000, 14_000) if number % 12 == 3 else rng.randrange(40, 900)
        row = tuple(_lines(number, size))
        pair = (number, b"%08d" % number)
        spool.commit(
            Group(rows=list(row), pins=PINS[number // 20 : number // 20 + 1], seen={"s": [pair]})
        )
        wreck.ring.append(pair)
        wreck.pending.append(row)
        if number == checkpoint_after:
            with spool._open() as db:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        elif checkpoint_after is not None and number > checkpoint_after:
            wreck.log_ends.append((Path(f"{spool.path}-wal").stat().st_size, row))
        if number in (150, 300):
            batch = spool.read(10**9, 2_000, newest=False)
            assert batch is not None
            spool.settle(batch.rows, len(batch.lines), [])
            count = sum(1 for _ in batch.rows)
            wreck.settled += wreck.pending[:count]
            del wreck.pending[:count]
    if checkpoint_after is None:
        spool.close()
    else:
        wreck.log = Path(f"{spool.path}-wal").read_bytes()
    wreck.main = spool.path.read_bytes()
    spool.close()
    _survey(wreck, folder / "survey")
    return wreck


def _lines(number: int, size: int) -> Iterator[bytes]:
    """Lines without two places alike, so that a piece of them can be found."""
    while size > 0:
        line = b"m,device=d%06d v=%d " % (number, size) + b"%x" % (number * 7919 + size) * 3
        yield line
        size -= len(line) + 1


def _survey(wreck: Wreck, folder: Path) -> None:
    path = wreck.write(folder / "image.db")
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    image = path.read_bytes()
    shutil.rmtree(folder)
    free = set(_free_pages(image))
    wreck.totals_page = image.index(b"pending_bytes") // PAGE + 1
    wreck.places = {row: _place(image, b"\n".join(row), free) for row in wreck.pending}
    for start in range(LOG_HEADER, len(wreck.log) - FRAME + 1, FRAME):
        (page,) = struct.unpack_from(">I", wreck.log, start)
        wreck.frames[page] = start


def _free_pages(image: bytes) -> Iterator[int]:
    """The free list: trunks, each with a next one, a count, and leaves."""
    (trunk,) = struct.unpack_from(">I", image, 32)
    while trunk:
        yield trunk
        following, count = struct.unpack_from(">II", image, (trunk - 1) * PAGE)
        yield from struct.unpack_from(f">{count}I", image, (trunk - 1) * PAGE + 8)
        trunk = following


def _place(image: bytes, body: bytes, free: set[int]) -> Place:
    """Where the one living copy of a row is."""
    (start,) = (at for at in _copies(image, body[:40], free) if _is_cell(image, at))
    leaf = start // PAGE + 1
    local = next(
        (n for n in range(len(body)) if image[start + n] != body[n]), len(body)
    )  # behind the last byte on the leaf stands a page number, which begins with 0
    first = start % PAGE - CELL_HEADER
    spans = {leaf: range(first, start % PAGE + local + (4 if local < len(body) else 0))}
    while local < len(body):
        piece = body[local : local + PAGE - 4]
        (at,) = (at for at in _copies(image, piece, free) if at % PAGE == 4)
        spans[at // PAGE + 1] = range(4 + len(piece))
        local += len(piece)
    return Place(leaf, spans)


def _copies(image: bytes, piece: bytes, free: set[int]) -> Iterator[int]:
    """Where the piece stands, outside of free pages."""
    at = image.find(piece)
    while at >= 0:
        if at // PAGE + 1 not in free:
            yield at
        at = image.find(piece, at + 1)


def _is_cell(image: bytes, body: int) -> bool:
    """Whether the directory of a table's leaf leads there: it is no copy left in unused space."""
    start = body // PAGE * PAGE
    (cells,) = struct.unpack_from(">H", image, start + 3)
    if image[start] != 0x0D or cells > PAGE // 4:
        return False
    pointers = struct.unpack_from(f">{cells}H", image, start + 8)
    return any(0 < body - start - pointer < CELL_HEADER for pointer in pointers)


def deliver(spool: Spool) -> list[bytes]:
    """Read and settle everything; damage may be met on the way, and is mended by trying again."""
    found: list[bytes] = []
    while batch := insist(lambda: spool.read(50_000, 500, newest=False)):
        insist(partial(spool.settle, batch.rows, len(batch.lines), []))
        found += batch.lines
    return found


def insist(call: Callable[[], T]) -> T:
    for _ in range(3):
        with suppress(StoreError):
            return call()
    return call()


def split(delivered: list[bytes], rows: list[Lines]) -> list[Lines]:
    """The lines as whole rows of those that were committed; nothing else may be among them."""
    by_first = {row[0]: row for row in rows}
    found: list[Lines] = []
    at = 0
    while at < len(delivered):
        row = by_first[delivered[at]]
        assert tuple(delivered[at : at + len(row)]) == row, "an altered row"
        found.append(row)
        at += len(row)
    return found


def count(rows: list[Lines] | set[Lines]) -> int:
    return sum(len(row) for row in rows)


def assert_settled(spool: Spool) -> None:
    """The counts balance and nothing is pending."""
    t = spool.totals()
    assert t.spooled + t.retried == t.delivered + t.dead + t.evicted + t.corrupt + t.pending
    assert (t.pending, spool.pending_bytes()) == (0, 0)
