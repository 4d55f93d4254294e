"""Devices are found by being there; a broken foreign one harms nobody."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway.devices
from gateway.devices import devices, problems

FOREIGN = """
from gateway.model import Device
GOOD = Device("acme", "", lambda: None)
TAKEN = Device("json", "", lambda: None)
NONE = 5
"""


@pytest.fixture
def _fresh() -> Iterator[None]:
    gateway.devices._load.cache_clear()
    yield
    gateway.devices._load.cache_clear()


def test_every_file_is_a_device_of_its_name() -> None:
    folder = Path(gateway.devices.__file__).parent
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert set(devices()) >= files
    assert all(name == device.name and device.summary for name, device in devices().items())
    assert problems() == ()


@pytest.mark.usefixtures("_fresh")
def test_foreign_devices_come_by_entry_point_and_broken_ones_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_devices.py").write_text(FOREIGN)
    (tmp_path / "acme_broken.py").write_text("import nowhere_at_all\n")
    (tmp_path / "acme_syntax.py").write_text("def\n")
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[gateway.devices]\n"
        "acme = acme_devices:GOOD\n"
        "json2 = acme_devices:TAKEN\n"
        "none = acme_devices:NONE\n"
        "gone = acme_devices:GONE\n"
        "broken = acme_broken:DEVICE\n"
        "syntax = acme_syntax:DEVICE\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert devices()["acme"].name == "acme"
    assert devices()["json"].decoder.__module__ == "gateway.devices.json"
    told = "\n".join(problems())
    assert len(problems()) == 5
    assert "device 'json' of acme_devices:TAKEN: the name is taken" in told
    assert "acme_devices:NONE is no gateway.model.Device" in told
    assert "nowhere_at_all" in told
    assert "GONE" in told
    assert "acme_syntax" in told
