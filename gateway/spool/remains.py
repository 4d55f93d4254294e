"""What is left of a damaged database: its pages, the log's before the file's, and their records.

Strategy: every page is looked at by itself, so that no other page has to be readable for it: not
the schema, not the pages that lead to it. Pages that the pointer map calls free hold what was
deleted and are left out. Where the newest version of a page is itself damaged, the one before is
looked at too. One page and one record are in memory at a time. Limits: cells that a leaf's own
header no longer leads to are lost; where the pointer map is damaged, deleted records may return.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from io import SEEK_END
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gateway.spool.pages import (
    HEADER_BYTES,
    INDEX_INTERIOR,
    INDEX_LEAF,
    PAGE_SIZE,
    TABLE_LEAF,
    Cell,
    Read,
    cells,
    header_problem,
    is_free,
    is_live,
    page_size,
    payload,
    reserved,
)
from gateway.spool.wal import Log, claimed_frames, read_at, read_header, read_log

_KINDS = (TABLE_LEAF, INDEX_LEAF, INDEX_INTERIOR)


class Found(NamedTuple):
    """A cell, and whether the page it is on is certainly part of the newest state."""

    cell: Cell
    is_table: bool
    is_live: bool


class Remains:
    """The file and its log, page by page. Reading never raises: what cannot be read is missing."""

    def __init__(self, main: BinaryIO, log: BinaryIO | None) -> None:
        self._main = main
        self._log_file = log
        self.size = main.seek(0, SEEK_END)
        self._header = read_at(main, 0, HEADER_BYTES)
        stated = page_size(self._header)
        self._log_header = read_header(log, stated or PAGE_SIZE) if log else None
        sure = self._log_header is not None and self._log_header.is_whole
        self._page_size = self._log_header.page_size if self._log_header and sure else stated
        self._page_size = self._page_size or PAGE_SIZE
        self._usable = self._page_size - reserved(self._header)

    @cached_property
    def log(self) -> Log:
        """Every page of the log is read and checked for this."""
        if self._log_file is None or self._log_header is None:
            return Log()
        return read_log(self._log_file, self._log_header)

    @cached_property
    def log_is_damaged(self) -> bool:
        header = self._log_header
        return header is not None and bool(
            self.log.torn or (self.log.newest and not header.is_whole)
        )

    def problem(self, accepted_frames: int) -> str:
        """What is damaged without SQLite noticing it; empty if nothing is.

        SQLite goes by so many frames of the log.
        """
        claimed = 0
        if self._log_file is not None and self._log_header is not None:
            claimed = claimed_frames(self._log_file, self._log_header)
        if claimed > accepted_frames and self.log_is_damaged:
            return "the log is damaged"
        if not self.size:
            return "the file is empty, its log is not" if claimed and self.log.newest else ""
        if found := header_problem(self._header):
            return f"the header is damaged: {found}"
        stated = int.from_bytes(self._header[28:32], "big") * self._page_size
        if not claimed and stated != self.size:
            return f"the file has {self.size} bytes, its header says {stated}"
        return ""

    def records(self) -> Iterator[Found]:
        """The cells of all pages that are not free."""
        pages = -(-self.size // self._page_size)
        beyond = sorted(number for number in self.log.newest if number > pages)
        for number in (*range(1, pages + 1), *beyond):
            for page, is_newest in self._versions(number):
                kind = page[HEADER_BYTES if number == 1 else 0]
                if kind not in _KINDS or self._is_free(number, self.newest):
                    continue
                live = is_newest and is_live(number, self.newest, self._page_size, self._usable)
                for cell in cells(page, number, self._usable):
                    yield Found(cell, kind == TABLE_LEAF, live)

    def payloads(self, cell: Cell) -> Iterator[bytes]:
        """The cell's payload; where damage leaves a choice of pages, all that it may be."""
        yield payload(cell, self.newest, self._usable)
        if cell.overflow and self.log.torn:
            yield payload(cell, self._sound, self._usable)

    def newest(self, number: int) -> bytes:
        return self._page(number, self.log.newest)

    def _sound(self, number: int) -> bytes:
        return self._page(number, self.log.sound)

    def _versions(self, number: int) -> Iterator[tuple[bytes, bool]]:
        """The page, and whether it is the newest; an older one where that is damaged."""
        newest, sound = self.log.newest.get(number), self.log.sound.get(number)
        yield self.newest(number), newest == sound
        if newest != sound and (sound or not self._is_free(number, self._filed)):
            yield self._sound(number), False

    def _filed(self, number: int) -> bytes:
        return self._page(number, {})

    def _page(self, number: int, offsets: dict[int, int]) -> bytes:
        offset = offsets.get(number)
        if offset is not None and self._log_file is not None:
            return read_at(self._log_file, offset, self._page_size)
        return read_at(self._main, (number - 1) * self._page_size, self._page_size)

    def _is_free(self, number: int, read: Read) -> bool:
        return is_free(number, read, self._page_size, self._usable)


def lenient_text(text: bytes) -> str:
    """Damaged text must not raise."""
    return text.decode("utf-8", "replace")


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection that leaves the file and its log as they are, also when it is closed."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    db = sqlite3.connect(address, uri=True, isolation_level=None)
    db.text_factory = lenient_text
    return db


@contextmanager
def open_remains(path: Path) -> Iterator[Remains]:
    """The file and the log beside it, neither of which has to be there."""
    with ExitStack() as stack:
        main = stack.enter_context(path.open("rb", buffering=0))
        log = Path(f"{path}-wal")
        there = log.exists()
        yield Remains(main, stack.enter_context(log.open("rb", buffering=0)) if there else None)
