"""A template: the registers of a product, as its maker documents them."""

from typing import NamedTuple

from gateway.modbus.blocks import Limits
from gateway.modbus.registers import Register


class Template(NamedTuple):
    """What a device of one kind can be asked, and how much at once."""

    name: str
    summary: str
    source: str
    """The maker's document."""
    measurement: str
    registers: tuple[Register, ...]
    limits: Limits
