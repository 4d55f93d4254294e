"""A battery monitor against its blocks, and from any place within the stream."""

import json

from gateway.conformance import ARRIVAL_NS, Vector, feed, readings_of
from gateway.devices import devices
from gateway.devices.vedirect import Blocks, VeDirectDecoder
from gateway.model import Decoded, Frame, Framed
from tests import test_captures
from tests.stored import stored
from tests.test_captures import CAPTURES

pytestmark = test_captures.pytestmark

FOLDER = CAPTURES / "vedirect"

SCALED = {
    "V": ("battery_voltage", 1000),
    "I": ("battery_current", 1000),
    "P": ("battery_power", 1),
    "CE": ("charge", 1000),
    "SOC": ("battery", 10),
    "TTG": ("time_to_go", 1 / 60),
    "AR": ("alarm_reason", 1),
    "H1": ("deepest_discharge_ah", 1000),
    "H2": ("last_discharge_ah", 1000),
    "H3": ("average_discharge_ah", 1000),
    "H4": ("charge_cycles", 1),
    "H5": ("full_discharges", 1),
    "H6": ("drawn_charge", 1000),
    "H7": ("battery_voltage_min", 1000),
    "H8": ("battery_voltage_max", 1000),
    "H9": ("time_since_full_charge_s", 1),
    "H10": ("synchronizations", 1),
    "H11": ("low_voltage_alarms", 1),
    "H12": ("high_voltage_alarms", 1),
    "H17": ("discharged_energy", 100),
    "H18": ("charged_energy", 100),
}
FLAGS = {"Alarm": "alarm", "Relay": "relay"}


def expected(block: dict[str, str]) -> dict[str, float]:
    numbers = {
        field: int(block[label]) / per_unit
        for label, (field, per_unit) in SCALED.items()
        if label in block
    }
    return numbers | {FLAGS[k]: float(block[k] == "ON") for k in FLAGS if k in block}


def test_every_whole_block_is_read() -> None:
    stream = (FOLDER / "bvm702.dump").read_bytes()
    true = json.loads((FOLDER / "bvm702.expected.json").read_text())
    decoder = VeDirectDecoder()
    frames = [item for item in feed(Blocks(), [stream]) if isinstance(item, Framed)]
    verdicts = [decoder.decode(Frame(item.data, ARRIVAL_NS, first=item.first)) for item in frames]
    assert len(verdicts) == true["frames_ok"] + true["frames_bad"]
    readings = [v.readings[0] for v in verdicts if isinstance(v, Decoded) and not v.malformed]
    assert len(readings) == true["frames_ok"]
    for found, block in (
        *zip(readings, true["first"], strict=False),
        *zip(readings[-len(true["last"]) :], true["last"], strict=True),
    ):
        assert stored(found) == expected(block)
        assert found.tags == {"model": "BMV-700"}


def test_a_capture_that_begins_anywhere_lacks_one_block_at_most() -> None:
    stream = (FOLDER / "bvm702.dump").read_bytes()[:4_000]
    whole = readings_of(devices()["vedirect"], [stream], Vector(b"", ()))
    size = len(stream) // len(whole)
    for start in range(2 * size):
        found = readings_of(devices()["vedirect"], [stream[start:]], Vector(b"", ()))
        assert len(found) >= len(whole) - start // size - 2
        assert [each.values for each in found] == [each.values for each in whole][-len(found) :]
