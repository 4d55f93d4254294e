"""Peacefair PZEM-004T v3 (also PZEM-014, -016): one phase, ten registers, low word first.

Its address is 1 to 247; it answers to 0xF8 too, which serves where it is alone on the line. Without
mains it does not answer at all.
"""

from typing import Final

from gateway.protocols.modbus.blocks import Limits
from gateway.protocols.modbus.registers import Register
from gateway.protocols.modbus.template import Template


def _long(name: str, address: int, unit: str, scale: float) -> Register:
    return Register(name, address, "uint32", unit, scale, word_order="little")


TEMPLATES: Final = (
    Template(
        "pzem004t",
        "Peacefair PZEM-004T v3, PZEM-014, PZEM-016",
        "PZEM-004T V3.0 user manual, 2.3",
        "electricity",
        (
            Register("voltage", 0x00, "uint16", "V", 0.1),
            _long("current", 0x01, "A", 0.001),
            _long("power", 0x03, "W", 0.1),
            _long("energy", 0x05, "Wh", 1.0),
            Register("frequency", 0x07, "uint16", "Hz", 0.1),
            Register("power_factor", 0x08, "uint16", "1", 0.01),
        ),
        Limits(size=10, gap=10),
    ),
)
