"""Registers: where a value stands and what its bits mean.

A register has 16 bits, the more significant byte first; Modbus says no more. Which word of a longer
value comes first, scales, and what stands for "no value" are every vendor's own choice.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from gateway.protocols.decimals import from_float32, scaled
from gateway.protocols.modbus.pdu import Span, Table

Order = Literal["big", "little"]


class Type(NamedTuple):
    """How the bits of a value are read."""

    words: int
    is_signed: bool = False
    is_float: bool = False


BIT: Final = "bool"

_FLOAT32_SIZE: Final = 4

TYPES: Final[Mapping[str, Type]] = MappingProxyType(
    {
        BIT: Type(1),
        "int16": Type(1, is_signed=True),
        "uint16": Type(1),
        "int32": Type(2, is_signed=True),
        "uint32": Type(2),
        "int64": Type(4, is_signed=True),
        "uint64": Type(4),
        "float32": Type(2, is_float=True),
        "float64": Type(4, is_float=True),
    }
)


@dataclass(frozen=True, slots=True)
class Register:
    """One value of a device: value = number x scale + offset."""

    name: str
    address: int
    type: str = "uint16"
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    table: Table = Table.INPUT
    word_order: Order = "big"
    byte_order: Order = "big"
    """`little`: the bytes within each register are swapped."""
    bit: int = 0
    """Of a `bool` in a register: 0 is the least significant one."""
    invalid: tuple[int, ...] = ()
    """Numbers that mean "no value", as they stand in the register."""
    separate: bool = False
    """It is read by a request of its own."""

    @property
    def count(self) -> int:
        """How many neighbours it takes in its table."""
        return TYPES[self.type].words

    @property
    def end(self) -> int:
        return self.address + self.count

    def is_within(self, span: Span) -> bool:
        """Whether an answer to the span has all of it."""
        inside = span.start <= self.address and self.end <= span.end
        return inside and self.table is span.table

    def value(self, data: bytes) -> float | bool:
        """The value of its bytes; NaN where it has none."""
        kind = TYPES[self.type]
        raw = self._big_endian(data)
        pattern = int.from_bytes(raw)
        if any(pattern == number & (1 << 8 * len(raw)) - 1 for number in self.invalid):
            return math.nan
        if self.type == BIT:
            return bool(pattern >> self.bit & 1)
        number = _float(raw) if kind.is_float else int.from_bytes(raw, signed=kind.is_signed)
        return scaled(number, self.scale, self.offset)

    def _big_endian(self, data: bytes) -> bytes:
        words = [data[at : at + 2] for at in range(0, len(data), 2)]
        if self.byte_order == "little":
            words = [word[::-1] for word in words]
        return b"".join(words if self.word_order == "big" else reversed(words))


def _float(raw: bytes) -> float:
    """An IEEE 754 number."""
    if len(raw) > _FLOAT32_SIZE:
        return float(struct.unpack(">d", raw)[0])
    return from_float32(struct.unpack(">f", raw)[0])
