"""docs/devices: the index, configurations that work, and every option and field explained."""

import re
from pathlib import Path

import pytest

from gateway.config import load
from gateway.conformance import Vector, readings_of
from gateway.devices import devices
from simulators.devices import make_device
from simulators.world import World
from tests.specimens import specimens

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "devices"
GENERAL = {"text", "json", "value"}
"""They stand on the page of decoders."""
SHARED = {"modbus_tcp": "modbus"}
FREE = {"frames", "rtl_433", "modbus", "modbus_tcp"}
"""Their fields are whatever the user or the sensor says."""
METERS = {
    "dsmr": ("v2.2", "v5", "fluvius"),
    "iec62056": ("q3d", "d0"),
    "teleinfo": ("historic", "standard", "alarm"),
}
"""Their variants; of phases, quadrants and tariffs a page shows a few."""

PART = re.compile(r"_(?:[lq][1-4]|t\d+)$")
SHORT = re.compile(r"`(_\w+)`")
TOML = re.compile(r"```toml\n(.*?)```", re.DOTALL)


def page(name: str) -> str:
    return "../decoders.md" if name in GENERAL else f"{SHARED.get(name, name)}.md"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.md")), ids=lambda path: path.stem)
def test_the_configurations_work(path: Path, tmp_path: Path) -> None:
    examples = TOML.findall(path.read_text())
    assert examples or path.stem == "README"
    for example in examples:
        file = tmp_path / "gateway.toml"
        file.write_text(example)
        config = load(file, environ={"HOME": "/home/pi"})
        used = {entry.decoder for entry in config.serial}
        used |= {wanted.decoder for entry in config.mqtt for wanted in entry.subscribe}
        assert path.name in {page(name) for name in used}
        for entry in config.serial:
            known = devices()[entry.decoder].baudrates
            assert not known or entry.baudrate == known[0], "the first rate is the likeliest"


@pytest.mark.parametrize("name", sorted(set(devices()) - GENERAL))
def test_options_are_explained(name: str) -> None:
    text = (FOLDER / page(name)).read_text()
    assert f"`{name}`" in text
    assert [o for o in devices()[name].options if not re.search(rf"`{o}(`| = )", text)] == []


@pytest.mark.parametrize("name", sorted(set(devices()) - GENERAL - FREE))
def test_fields_are_explained(name: str) -> None:
    text = (FOLDER / page(name)).read_text()
    fields = {field for v in specimens()[name].vectors for r in v.readings for field in r.values}
    explained = set(re.findall(r"`(\w+)`", text))
    fields = {re.sub(r"_t\d+$", "_t1", field) for field in fields}
    explained |= {f"number_concentration{size}" for size in SHORT.findall(text)}
    assert fields
    assert sorted(fields - explained) == []


@pytest.mark.parametrize("name", METERS)
def test_each_field_of_a_simulated_meter_is_explained(name: str) -> None:
    text = (FOLDER / page(name)).read_text()
    world = World(1)
    fields = set()
    for variant in METERS[name]:
        meter = make_device(name, "a", lambda q, t: world.value("a", q, t), variant)
        data = meter.emit(1, 100.0)[0].data
        for reading in readings_of(devices()[name], [data], Vector(b"", ())):
            fields |= {PART.sub("", field) for field in reading.values}
    explained = {PART.sub("", field) for field in re.findall(r"`([a-z]\w+)`", text)}
    assert fields
    assert sorted(fields - explained) == []


def test_the_index_says_what_each_decoder_is_for() -> None:
    index = (FOLDER / "README.md").read_text()
    rows = [
        f"| [`{name}`]({page(name)}) | {device.summary} "
        f"| {', '.join(f'{rate:,}' for rate in device.baudrates) or '-'} |"
        for name, device in devices().items()
    ]
    assert [row for row in rows if row not in index] == []
    assert index.count("| [`") == len(rows)
