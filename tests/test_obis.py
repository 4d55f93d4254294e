"""Registers of meters by their OBIS codes."""

import pytest

from gateway.protocols.obis import Register, net, register
from gateway.quantities import find_quantity


@pytest.mark.parametrize(
    ("code", "field"),
    [
        ((1, 8, 0), "energy_import"),
        ((1, 8, 2), "energy_import_t2"),
        ((2, 8, 1), "energy_export_t1"),
        ((21, 8, 0), "energy_import_l1"),
        ((3, 8, 0), "reactive_energy_import"),
        ((1, 7, 0), "power"),
        ((16, 7, 0), "power"),
        ((36, 7, 0), "power_l1"),
        ((61, 7, 0), "power_l3"),
        ((31, 7, 0), "current_l1"),
        ((72, 7, 0), "voltage_l3"),
        ((91, 7, 0), "current_n"),
        ((14, 7, 0), "frequency"),
        ((53, 7, 0), "power_factor_l2"),
        ((23, 7, 0), "reactive_power_l1"),
        ((15, 7, 0), "absolute_power"),
        ((35, 7, 0), "absolute_power_l1"),
        ((15, 8, 0), "absolute_energy"),
        ((5, 7, 0), "reactive_power_q1"),
        ((8, 8, 0), "reactive_energy_q4"),
        ((1, 8, 10), "energy_import_t10"),
        ((1, 4, 0), "power_average"),
        ((2, 4, 0), "power_export_average"),
        ((1, 6, 2), "power_maximum_t2"),
    ],
)
def test_codes_have_their_fields_and_the_dictionary_knows_them(
    code: tuple[int, int, int], field: str
) -> None:
    found = register(*code)
    assert found is not None
    assert found.field == field
    match = find_quantity(field)
    assert match is not None
    assert match.field == field


@pytest.mark.parametrize("code", [(0, 8, 0), (31, 4, 0), (96, 1, 0), (81, 7, 1), (1, 8, 200)])
def test_what_is_no_such_register_has_none(code: tuple[int, int, int]) -> None:
    assert register(*code) is None


def test_import_and_export_of_power_are_one_field() -> None:
    power, exported = Register("power"), Register("power", -1)
    assert net([(power, 0.0), (exported, 250.0)]) == {"power": -250.0}
    assert net([(power, 120.0), (exported, 0.0)]) == {"power": 120.0}
    assert str(net([(exported, 0.0)])["power"]) == "0.0"


def test_a_difference_that_the_meter_states_counts_alone() -> None:
    registers = [register(c, 7) for c in (1, 16, 2)]
    stated = [
        (found, value)
        for found, value in zip(registers, (0.0, -249.0, 250.0), strict=True)
        if found
    ]
    assert net(stated) == {"power": -249.0}
    assert net(reversed(stated)) == {"power": -249.0}
