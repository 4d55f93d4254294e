"""Templates say everything under the names and in the units of the dictionary."""

import pytest

from gateway.protocols.modbus.blocks import plan
from gateway.protocols.modbus.template import Template
from gateway.protocols.modbus.templates import TEMPLATES
from gateway.quantities import conversion_for, find_quantity, find_unit

MEASUREMENTS = {"energy_meter", "electricity", "battery", "air_quality"}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_a_template_is_sound(template: Template) -> None:
    names = [register.name for register in template.registers]
    assert len(names) == len(set(names))
    assert template.measurement in MEASUREMENTS
    for register in template.registers:
        unit = find_unit(register.unit)
        assert unit is not None, register
        match = find_quantity(register.name, unit)
        assert match is not None, register
        assert match.field == register.name
        assert conversion_for(match.quantity, match.unit) is not None
    assert all(
        block.span.count <= template.limits.size
        for block in plan(template.registers, template.limits)
    )


@pytest.mark.parametrize("name", ["sdm120", "sdm230", "sdm630", "sdm72"])
def test_eastron_is_asked_for_whole_pairs(name: str) -> None:
    template = TEMPLATES[name]
    for block in plan(template.registers, template.limits):
        assert block.span.start % 2 == block.span.count % 2 == 0


@pytest.mark.parametrize(
    ("name", "requests"),
    [
        ("sdm120", 2),
        ("sdm630", 3),
        ("sdm72", 2),
        ("pzem004t", 1),
        ("epever", 3),
        ("senseair_s8", 1),
    ],
)
def test_few_requests_read_all_of_it(name: str, requests: int) -> None:
    assert len(plan(TEMPLATES[name].registers, TEMPLATES[name].limits)) == requests
