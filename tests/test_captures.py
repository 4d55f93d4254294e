"""Payloads that real devices sent, through decoder and normalizer.

The captures belong to others and are no part of this project. Their folder is SENSOR_CAPTURES, by
default `../shared/captures` beside the project; without it these tests are skipped.
"""

import json
import os
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.devices import devices
from gateway.model import Decoded, FieldValue, Frame, Observation, Reason
from tests.test_normalize import NOON, Bench

ROOT = Path(__file__).resolve().parent.parent
CAPTURES = ROOT / os.environ.get("SENSOR_CAPTURES", "../shared/captures")

HARMLESS = {Reason.UNAVAILABLE, Reason.OUT_OF_RANGE, Reason.COLLISION}
"""What devices of these families do send: null and empty texts, Tasmota's RSSI in percent, and
one temperature in two units."""

pytestmark = pytest.mark.skipif(
    not CAPTURES.is_dir(),
    reason=f"no captures of real devices in {CAPTURES}: set SENSOR_CAPTURES to their folder",
)


class Message(NamedTuple):
    topic: str
    payload: bytes


def json_lines(path: str) -> list[Message]:
    entries = [json.loads(line) for line in lines(path)]
    return [Message(e["topic"] or "", json.dumps(e["payload"]).encode()) for e in entries]


def lines(path: str) -> list[str]:
    found = (CAPTURES / path).read_text(encoding="utf-8").splitlines()
    return [line for line in found if line.strip()]


def shelly() -> list[Message]:
    pairs = [line.split("\t", 1) for line in lines("shelly/mqtt_messages.tsv")]
    return [Message(topic, payload.encode()) for topic, payload in pairs]


def fields(message: Message, decoder: str = "json") -> dict[str, FieldValue]:
    """What is stored of one message; nothing may be lost but what is HARMLESS."""
    bench = Bench()
    frame = Frame(message.payload, NOON, message.topic)
    verdict = devices()[decoder].decoder().decode(frame)
    assert isinstance(verdict, Decoded), message
    assert not verdict.malformed
    (reading,) = verdict.readings
    observation = bench.normalizer.normalize(reading, frame)
    assert isinstance(observation, Observation), message
    assert bench.refused().keys() <= HARMLESS, (message, bench.refused())
    return dict(observation.fields)


@pytest.mark.parametrize("path", ["tasmota/payloads.jsonl", "zigbee2mqtt/state_messages.jsonl"])
def test_every_payload_decodes_and_is_stored(path: str) -> None:
    messages = json_lines(path)
    assert messages
    assert all(fields(message) for message in messages)


def test_tasmota_sensor_states_have_their_true_values() -> None:
    cases = json.loads((CAPTURES / "tasmota/cases.expected.json").read_text())
    assert cases
    for case in cases:
        found = fields(Message("tele/x/SENSOR", json.dumps(case["message"]).encode()))
        for name, true in case["expected"].items():
            stored = name.replace("energy_total_", "energy_")  # the dictionary's name for it
            value = float(true["value"]) if "unit" in true and "_id" not in name else true["value"]
            assert found[stored] == value


@pytest.mark.parametrize(
    ("key", "name", "factor", "offset"),
    [
        ("temperature_C", "temperature", 1, 0),
        ("temperature_F", "temperature", 5 / 9, -160 / 9),
        ("wind_avg_km_h", "wind_speed", 1 / 3.6, 0),
        ("wind_avg_mi_h", "wind_speed", 0.44704, 0),
        ("wind_max_km_h", "wind_gust", 1 / 3.6, 0),
        ("wind_dir_deg", "wind_direction", 1, 0),
        ("rain_mm", "precipitation", 1, 0),
        ("rain_in", "precipitation", 25.4, 0),
        ("humidity", "humidity", 1, 0),
    ],
)
def test_rtl_433_says_its_units_in_its_names(
    key: str, name: str, factor: float, offset: float
) -> None:
    events = [(json.loads(line), line.encode()) for line in lines("rtl_433/field_captures.jsonl")]
    having = [(event[key], line) for event, line in events if key in event]
    assert having
    for value, line in having:
        stored = fields(Message("rtl_433/events", line))
        assert stored[name] == pytest.approx(factor * value + offset)


def test_shelly_generation_2_says_one_thing_per_topic() -> None:
    status = [message for message in shelly() if "/status/" in message.topic]
    stored = {message.topic.rpartition("/")[2]: fields(message) for message in status}
    assert stored["temperature:0"]["temperature"] == pytest.approx(20.1)
    assert stored["humidity:0"]["humidity"] == pytest.approx(57.0)
    assert stored["devicepower:0"]["battery"] == pytest.approx(73)
    assert stored["wifi"]["signal_strength"] == pytest.approx(-47)


def test_shelly_generation_1_is_one_value_per_topic() -> None:
    values = [message for message in shelly() if message.topic.startswith("shellies/")]
    assert values
    for message in values:
        name = message.topic.rpartition("/")[2]
        stored = fields(message, "value")
        (value,) = stored.values()
        text = message.payload.decode()
        assert value == (float(text) if re.fullmatch(r"-?[\d.]+", text) else {"on": 1.0}[text])
        if name in {"temperature", "power", "voltage"}:
            assert name in stored
