"""OBIS codes of electricity meters (IEC 62056-61): which field a register is.

A code A-B:C.D.E*F names a register: C the quantity, D how it is processed, E the tariff. DSMR, SML
and IEC 62056-21 all use it. Fields are named as docs/decisions/0004 says: phases and tariffs at the
end, power positive when taken from the grid. Meters that state import and export of power apart
(C 1 and 2) always say 0 for one of the two: `net` adds them up with their signs. Where a meter
states their difference itself (C 16), that alone counts. What has no sign (C 15, import and export
without telling which) is a field of its own. Averages and maxima of both directions over a time can
both be true, so they stay apart.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

CURRENT_AVERAGE: Final = 4
MAXIMUM: Final = 6
INSTANTANEOUS: Final = 7
TIME_INTEGRAL: Final = 8
TARIFFS_MAX: Final = 63


class Register(NamedTuple):
    """What a code means."""

    field: str
    sign: int = 1
    """-1: the register counts against the field's direction."""
    net: bool = False
    """The register is the difference of both directions already."""


_PHASE_STEP: Final = 20
_PHASES: Final = {0: "", 1: "_l1", 2: "_l2", 3: "_l3"}

_INSTANT: Final[Mapping[int, Register]] = MappingProxyType(
    {
        1: Register("power"),
        2: Register("power", -1),
        3: Register("reactive_power"),
        4: Register("reactive_power", -1),
        5: Register("reactive_power_q1"),
        6: Register("reactive_power_q2"),
        7: Register("reactive_power_q3"),
        8: Register("reactive_power_q4"),
        9: Register("apparent_power"),
        10: Register("apparent_power", -1),
        11: Register("current"),
        12: Register("voltage"),
        13: Register("power_factor"),
        14: Register("frequency"),
        15: Register("absolute_power"),
        16: Register("power", net=True),
    }
)
"""By C of all phases; each phase's is 20 more than that of the one before."""

_ENERGY: Final = {
    1: "energy_import",
    2: "energy_export",
    3: "reactive_energy_import",
    4: "reactive_energy_export",
    5: "reactive_energy_q1",
    6: "reactive_energy_q2",
    7: "reactive_energy_q3",
    8: "reactive_energy_q4",
    9: "apparent_energy",
    15: "absolute_energy",
}

_DEMAND: Final = {
    (1, CURRENT_AVERAGE): "power_average",
    (2, CURRENT_AVERAGE): "power_export_average",
    (1, MAXIMUM): "power_maximum",
    (2, MAXIMUM): "power_export_maximum",
}
"""By C and D."""

_NEUTRAL_CURRENT: Final = 91


def register(c: int, d: int, e: int = 0) -> Register | None:
    """The field of a code's C, D and E, or None: it is none of those that have one."""
    if (c, d) == (_NEUTRAL_CURRENT, INSTANTANEOUS):
        return Register("current_n")
    phase, base = divmod(c, _PHASE_STEP)
    if phase not in _PHASES:
        return None
    if d == INSTANTANEOUS:
        found = _INSTANT.get(base)
        return found and found._replace(field=found.field + _PHASES[phase])
    name = _ENERGY.get(base) if d == TIME_INTEGRAL else _DEMAND.get((base, d))
    if name is None or not 0 <= e <= TARIFFS_MAX:
        return None
    tariff = f"_t{e}" if e else ""
    return Register(name + tariff + _PHASES[phase])


def net(values: Iterable[tuple[Register, float]]) -> dict[str, float]:
    """The value of each field, from those of its registers."""
    fields: dict[str, float] = {}
    differences: dict[str, float] = {}
    for found, value in values:
        if found.net:
            differences[found.field] = value
            continue
        signed = value if found.sign > 0 else 0.0 - value
        fields[found.field] = fields[found.field] + signed if found.field in fields else signed
    return fields | differences
