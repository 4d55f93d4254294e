"""SQLite's write-ahead log, read without SQLite, which ends it at the first damage, in silence.

The format is section 4 of https://www.sqlite.org/fileformat2.html: a header of 32 bytes, then
frames of 24 bytes and a page each. A frame carries the salts of its log (an older log's frames may
follow the present one's), in the last frame of a transaction the size of the database, and a
checksum that goes on from the one before.

Strategy: each frame is checked by itself, going on from the checksum that the frame before it
states, or that it should have stated; so a damaged frame condemns only itself, and those behind it
still count. A power cut leaves a torn transaction at the end, which was never committed: what
counts goes up to the last frame that ends a transaction and is whole. Damage is a frame before
that one which is not whole. SQLite has made the same checks when it opened the log, and faster:
where it has accepted all frames there is nothing to check here. Limits: a log that was cut short
tells nothing of what it has lost; damage in the very last frame looks like a power cut.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import SEEK_END
from struct import Struct, unpack
from typing import BinaryIO, Literal, NamedTuple

ByteOrder = Literal["<", ">"]

_HEADER = Struct(">8I")  # magic, version, page size, checkpoint, two salts, two checksums
_FRAME = Struct(">6I")  # page, size of the database or 0, two salts, two checksums
_MAGIC = 0x377F0682
"""Plus 1 where the checksums are made of big-endian numbers."""
_MASK = 0xFFFFFFFF
_NATIVE: ByteOrder = "<" if sys.byteorder == "little" else ">"

Sum = tuple[int, int]


class Header(NamedTuple):
    """What a log says of itself, or what is likely where that is damaged."""

    page_size: int
    salts: Sum
    order: ByteOrder
    seed: Sum
    is_whole: bool


@dataclass(slots=True)
class Log:
    """Where the pages of a log are: the offset by number of page."""

    newest: dict[int, int] = field(default_factory=dict)
    sound: dict[int, int] = field(default_factory=dict)
    """The newest version whose frame is whole."""
    torn: list[tuple[int, int]] = field(default_factory=list)
    """Pages and offsets of frames that are not whole."""


@dataclass(slots=True)
class _Frame:
    page: int
    offset: int
    ends_transaction: bool
    is_whole: bool


def read_header(file: BinaryIO, page_size: int) -> Header | None:
    """`page_size` is that of the database, which counts where the log's own header is damaged."""
    if file.seek(0, SEEK_END) < _HEADER.size:
        return None
    header = read_at(file, 0, _HEADER.size)
    magic, _, stated_size, _, salt_0, salt_1, *seed = _HEADER.unpack(header)
    known = magic in (_MAGIC, _MAGIC + 1)
    order: ByteOrder = (">" if magic == _MAGIC + 1 else "<") if known else _NATIVE
    sums = (seed[0], seed[1])
    if known and _sum(header[:24], order, (0, 0)) == sums:
        return Header(stated_size, (salt_0, salt_1), order, sums, is_whole=True)
    return Header(page_size, _first_salts(file, page_size), order, sums, is_whole=False)


def claimed_frames(file: BinaryIO, header: Header) -> int:
    """How many frames there are up to the last that ends a transaction, by their headers."""
    frame_bytes = _FRAME.size + header.page_size
    count = 0
    for index in range((file.seek(0, SEEK_END) - _HEADER.size) // frame_bytes):
        frame = read_at(file, _HEADER.size + index * frame_bytes, _FRAME.size)
        _, size, *salts, _, _ = _FRAME.unpack(frame)
        if size > 0 and (salts[0], salts[1]) == header.salts:
            count = index + 1
    return count


def read_log(file: BinaryIO, header: Header) -> Log:
    """The committed pages."""
    log = Log()
    waiting: list[_Frame] = []
    for frame in _frames(file, header):
        waiting.append(frame)
        if frame.ends_transaction and frame.is_whole:
            _add(log, waiting)
            waiting = []
    return log


def _add(log: Log, frames: list[_Frame]) -> None:
    for frame in frames:
        log.newest[frame.page] = frame.offset
        if frame.is_whole:
            log.sound[frame.page] = frame.offset
        else:
            log.torn.append((frame.page, frame.offset))


def _frames(file: BinaryIO, header: Header) -> Iterator[_Frame]:
    seeds = [header.seed]
    for index in range(claimed_frames(file, header)):
        offset = _HEADER.size + index * (_FRAME.size + header.page_size)
        frame = read_at(file, offset, _FRAME.size + header.page_size)
        page, size, *salts, sum_0, sum_1 = _FRAME.unpack_from(frame)
        sums = [_sum(frame[:8] + frame[_FRAME.size :], header.order, seed) for seed in seeds]
        whole = (sum_0, sum_1) in sums and (salts[0], salts[1]) == header.salts
        yield _Frame(page, offset + _FRAME.size, size > 0, whole)
        seeds = [(sum_0, sum_1)] if whole else [(sum_0, sum_1), sums[0]]


def _first_salts(file: BinaryIO, page_size: int) -> Sum:
    """The salts of the first frame that has any."""
    for index in range(4):
        offset = _HEADER.size + index * (_FRAME.size + page_size)
        _, _, *salts, _, _ = _FRAME.unpack(read_at(file, offset, _FRAME.size))
        if any(salts):
            return salts[0], salts[1]
    return 0, 0


def read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """What cannot be read, a bad sector or what lies behind the end, is zeros."""
    try:
        file.seek(offset)
        return file.read(size).ljust(size, b"\0")
    except OSError:
        return bytes(size)


def _sum(data: bytes, order: ByteOrder, seed: Sum) -> Sum:
    """Section 4.2."""
    words = unpack(f"{order}{len(data) // 4}I", data)
    one, two = seed
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + two) & _MASK
        two = (two + odd + one) & _MASK
    return one, two
