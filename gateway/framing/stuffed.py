"""Frames between flag bytes that do not occur within the data: HDLC (RFC 1662), SLIP and COBS.

    HDLC  7E ... 7E     7D xx means xx ^ 20
    SLIP  C0 ... C0     DB DC means C0, DB DD means DB        (RFC 1055)
    COBS  ... 00        n and n - 1 bytes that are not 0, again and again; after each such block
                        a 0 is meant, but after the last one and where n is FF
                        (Cheshire and Baker, Consistent Overhead Byte Stuffing, 1999)

One flag may end a frame and begin the next, so what follows a frame needs no flag of its own. What
precedes the first flag of a stream is noise: nothing tells whether it is whole. A frame's data is
unescaped, without its flags; its size counts everything. A broken escape is noise (`SYNTAX`).
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from gateway.framing.scanner import Scanner, noise
from gateway.model import Framed, Noise, Reason

Unescape = Callable[[bytes], bytes | None]
"""The data of the bytes between two flags, or None where an escape is broken."""


class Stuffed(Scanner):
    """`Framer` for flags and escapes."""

    def __init__(self, flag: int, unescape: Unescape, *, size_max: int) -> None:
        super().__init__(size_max)
        self._flag = flag
        self._unescape = unescape
        self._synchronized = False
        """A flag was seen: the buffer begins with a frame, or with flags before one."""

    def step(self, buffer: bytearray, *, ended: bool) -> Framed | Noise | None:
        if not self._synchronized:
            at = buffer.find(self._flag)
            if at:
                return noise(buffer, len(buffer) if at < 0 else at)
            self._synchronized = True
        start = 0
        while start < len(buffer) and buffer[start] == self._flag:
            start += 1
        end = buffer.find(self._flag, start)
        if end < 0:
            if ended or len(buffer) > self._size_max:
                self._synchronized = False  # and so the flag that begins it is not one again
            return self._idle(buffer, start)
        data = self._unescape(bytes(buffer[start:end]))
        if data is None:
            return noise(buffer, end, Reason.SYNTAX)
        return Framed(data, end + 1)

    def restart(self) -> None:
        super().restart()
        self._synchronized = False

    def _idle(self, buffer: bytearray, flags: int) -> Noise | None:
        """Of many flags in a row, which some lines send when idle, only the last one counts."""
        return noise(buffer, flags - 1) if flags > 1 else None


def _hdlc_unescape(data: bytes) -> bytes | None:
    if b"\x7d" not in data:
        return data
    if data[-1] == 0x7D:  # noqa: PLR2004 -- RFC 1662, 4.3: an abort
        return None
    return _HDLC_ESCAPE.sub(lambda pair: bytes([pair[0][1] ^ 0x20]), data)


def _slip_unescape(data: bytes) -> bytes | None:
    if b"\xdb" not in data:
        return data
    pairs = _SLIP_ESCAPE.findall(data)
    if any(pair not in _SLIP_PAIRS for pair in pairs):
        return None
    return _SLIP_ESCAPE.sub(lambda pair: _SLIP_PAIRS[pair[0]], data)


def _cobs_unescape(data: bytes) -> bytes | None:
    out = bytearray()
    at = 0
    while at < len(data):
        code = data[at]
        block = data[at + 1 : at + code]
        if len(block) < code - 1:
            return None
        out += block
        at += code
        if code < 0xFF and at < len(data):  # noqa: PLR2004 -- the longest block
            out.append(0)
    return bytes(out)


_HDLC_ESCAPE: Final = re.compile(rb"\x7d.", re.DOTALL)
_SLIP_ESCAPE: Final = re.compile(rb"\xdb.?", re.DOTALL)
_SLIP_PAIRS: Final[Mapping[bytes, bytes]] = {b"\xdb\xdc": b"\xc0", b"\xdb\xdd": b"\xdb"}


class Hdlc(Stuffed):
    """`Framer` for HDLC-like framing."""

    def __init__(self, *, size_max: int) -> None:
        super().__init__(0x7E, _hdlc_unescape, size_max=size_max)


class Slip(Stuffed):
    """`Framer` for SLIP."""

    def __init__(self, *, size_max: int) -> None:
        super().__init__(0xC0, _slip_unescape, size_max=size_max)


class Cobs(Stuffed):
    """`Framer` for COBS."""

    def __init__(self, *, size_max: int) -> None:
        super().__init__(0x00, _cobs_unescape, size_max=size_max)
