"""One quantity, one name, one unit, whichever decoder: the vectors of all specimens, normalized.

Each rule is a function from what is stored to complaints, and has a test of its own that it fails.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from functools import cache
from typing import NamedTuple

import pytest

from gateway.conformance import readings_of
from gateway.devices import devices
from gateway.model import Frame, Observation
from gateway.quantities import QUANTITIES, find_quantity
from tests.specimens import specimens
from tests.test_normalize import NOON, Bench

NAMED_BY_OTHERS = {"json", "text", "value", "frames", "modbus", "modbus_tcp"}
"""Decoders whose names are the payload's or the configuration's."""

OF_THEIR_OWN = {
    "alarm": "vedirect: a switch, no number",
    "flags_a": "rtl_433: status bits that only the maker explains",
    "rssi_db": "rtl_433: relative to the receiver's full scale; signal_strength is dBm",
}
"""Fields that are no quantity of the dictionary, and why; in all decoders but the above."""

SYNONYMS = {
    "battery": {"soc", "state_of_charge", "battery_level", "battery_percent", "battery_soc"},
    "carbon_dioxide": {"co2", "eco2", "carbon_dioxide_concentration"},
    "pm25": {"pm2_5", "pm_2_5", "pm02", "pm25_atm"},
    "temperature": {"temp", "temp_c", "temperature_c", "air_temperature_c", "tc"},
    "humidity": {"hum", "rh", "relative_humidity"},
    "atmospheric_pressure": {"baro", "barometer", "barometric_pressure", "air_pressure"},
    "voltage": {"volt", "volts", "u", "vrms"},
    "current": {"amps", "ampere", "amperage", "i", "irms"},
    "power": {"watt", "watts", "active_power", "power_active"},
    "apparent_power": {"va", "power_apparent"},
    "reactive_power": {"var", "power_reactive"},
    "power_factor": {"pf", "cos_phi", "cosphi"},
    "frequency": {"freq", "hz"},
    "energy_import": {"kwh", "energy_total", "import_energy", "active_energy_import"},
    "energy_export": {"export_energy", "active_energy_export", "energy_returned"},
    "latitude": {"lat"},
    "longitude": {"lon", "lng", "long"},
    "altitude": {"alt", "elevation"},
    "speed": {"sog", "speed_over_ground"},
    "course": {"cog", "track", "course_over_ground"},
    "wind_speed": {"wind", "wind_avg", "windspeed"},
    "signal_strength": {"rssi", "signal"},
    "volume": {"m3", "cubic_meters"},
}
"""Names that a decoder might give a quantity that has another one here."""


class Stored(NamedTuple):
    """A number as it gets into the database."""

    measurement: str
    field: str
    unit: str
    decoder: str


@cache
def stored() -> frozenset[Stored]:
    """Every number of every vector."""
    return frozenset(each for name in specimens() for each in _of_specimen(name))


def _of_specimen(name: str) -> Iterator[Stored]:
    specimen = specimens()[name]
    for vector in specimen.vectors:
        bench = Bench()
        stream = [specimen.resync + vector.data]
        frame = Frame(b"", NOON, vector.topic, vector.captures)
        for reading in readings_of(devices()[specimen.decoder], stream, vector):
            found = bench.normalizer.normalize(reading, frame)
            if isinstance(found, Observation):
                measurement = found.series.measurement
                for field, value in found.fields.items():
                    if not isinstance(value, str):
                        unit = bench.catalogue.units.get((measurement, field), "")
                        yield Stored(measurement, field, unit, specimen.decoder)


def units(found: Collection[Stored]) -> Iterator[str]:
    """A field has one unit, whoever brings it."""
    by_field: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for each in found:
        by_field[each.field][each.unit].add(each.decoder)
    for field, owners in by_field.items():
        if len(owners) > 1:
            yield f"{field} has several units: {dict(owners)}"


def names(found: Collection[Stored]) -> Iterator[str]:
    """What the dictionary knows is stored under its name and in its unit."""
    for each in found:
        match = find_quantity(each.field)
        if match is not None and (match.field, match.quantity.unit) != (each.field, each.unit):
            yield f"{each} should be {match.field} in {match.quantity.unit}"


def strangers(found: Collection[Stored]) -> Iterator[str]:
    """What the dictionary does not know is in the list, and nothing else is."""
    unknown = {
        each.field
        for each in found
        if each.decoder not in NAMED_BY_OTHERS and find_quantity(each.field) is None
    }
    for field in unknown - OF_THEIR_OWN.keys():
        yield f"{field} is no quantity: give it a row of the dictionary, or a reason"
    for field in OF_THEIR_OWN.keys() - unknown:
        yield f"{field} has a reason and is not there"


def synonyms(found: Collection[Stored]) -> Iterator[str]:
    """Nobody has a word of his own for a quantity that has a name."""
    proper = {word: name for name, words in SYNONYMS.items() for word in words}
    for each in found:
        if each.field in OF_THEIR_OWN:
            continue
        match = find_quantity(each.field)
        known = match.quantity.name if match is not None else ""
        parts = each.field.split("_")
        for start in ("_".join(parts[:end]) for end in range(1, len(parts) + 1)):
            if start in proper and not known.startswith(start):
                yield f"{each} is {proper[start]}"


Rule = Callable[[Collection[Stored]], Iterator[str]]


@pytest.mark.parametrize("rule", [units, names, strangers, synonyms])
def test_the_same_quantity_has_one_name_and_one_unit(rule: Rule) -> None:
    assert len(stored()) > 30
    complaints = list(rule(stored()))
    assert not complaints, "\n".join(complaints)


def test_every_decoder_of_numbers_is_there() -> None:
    assert {each.decoder for each in stored()} == set(devices())


def test_a_synonym_is_not_the_dictionarys_own_word() -> None:
    assert QUANTITIES.keys() >= SYNONYMS.keys()
    assert QUANTITIES.keys().isdisjoint(word for words in SYNONYMS.values() for word in words)


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (units, [Stored("a", "x", "V", "one"), Stored("b", "x", "A", "two")]),
        (names, [Stored("climate", "co2", "[ppm]", "one")]),
        (names, [Stored("climate", "temperature", "K", "one")]),
        (names, [Stored("climate", "temperature", "", "one")]),
        (strangers, [Stored("climate", "blinks", "", "one")]),
        (synonyms, [Stored("battery", "soc", "%", "one")]),
        (synonyms, [Stored("energy_meter", "power_active_l1", "W", "one")]),
        (synonyms, [Stored("air_quality", "pm25_atm", "ug/m3", "one")]),
    ],
)
def test_a_rule_can_fail(rule: Rule, found: list[Stored]) -> None:
    assert list(rule(found))
