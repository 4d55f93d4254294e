"""EPEVER (EPsolar) charge controllers Tracer A/AN, B/BN, LS-B, Triron: hundredths, low word first.

Their line runs at 115,200 baud. The battery's current is signed: negative while it discharges.
"""

from typing import Final

from gateway.protocols.modbus.blocks import Limits
from gateway.protocols.modbus.registers import Register
from gateway.protocols.modbus.template import Template


def _short(name: str, address: int, unit: str, *, kind: str = "uint16") -> Register:
    return Register(name, address, kind, unit, 0.01)


def _long(name: str, address: int, unit: str, *, kind: str = "uint32") -> Register:
    return Register(name, address, kind, unit, 0.01, word_order="little")


TEMPLATES: Final = (
    Template(
        "epever",
        "EPEVER charge controllers: Tracer A, AN, B, BN, LS-B",
        "B-Series Modbus specification V2.3",
        "battery",
        (
            _short("panel_voltage", 0x3100, "V"),
            _short("panel_current", 0x3101, "A"),
            _long("panel_power", 0x3102, "W"),
            _short("battery_voltage", 0x3104, "V"),
            _short("load_voltage", 0x310C, "V"),
            _short("load_current", 0x310D, "A"),
            _long("load_power", 0x310E, "W"),
            _short("battery_temperature", 0x3110, "degC", kind="int16"),
            _short("device_temperature", 0x3111, "degC", kind="int16"),
            Register("battery", 0x311A, "uint16", "%", separate=True),
            _long("load_energy", 0x330A, "kWh"),
            _long("panel_energy", 0x3312, "kWh"),
            _long("battery_current", 0x331B, "A", kind="int32"),
        ),
        Limits(size=32, gap=8),
    ),
)
