"""SQLite's file format, page by page: the records that b-tree pages hold, read without SQLite.

The format is https://www.sqlite.org/fileformat2.html; sections are named where they are used.
Numbers are big-endian, pages count from 1.

Strategy: pure functions over bytes and a `read page n`, which gives a shorter page where there is
none. Nothing is believed: a length or an offset that leads out of its page, a chain that does not
end, an unknown type gives no record, never an error. Whether a record is what was once written
only its own checksum can tell, which is for the caller to know. Limits: a record of at most
`PAYLOAD_MAX` bytes; text is UTF-8.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from struct import Struct, unpack_from
from typing import NamedTuple

Read = Callable[[int], bytes]
Value = int | float | str | bytes | None
Row = tuple[Value, ...]

HEADER_BYTES = 100
PAGE_SIZE = 4096
"""What SQLite takes where nothing is said (since 3.12), and a header that is lost would say."""
PAYLOAD_MAX = 16 * 1024 * 1024
"""Far above any row of ours; hostile lengths end here."""

TABLE_LEAF, INDEX_LEAF, INDEX_INTERIOR = 0x0D, 0x0A, 0x02
_ROOT, _FREE, _BTREE = 1, 2, 5
"""Types in the pointer map, section 1.8."""

_LOCK_BYTE = 1 << 30
"""The page with this byte is never used, section 1.3."""

_MAGIC = b"SQLite format 3\0"
_PAGE_HEADER = Struct(">xHHHx")  # 8 bytes: first freeblock, number of cells, start of content
_PAGE_SIZE_MIN = 512
_FIXED_KINDS = "NIIIIIIR01??"
_FIXED_BYTES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)
"""By serial type, section 2.1; from 12 on it says how long a blob (even) or a text (odd) is."""
_MORE = 0x80


class Cell(NamedTuple):
    """One entry of a b-tree page, section 1.6; `local` is the part of the payload on the page."""

    key: int
    """The rowid; 0 in an index."""
    size: int
    local: bytes
    overflow: int
    """The page where the payload goes on; 0: it does not."""


def page_size(header: bytes) -> int:
    """What the file's header says; 0 where that cannot be true, section 1.3.2."""
    size = int.from_bytes(header[16:18], "big")
    size = 65_536 if size == 1 else size
    return size if size >= _PAGE_SIZE_MIN and size.bit_count() == 1 else 0


def reserved(header: bytes) -> int:
    """Unused bytes at the end of each page, section 1.3.4: none in our files.

    A build of SQLite may keep some to itself; a single bit is more likely a flipped one.
    """
    byte = int.from_bytes(header[20:21], "big")
    return byte if byte.bit_count() > 1 else 0


def header_problem(header: bytes) -> str:
    """What in the first `HEADER_BYTES` bytes of a file with our settings is not as it must be.

    SQLite itself is content with much of this, and would read or write the file wrongly.
    """
    schema_format, encoding = unpack_from(">I8xI", header, 44)
    largest_root, incremental_vacuum = unpack_from(">I8xI", header, 52)
    expected = {
        "magic": header[:16] == _MAGIC,
        "page size": page_size(header) > 0,
        "format version": header[18] in (1, 2) and header[19] in (1, 2),
        "reserved space": header[20] == reserved(header),
        "payload fractions": header[21:24] == b"\x40\x20\x20",
        "schema format": schema_format in range(1, 5),
        "text encoding": encoding == 1,
        "vacuum settings": largest_root > 0 and incremental_vacuum == 1,
    }
    return ", ".join(name for name, fine in expected.items() if not fine)


def is_free(number: int, read: Read, size: int, usable: int) -> bool:
    """Whether the pointer map says that the page is on the free list."""
    return _pointer_type(number, read, size, usable) == _FREE


def is_live(number: int, read: Read, size: int, usable: int) -> bool:
    """Whether the pointer map says that the page belongs to a b-tree."""
    return _pointer_type(number, read, size, usable) in (_ROOT, _BTREE)


def _pointer_type(number: int, read: Read, size: int, usable: int) -> int:
    """The page's type in the pointer map of a file with auto_vacuum, section 1.8."""
    entries = usable // 5
    if number == 1:
        return _ROOT
    map_page = (number - 2) // (entries + 1) * (entries + 1) + 2
    if map_page == _LOCK_BYTE // size + 1:
        map_page += 1
    at = 5 * (number - map_page - 1)
    page = read(map_page)
    return page[at] if 0 <= at < len(page) else 0


def cells(page: bytes, number: int, usable: int) -> Iterator[Cell]:
    """The entries of a page that holds records: leaves of tables, all pages of indexes."""
    start = HEADER_BYTES if number == 1 else 0
    if len(page) < usable or page[start] not in (TABLE_LEAF, INDEX_LEAF, INDEX_INTERIOR):
        return
    kind = page[start]
    interior = kind == INDEX_INTERIOR
    _, count, _ = _PAGE_HEADER.unpack_from(page, start)
    first = start + (12 if interior else 8)
    for at in range(first, min(first + 2 * count, usable - 1), 2):
        cell = int.from_bytes(page[at : at + 2], "big") + (4 if interior else 0)
        size, cell = _varint(page, cell)
        key = 0
        if kind == TABLE_LEAF:
            key, cell = _varint(page, cell)
        local = _local_size(size, usable, is_table=kind == TABLE_LEAF)
        end = cell + local
        if cell > usable or not 0 < size <= PAYLOAD_MAX or end + (4 * (local < size)) > usable:
            continue
        overflow = int.from_bytes(page[end : end + 4], "big") if local < size else 0
        yield Cell(key - (1 << 64) if key >> 63 else key, size, page[cell:end], overflow)


def payload(cell: Cell, read: Read, usable: int) -> bytes:
    """The whole payload, collected along the chain of overflow pages; empty if that is broken."""
    parts = [cell.local]
    left = cell.size - len(cell.local)
    following = cell.overflow
    while left > 0:
        page = read(following) if following > 0 else b""
        if len(page) < usable:
            return b""
        following = int.from_bytes(page[:4], "big")
        parts.append(page[4 : min(usable, 4 + left)])
        left -= len(parts[-1])
    return b"".join(parts)


def kinds(record: bytes) -> str:
    """A letter per column: N(ull), I(nteger), R(eal), B(lob), T(ext); empty where it is no record.

    The beginning of a record that holds its header will do.
    """
    letters = "".join(kind for kind, _ in _columns(_header(record)[0]))
    return letters.replace("0", "I").replace("1", "I")


def values(record: bytes) -> Row:
    """The columns of a record, section 2.1; of one that was cut, those that are there whole."""
    header, at = _header(record)
    found: list[Value] = []
    for kind, size in _columns(header):
        if at + size > len(record):
            break
        found.append(_value(kind, record[at : at + size]))
        at += size
    return tuple(found)


def _header(record: bytes) -> tuple[bytes, int]:
    """The types of the columns as they are stored, and where the first column begins."""
    end, at = _varint(record, 0)
    return (record[at:end], end) if end <= len(record) else (b"", 0)


@lru_cache(maxsize=256)
def _columns(header: bytes) -> tuple[tuple[str, int], ...]:
    """Kind and size of each column; none where it is no header."""
    at = 0
    found: list[tuple[str, int]] = []
    while at < len(header):
        serial, at = _varint(header, at)
        found.append((_kind(serial), _value_bytes(serial)))
    return tuple(found) if at == len(header) else ()


def _kind(serial: int) -> str:
    if serial < len(_FIXED_KINDS):
        return _FIXED_KINDS[serial]
    return "T" if serial % 2 else "B"


def _value_bytes(serial: int) -> int:
    if serial < len(_FIXED_BYTES):
        return _FIXED_BYTES[serial]
    return (serial - len(_FIXED_BYTES)) // 2


def _value(kind: str, stored: bytes) -> Value:
    match kind:
        case "T":
            return stored.decode("utf-8", "replace")
        case "B":
            return stored
        case "R":
            (real,) = unpack_from(">d", stored)
            return float(real)
        case "I":
            return int.from_bytes(stored, "big", signed=True)
        case "0" | "1":
            return int(kind)
        case _:
            return None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes and where it ends, section 1.6; what lies outside reads as 0."""
    if at < len(data) and data[at] < _MORE:
        return data[at], at + 1
    value = 0
    for index in range(at, at + 8):
        byte = data[index] if index < len(data) else 0
        value = value << 7 | byte & ~_MORE
        if byte < _MORE:
            return value, index + 1
    last = data[at + 8] if at + 8 < len(data) else 0
    return value << 8 | last, at + 9


def _local_size(size: int, usable: int, *, is_table: bool) -> int:
    """How much of a payload lies on its page, section 1.6."""
    most = usable - 35 if is_table else (usable - 12) * 64 // 255 - 23
    if size <= most:
        return size
    least = (usable - 12) * 32 // 255 - 23
    fitting = least + (size - least) % (usable - 4)
    return fitting if fitting <= most else least
