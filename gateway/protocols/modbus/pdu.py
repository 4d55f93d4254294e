"""Modbus application protocol V1.1b3: the requests that read, and what answers them.

A PDU is a function code and its data, the same on every line. An answer repeats the function code;
an exception has its highest bit set, and a code for the reason.
"""

import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple


class Table(StrEnum):
    """The four tables of a device; the first two hold bits, the others registers of 16 bits."""

    COIL = "coil"
    DISCRETE = "discrete"
    HOLDING = "holding"
    INPUT = "input"

    @property
    def function(self) -> int:
        return _FUNCTIONS[self]

    @property
    def holds_bits(self) -> bool:
        return self in {Table.COIL, Table.DISCRETE}


_FUNCTIONS: Final = {Table.COIL: 1, Table.DISCRETE: 2, Table.HOLDING: 3, Table.INPUT: 4}

READ_FUNCTIONS: Final = frozenset(_FUNCTIONS.values())
BIT_FUNCTIONS: Final = frozenset({1, 2})

EXCEPTION_BIT: Final = 0x80

REGISTERS_MAX: Final = 125
"""Of one request: 250 bytes, so that the longest RTU frame has 256."""

DATA_MAX: Final = 2 * REGISTERS_MAX


class Refusal(NamedTuple):
    """An exception answer."""

    code: int

    @property
    def words(self) -> str:
        return _EXCEPTIONS.get(self.code, f"exception {self.code}")


ILLEGAL_ADDRESS: Final = 2
ILLEGAL_VALUE: Final = 3

TRY_AGAIN: Final = frozenset({5, 6})
"""It works on it, or on something else."""

UNREACHABLE: Final = frozenset({10, 11})
"""A gateway to another bus says that the device does not answer there."""

_EXCEPTIONS: Final = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "device behind the gateway does not answer",
}


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbours in one table, read by one request."""

    table: Table
    start: int
    count: int

    @property
    def end(self) -> int:
        return self.start + self.count

    @property
    def data_size(self) -> int:
        """Bytes of the values in an answer."""
        return (self.count + 7) // 8 if self.table.holds_bits else 2 * self.count

    def request(self) -> bytes:
        """The PDU that asks for it."""
        return struct.pack(">BHH", self.table.function, self.start, self.count)

    def answer(self, pdu: bytes) -> bytes | Refusal | None:
        """The values in an answer's PDU; None where it answers something else."""
        function = self.table.function
        if len(pdu) == 2 and pdu[0] == function | EXCEPTION_BIT:  # noqa: PLR2004 -- code and reason
            return Refusal(pdu[1])
        size = self.data_size
        if len(pdu) != 2 + size or pdu[0] != function or pdu[1] != size:
            return None
        return pdu[2:]

    def __str__(self) -> str:
        last = f" to {self.end - 1}" if self.count > 1 else ""
        return f"{self.table} {self.start}{last}"
