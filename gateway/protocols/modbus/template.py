"""A template: the registers of a product, as its maker documents them."""

from typing import NamedTuple

from gateway.protocols.modbus.blocks import Limits
from gateway.protocols.modbus.registers import Register


class Template(NamedTuple):
    """What a device of one kind can be asked, and how much at once."""

    name: str
    summary: str
    source: str
    """The maker's document."""
    measurement: str
    registers: tuple[Register, ...]
    limits: Limits
