"""P1 telegrams of four versions against what an independent parser reads in them."""

import json
from typing import Any

import pytest

from gateway.conformance import Vector, readings_of
from gateway.devices import devices
from gateway.model import Reading
from tests import p1, test_captures
from tests.test_captures import CAPTURES

pytestmark = test_captures.pytestmark

FOLDER = CAPTURES / "dsmr"
CAPTURED = ("v2_2", "v4_2", "v5", "fluvius_v171")


def readings(name: str) -> list[Reading]:
    stream = (FOLDER / f"{name}.txt").read_bytes()
    found = readings_of(devices()["dsmr"], [stream], Vector(b"", ()))
    pieces = [stream[at : at + 1] for at in range(len(stream))]
    assert readings_of(devices()["dsmr"], pieces, Vector(b"", ())) == found
    return found


@pytest.mark.parametrize("name", CAPTURED)
def test_every_value_of_a_telegram(name: str) -> None:
    true: dict[str, Any] = json.loads((FOLDER / f"{name}.expected.json").read_text())["telegram"]
    meter, *others = readings(name)
    assert meter.values == pytest.approx(p1.electricity(true))
    assert meter.observed_at_ns == p1.time_ns(true)
    assert list(map(p1.shown, others)) == p1.behind(true, zone=name != "v2_2")
    assert others


def test_a_stream_of_all_of_them_that_begins_within_one() -> None:
    stream = b"".join((FOLDER / f"{name}.txt").read_bytes() for name in CAPTURED)
    found = readings_of(devices()["dsmr"], [stream[100:]], Vector(b"", ()))
    assert found == [reading for name in CAPTURED[1:] for reading in readings(name)]
