"""Events that receivers printed: every number is stored, under one name and in one unit."""

import json
from collections.abc import Mapping

import pytest

from gateway.devices import devices
from gateway.model import Decoded, FieldValue, Frame, Observation, Reason, Repeated
from tests import test_captures
from tests.test_captures import lines
from tests.test_normalize import NOON, Bench

pytestmark = test_captures.pytestmark

SAME_UNIT = {
    "temperature_C": "temperature",
    "humidity": "humidity",
    "wind_dir_deg": "wind_direction",
    "rain_mm": "precipitation",
    "rssi": "rssi_db",
    "snr": "signal_to_noise_ratio",
}
OTHER_UNIT = {
    "temperature_F": ("temperature", 5 / 9, -160 / 9),
    "wind_avg_mi_h": ("wind_speed", 0.44704, 0),
    "wind_avg_km_h": ("wind_speed", 1 / 3.6, 0),
    "wind_max_km_h": ("wind_gust", 1 / 3.6, 0),
    "rain_in": ("precipitation", 25.4, 0),
    "battery_ok": ("battery", 100, 0),
}
LEFT_OUT = {"time", "protocol", "model", "id", "channel", "subtype", "sequence_num", "mic", "mod"}
LEFT_OUT |= {"freq", "noise"}


def stored(event: Mapping[str, object], at_ns: int) -> tuple[Observation, dict[str, FieldValue]]:
    frame = Frame(json.dumps(event).encode(), at_ns)
    verdict = devices()["rtl_433"].make_decoder({}).decode(frame)
    assert isinstance(verdict, Decoded)
    (reading,) = verdict.readings
    observation = Bench().normalizer.normalize(reading, frame)
    assert isinstance(observation, Observation)
    return observation, dict(observation.fields)


def test_every_number_of_every_event() -> None:
    events = [json.loads(line) for line in lines("rtl_433/field_captures.jsonl")]
    assert events
    for event in events:
        observation, fields = stored(event, NOON)
        tags = dict(observation.series.tags)
        assert tags["device"] == f"{event['model']}-{event['id']}"
        assert tags.get("channel") == (str(event["channel"]) if "channel" in event else None)
        for key, value in event.items():
            if key in SAME_UNIT:
                assert fields.pop(SAME_UNIT[key]) == pytest.approx(value)
            elif key in OTHER_UNIT:
                name, factor, offset = OTHER_UNIT[key]
                assert fields.pop(name) == pytest.approx(factor * value + offset)
            elif key not in LEFT_OUT:
                assert fields.pop(key) == value
        assert not fields


def test_each_event_counts_once() -> None:
    decoder = devices()["rtl_433"].make_decoder({})
    for line in lines("rtl_433/field_captures.jsonl"):
        assert isinstance(decoder.decode(Frame(line.encode(), NOON)), Decoded)
        again = decoder.decode(Frame(line.encode(), NOON + 10**9))
        assert again == Repeated(Reason.RETRANSMITTED)
