"""docs/devices: the configuration works, and every option and field is explained."""

import re
from pathlib import Path

import pytest

from gateway.config import load
from gateway.devices import devices
from tests.specimens import specimens

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "devices"
NAMES = ("pms", "sds011", "sps30", "mhz19", "nmea0183", "vedirect")
SHORT = re.compile(r"`(_\w+)`")


@pytest.mark.parametrize("name", NAMES)
def test_the_configuration_works(name: str, tmp_path: Path) -> None:
    page = (FOLDER / f"{name}.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "gateway.toml"
    path.write_text(example)
    (entry,) = load(path, environ={"HOME": "/home/pi"}).serial
    assert entry.decoder == name
    assert entry.baudrate == devices()[name].baudrates[0]


@pytest.mark.parametrize("name", NAMES)
def test_options_and_fields_are_explained(name: str) -> None:
    page = (FOLDER / f"{name}.md").read_text()
    assert f"# `{name}`" in page
    assert all(f"| `{option}` |" in page for option in devices()[name].options)
    fields = {field for v in specimens()[name].vectors for r in v.readings for field in r.values}
    explained = set(re.findall(r"`(\w+)`", page))
    explained |= {f"number_concentration{size}" for size in SHORT.findall(page)}
    assert fields
    assert fields <= explained
