"""Blocks: registers that one request reads together.

A request costs about as much time as 30 registers, so neighbours are read together, and so are
those with a few unwanted ones between them (`gap`), up to what a device answers at once. Values are
never split. A device that refuses a block may lack some of it, wanted or not: `split` makes smaller
ones, first without what is unwanted, then halves, until the guilty register stands alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from gateway.protocols.modbus.pdu import Span
from gateway.protocols.modbus.registers import Register

BITS: Final = 16
"""In the tables of bits, limits count as so many bits per register."""


class Limits(NamedTuple):
    """What one request may read of a device."""

    size: int
    gap: int


@dataclass(frozen=True, slots=True)
class Block:
    """What one request reads, and the values in it."""

    span: Span
    registers: tuple[Register, ...]

    def values(self, data: bytes) -> dict[str, float | bool]:
        """The value of each register; NaN where it has none."""
        return {register.name: self._value(register, data) for register in self.registers}

    def _value(self, register: Register, data: bytes) -> float | bool:
        at = register.address - self.span.start
        if self.span.table.holds_bits:
            return bool(data[at // 8] >> at % 8 & 1)
        return register.value(data[2 * at : 2 * (at + register.count)])


def plan(registers: Iterable[Register], limits: Limits) -> list[Block]:
    """The blocks that read all of the registers, the shortest answer first."""
    ordered = sorted(registers, key=_place)
    blocks = []
    for table, group in groupby(ordered, key=lambda register: register.table):
        factor = BITS if table.holds_bits else 1
        blocks += _join(list(group), Limits(limits.size * factor, limits.gap * factor))
    return sorted(blocks, key=lambda block: block.span.data_size)


def split(block: Block) -> list[Block]:
    """Smaller blocks that read the same; none where there are none."""
    registers = block.registers
    parts = _join(registers, Limits(block.span.count, gap=0))
    if len(parts) > 1 or len(registers) == 1:
        return parts if len(parts) > 1 else []
    middle = len(registers) // 2
    return [_block(registers[:middle]), _block(registers[middle:])]


def _place(register: Register) -> tuple[str, int, int]:
    return register.table, register.address, register.end


def _join(registers: Sequence[Register], limits: Limits) -> list[Block]:
    """Neighbours in one table, in order, as few blocks as the limits allow."""
    groups: list[list[Register]] = []
    start = end = 0
    for register in registers:
        apart = not groups or register.separate or groups[-1][-1].separate
        if apart or register.address - end > limits.gap or register.end - start > limits.size:
            groups.append([])
            start = end = register.address
        groups[-1].append(register)
        end = max(end, register.end)
    return [_block(group) for group in groups]


def _block(registers: Sequence[Register]) -> Block:
    start = registers[0].address
    end = max(register.end for register in registers)
    return Block(Span(registers[0].table, start, end - start), tuple(registers))
