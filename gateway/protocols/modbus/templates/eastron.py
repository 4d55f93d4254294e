"""Eastron SDM electricity meters: float32 values in pairs of input registers, high word first.

A request must begin on a pair and read whole pairs, at most 40 of them (SDM630 protocol, 1.1).
Power is positive when taken from the grid ("forward"). Demand values, averages and totals of import
and export are left out: the database makes them from the others.
"""

from typing import Final

from gateway.protocols.modbus.blocks import Limits
from gateway.protocols.modbus.registers import Register
from gateway.protocols.modbus.template import Template

_LIMITS: Final = Limits(size=80, gap=24)
"""A request costs as much time as 30 registers or more; the registers between read as 0."""


def _float(name: str, address: int, unit: str) -> Register:
    return Register(name, address, "float32", unit)


def _phases(name: str, address: int, unit: str) -> tuple[Register, ...]:
    """The same of each phase, one pair after the other."""
    return tuple(_float(f"{name}_l{n + 1}", address + 2 * n, unit) for n in range(3))


_ENERGY: Final = (
    _float("energy_import", 0x48, "kWh"),
    _float("energy_export", 0x4A, "kWh"),
)
_REACTIVE_ENERGY: Final = (
    _float("reactive_energy_import", 0x4C, "kvarh"),
    _float("reactive_energy_export", 0x4E, "kvarh"),
)

_ONE_PHASE: Final = (
    _float("voltage", 0x00, "V"),
    _float("current", 0x06, "A"),
    _float("power", 0x0C, "W"),
    _float("apparent_power", 0x12, "VA"),
    _float("reactive_power", 0x18, "var"),
    _float("power_factor", 0x1E, "1"),
    _float("frequency", 0x46, "Hz"),
    *_ENERGY,
    *_REACTIVE_ENERGY,
)

_THREE_PHASES: Final = (
    *_phases("voltage", 0x00, "V"),
    *_phases("current", 0x06, "A"),
    *_phases("power", 0x0C, "W"),
    *_phases("apparent_power", 0x12, "VA"),
    *_phases("reactive_power", 0x18, "var"),
    *_phases("power_factor", 0x1E, "1"),
    _float("power", 0x34, "W"),
    _float("apparent_power", 0x38, "VA"),
    _float("reactive_power", 0x3C, "var"),
    _float("power_factor", 0x3E, "1"),
    _float("frequency", 0x46, "Hz"),
    *_ENERGY,
    _float("current_n", 0xE0, "A"),
)

TEMPLATES: Final = (
    Template(
        "sdm120",
        "Eastron SDM120, one phase",
        "SDM120-Modbus protocol V2.4",
        "energy_meter",
        _ONE_PHASE,
        _LIMITS,
    ),
    Template(
        "sdm230",
        "Eastron SDM230 and SDM220, one phase",
        "SDM230-Modbus protocol V1.2",
        "energy_meter",
        _ONE_PHASE,
        _LIMITS,
    ),
    Template(
        "sdm630",
        "Eastron SDM630, three phases",
        "SDM630-Modbus protocol V1.8",
        "energy_meter",
        (
            *_THREE_PHASES,
            *_REACTIVE_ENERGY,
            *_phases("energy_import", 0x15A, "kWh"),
            *_phases("energy_export", 0x160, "kWh"),
        ),
        _LIMITS,
    ),
    Template(
        "sdm72",
        "Eastron SDM72D-M, three phases; the first version has power and energy only",
        "SDM72D-M-2 protocol",
        "energy_meter",
        _THREE_PHASES,
        _LIMITS,
    ),
)
