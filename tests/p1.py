"""What dsmr-parser (https://github.com/ndokter/dsmr_parser, MIT) calls what a P1 telegram says.

Its telegrams as JSON are the truth of the captures, and a second opinion on generated telegrams.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.model import Reading

FIELDS = {
    "ELECTRICITY_IMPORTED_TOTAL": "energy_import",
    "ELECTRICITY_EXPORTED_TOTAL": "energy_export",
    **{f"ELECTRICITY_USED_TARIFF_{n}": f"energy_import_t{n}" for n in range(1, 5)},
    **{f"ELECTRICITY_DELIVERED_TARIFF_{n}": f"energy_export_t{n}" for n in range(1, 5)},
    "ELECTRICITY_COMBINED": "absolute_energy",
    "ELECTRICITY_REACTIVE_IMPORTED_TOTAL": "reactive_energy_import",
    "ELECTRICITY_REACTIVE_EXPORTED_TOTAL": "reactive_energy_export",
    **{f"ELECTRICITY_REACTIVE_TOTAL_Q{n}": f"reactive_energy_q{n}" for n in range(1, 5)},
    "BELGIUM_CURRENT_AVERAGE_DEMAND": "power_average",
    "BELGIUM_MAXIMUM_DEMAND_MONTH": "power_maximum",
    "SHORT_POWER_FAILURE_COUNT": "power_failures",
    "LONG_POWER_FAILURE_COUNT": "long_power_failures",
    "FREQUENCY": "frequency",
    "INSTANTANEOUS_POWER_FACTOR_TOTAL": "power_factor",
    **{f"INSTANTANEOUS_REACTIVE_POWER_Q{n}": f"reactive_power_q{n}" for n in range(1, 5)},
    **{f"VOLTAGE_SAG_L{n}_COUNT": f"voltage_sags_l{n}" for n in (1, 2, 3)},
    **{f"VOLTAGE_SWELL_L{n}_COUNT": f"voltage_swells_l{n}" for n in (1, 2, 3)},
    **{f"INSTANTANEOUS_VOLTAGE_L{n}": f"voltage_l{n}" for n in (1, 2, 3)},
    **{f"INSTANTANEOUS_CURRENT_L{n}": f"current_l{n}" for n in (1, 2, 3)},
}
BOTH_DIRECTIONS = {
    "power": ("CURRENT_ELECTRICITY_USAGE", "CURRENT_ELECTRICITY_DELIVERY"),
    "reactive_power": ("CURRENT_REACTIVE_IMPORTED", "CURRENT_REACTIVE_EXPORTED"),
    **{
        f"{field}_l{n}": (f"{name}_L{n}_POSITIVE", f"{name}_L{n}_NEGATIVE")
        for field, name in (
            ("power", "INSTANTANEOUS_ACTIVE_POWER"),
            ("reactive_power", "INSTANTANEOUS_REACTIVE_POWER"),
        )
        for n in (1, 2, 3)
    },
}
"""What is taken from the grid, and what is given to it."""

MBUS_READINGS = ("MBUS_METER_READING", "HOURLY_GAS_METER_READING", "GAS_METER_READING")
MBUS_FIELDS = {3: "gas_volume", 7: "water_volume"}


def electricity(true: Mapping[str, Any]) -> dict[str, float]:
    """The fields of the electricity meter."""
    fields = {
        field: _canonical(true[key]) for key, field in FIELDS.items() if true.get(key) is not None
    }
    for field in ("energy_import", "energy_export"):
        if field not in fields and f"{field}_t2" in fields:
            fields[field] = fields[f"{field}_t1"] + fields[f"{field}_t2"]
    for field, (taken, given) in BOTH_DIRECTIONS.items():
        if taken in true:
            fields[field] = _canonical(true[taken]) - _canonical(true[given])
    if "ELECTRICITY_ACTIVE_TARIFF" in true:
        fields["tariff"] = float(true["ELECTRICITY_ACTIVE_TARIFF"]["value"])
    return fields


def _canonical(item: Mapping[str, Any]) -> float:
    """In W and var; energies are in thousands already."""
    unit = item["unit"] or ""
    kilo = unit.startswith("k") and not unit.endswith("h")
    return float(item["value"]) * (1000 if kilo else 1)


def time_ns(true: Mapping[str, Any]) -> int | None:
    """The telegram's own time."""
    stamp = true.get("P1_MESSAGE_TIMESTAMP")
    return _ns(stamp["value"]) if stamp else None


def behind(true: Mapping[str, Any], *, zone: bool = True) -> list[tuple[object, ...]]:
    """Channel, values, units and time of each meter behind it; without a zone there is no time."""
    found: list[tuple[object, ...]] = []
    for device in true.get("MBUS_DEVICES", ()):
        kind = device.get("MBUS_DEVICE_TYPE") or device["DEVICE_TYPE"]
        field = MBUS_FIELDS[int(kind["value"])]
        for item in (device[key] for key in MBUS_READINGS if key in device):
            at = _ns(item["datetime"]) if zone else None
            channel = {"channel": str(device["CHANNEL_ID"])}
            found.append((channel, {field: item["value"]}, {field: item["unit"]}, at))
    return found


def shown(reading: Reading) -> tuple[object, ...]:
    """A reading in the form of `behind`."""
    return reading.tags, reading.values, reading.units, reading.observed_at_ns


def _ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 10**9
