"""Frames of a Linky in historic mode against their labels and values."""

import json

from gateway.conformance import Vector, readings_of
from gateway.devices import devices
from tests import test_captures
from tests.streams import with_parity
from tests.test_captures import CAPTURES

pytestmark = test_captures.pytestmark

FOLDER = CAPTURES / "teleinfo"

FIELDS = {
    "ISOUSC": ("subscribed_current", 1),
    "BBRHCJB": ("energy_import_t1", 1000),
    "BBRHPJB": ("energy_import_t2", 1000),
    "BBRHCJW": ("energy_import_t3", 1000),
    "BBRHPJW": ("energy_import_t4", 1000),
    "BBRHCJR": ("energy_import_t5", 1000),
    "BBRHPJR": ("energy_import_t6", 1000),
    "IINST": ("current", 1),
    "PAPP": ("apparent_power", 1),
}
TEMPO = [key for key in FIELDS if key.startswith("BBR")]


def test_every_frame_has_its_values() -> None:
    stream = (FOLDER / "historic_frames.bin").read_bytes()
    true = json.loads((FOLDER / "historic_frames.expected.json").read_text())
    for line in (stream, with_parity(stream)):
        found = readings_of(devices()["teleinfo"], [line], Vector(b"", ()))
        assert len(found) == len(true) > 0
        for reading, labels in zip(found, true, strict=True):
            expected = {name: int(labels[key]) / by for key, (name, by) in FIELDS.items()}
            expected["energy_import"] = sum(int(labels[key]) for key in TEMPO) / 1000
            assert reading.values == {**expected, "tariff": 1.0}
            assert reading.device == labels["ADCO"]
