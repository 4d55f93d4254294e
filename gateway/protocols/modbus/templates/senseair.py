"""SenseAir S8: CO2 in input register 4 ("IR4", address 3). It answers to 0xFE, "any sensor".

It reads at most 8 registers at once, measures every 2 s (LP: 4 s), and answers within 180 ms.
"""

from typing import Final

from gateway.protocols.modbus.blocks import Limits
from gateway.protocols.modbus.registers import Register
from gateway.protocols.modbus.template import Template

TEMPLATES: Final = (
    Template(
        "senseair_s8",
        "SenseAir S8 (004-0-0053 and others)",
        "Modbus on SenseAir S8, TDE2067",
        "air_quality",
        (Register("carbon_dioxide", 0x03, "int16", "ppm"),),
        Limits(size=8, gap=0),
    ),
)
