"""Pages of meters that speak text: the configuration works, and each field is explained."""

import re
from pathlib import Path

import pytest

from gateway.config import load
from gateway.conformance import Vector, readings_of
from gateway.devices import devices
from simulators.devices import make_device
from simulators.world import World

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "devices"
VARIANTS = {
    "dsmr": ("v2.2", "v5", "fluvius"),
    "iec62056": ("q3d", "d0"),
    "teleinfo": ("historic", "standard", "alarm"),
}
SUFFIX = re.compile(r"_(?:[lq][1-4]|t\d+)$")


@pytest.mark.parametrize("name", VARIANTS)
def test_the_configuration_works(name: str, tmp_path: Path) -> None:
    page = (FOLDER / f"{name}.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "gateway.toml"
    path.write_text(example)
    (entry,) = load(path, environ={"HOME": "/home/pi"}).serial
    assert (entry.decoder, entry.baudrate) == (name, devices()[name].baudrates[0])


@pytest.mark.parametrize("name", VARIANTS)
def test_each_field_of_a_simulated_meter_is_explained(name: str) -> None:
    page = (FOLDER / f"{name}.md").read_text()
    assert f"# `{name}`" in page
    world = World(1)
    fields = set()
    for variant in VARIANTS[name]:
        meter = make_device(name, "a", lambda q, t: world.value("a", q, t), variant)
        data = meter.emit(1, 100.0)[0].data
        for reading in readings_of(devices()[name], [data], Vector(b"", ())):
            fields |= {SUFFIX.sub("", field) for field in reading.values}
    explained = {SUFFIX.sub("", field) for field in re.findall(r"`([a-z]\w+)`", page)}
    assert fields
    assert fields <= explained
