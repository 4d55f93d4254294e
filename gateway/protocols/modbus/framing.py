"""How frames are cut from a line: RTU by checksum, Modbus TCP by length.

RTU has no marks, only silences of 3.5 characters, and these do not survive drivers and adapters. So
every length that the front of the buffer may have is tried, and the CRC decides: answers to the
functions 1 to 4 by their byte count, exceptions of 5 bytes, requests of 8, and what another master
writes. What no length fits is noise, byte by byte. The beginning of a long answer may look like a
request with a valid CRC once in 65,536 times, and for a register that never changes always: so
where both are possible, it is a request once an answer of the same device follows it.

The header of Modbus TCP (MBAP: transaction, 0, length, unit) has no checksum: a frame counts where
what it contains has the length that it states.
"""

from collections.abc import Iterator
from typing import Final

from gateway.framing.checksums import crc16_modbus
from gateway.framing.scanner import Scanner, noise
from gateway.model import Framed, Noise
from gateway.protocols.modbus.pdu import BIT_FUNCTIONS, DATA_MAX, EXCEPTION_BIT, READ_FUNCTIONS

CRC_SIZE: Final = 2
RTU_SIZE_MAX: Final = 256
REQUEST_SIZE: Final = 8
ADDRESSES: Final = range(1, 255)
"""1 to 247, and the general addresses of some vendors above; 0 is a broadcast, never answered."""

MBAP_SIZE: Final = 7
TCP_SIZE_MAX: Final = 260

_HEADER: Final = 3
_EXCEPTION_SIZE: Final = 5
_WRITE_ONE: Final = frozenset({5, 6})
_WRITE_MANY: Final = frozenset({15, 16})
_WRITTEN_AT: Final = 6
"""Where a request that writes many says how many bytes."""

_MAY_FAIL: Final = READ_FUNCTIONS | _WRITE_ONE | _WRITE_MANY


def has_valid_crc(frame: bytes) -> bool:
    """Whether an RTU frame is undamaged."""
    return crc16_modbus(frame[:-CRC_SIZE]) == int.from_bytes(frame[-CRC_SIZE:], "little")


class RtuFramer(Scanner):
    """`Framer` for a serial line or any other transparent stream."""

    def __init__(self) -> None:
        super().__init__(RTU_SIZE_MAX)

    def step(self, buffer: bytearray, *, ended: bool) -> Framed | Noise | None:
        if buffer[0] not in ADDRESSES:
            return noise(buffer, 1)
        if len(buffer) < _HEADER:
            return None
        sizes = list(_sizes(buffer))
        fitting = [size for size in sizes if _fits(buffer, size)]
        incomplete = not ended and any(size > len(buffer) for size in sizes)
        if fitting and not (incomplete and _may_be_an_answer(buffer, fitting)):
            return Framed(bytes(buffer[: fitting[-1]]), fitting[-1])
        return None if incomplete else noise(buffer, 1)


def _sizes(frame: bytearray) -> Iterator[int]:
    """Every length that the frame at the front may have."""
    function = frame[1]
    if function in READ_FUNCTIONS:
        yield REQUEST_SIZE
        yield from _answer_sizes(frame)
    elif function in _WRITE_ONE:
        yield REQUEST_SIZE
    elif function in _WRITE_MANY:
        yield REQUEST_SIZE
        if len(frame) > _WRITTEN_AT:
            yield min(_WRITTEN_AT + 1 + frame[_WRITTEN_AT] + CRC_SIZE, RTU_SIZE_MAX)
    elif function & ~EXCEPTION_BIT in _MAY_FAIL:
        yield _EXCEPTION_SIZE


def _answer_sizes(frame: bytearray) -> Iterator[int]:
    function, count = frame[1], frame[2]
    if 1 <= count <= DATA_MAX and (function in BIT_FUNCTIONS or count % 2 == 0):
        yield _HEADER + count + CRC_SIZE


def _fits(buffer: bytearray, size: int) -> bool:
    return size <= len(buffer) and has_valid_crc(bytes(buffer[:size]))


def _may_be_an_answer(buffer: bytearray, fitting: list[int]) -> bool:
    """Whether what has a request's length may be the beginning of a longer answer."""
    return fitting == [REQUEST_SIZE] and buffer[1] in READ_FUNCTIONS and not _is_answered(buffer)


def _is_answered(buffer: bytearray) -> bool:
    """Whether the request at the front is followed by an answer of the same device."""
    answer = buffer[REQUEST_SIZE:]
    if len(answer) < _HEADER or answer[0] != buffer[0] or answer[1] & ~EXCEPTION_BIT != buffer[1]:
        return False
    sizes = [_EXCEPTION_SIZE] if answer[1] & EXCEPTION_BIT else _answer_sizes(answer)
    return any(_fits(answer, size) for size in sizes)


class TcpFramer(Scanner):
    """`Framer` for Modbus TCP."""

    def __init__(self) -> None:
        super().__init__(TCP_SIZE_MAX)

    def step(self, buffer: bytearray, *, ended: bool) -> Framed | Noise | None:  # noqa: ARG002
        if any(buffer[2:4]):
            return noise(buffer, 1)
        if len(buffer) < MBAP_SIZE + 2:
            return None
        size = MBAP_SIZE - 1 + int.from_bytes(buffer[4:6])
        if size not in _tcp_sizes(buffer):
            return noise(buffer, 1)
        return Framed(bytes(buffer[:size]), size) if size <= len(buffer) else None


def _tcp_sizes(frame: bytearray) -> Iterator[int]:
    """What the length may be by the function: without a checksum, this is all there is to check."""
    function, count = frame[MBAP_SIZE : MBAP_SIZE + 2]
    if function & EXCEPTION_BIT:
        yield MBAP_SIZE + 2
    elif function in READ_FUNCTIONS and 1 <= count <= DATA_MAX:
        yield MBAP_SIZE + 2 + count
