"""A receiver of radio sensors: copies, transmitters by turns, neighbours."""

import json

import pytest

from simulators.devices.rtl_433 import COPIES_MAX, make

AIR = {
    "temperature": 21.53,
    "humidity": 45.0,
    "battery": 98.0,
    "wind_speed": 4.4704,
    "wind_direction": 268.0,
}
LEVELS = {"rssi", "snr", "freq", "sequence_num"}


def measure(quantity: str, _t: float) -> float:
    return AIR[quantity]


def test_a_line_is_as_the_program_prints_it() -> None:
    item = make("mast", measure).emit(8, 61.0)[0]
    start = b'{"time" : "2024-05-01 10:01:01", "model" : "Nexus-TH", "id" : '
    assert item.data.startswith(start)
    assert b', "channel" : 3, "battery_ok" : 1, "temperature_C" : 21.500, "humidity" : 45, ' in (
        item.data
    )
    assert item.data.endswith(b', "noise" : -22.500}\n')
    assert item.values.keys() == {"battery_ok", "temperature_C", "humidity", "rssi", "snr"}


def test_a_transmission_comes_several_times_and_counts_once() -> None:
    receiver = make("mast", measure)
    seen = set()
    for sequence in range(40):
        items = receiver.emit(sequence, float(sequence))
        seen.add(len(items))
        assert [bool(item.values) for item in items] == [True] + [False] * (len(items) - 1)
        events = [json.loads(item.data) for item in items]
        for event in events:
            assert {k: v for k, v in event.items() if k not in LEVELS} == {
                k: v for k, v in events[0].items() if k not in LEVELS
            }
    assert seen == set(range(1, COPIES_MAX + 1))


def test_transmitters_take_turns_and_neighbours_come_once() -> None:
    receiver = make("mast", measure)
    events = [json.loads(receiver.emit(n, float(n))[0].data) for n in range(1, 17)]
    assert {event["model"] for event in events} == {
        "Nexus-TH", "Acurite-5n1", "Generic-Motion", "Schrader-EG53MA4",
    }  # fmt: skip
    tyres = [event["id"] for event in events if event.get("type") == "TPMS"]
    assert len(set(tyres)) == len(tyres) == 4
    stations = [event for event in events if event["model"] == "Acurite-5n1"]
    assert [event.get("wind_dir_deg") for event in stations] == [None, 270.0] * 2
    assert stations[0]["temperature_F"] == 70.8
    assert stations[0]["wind_avg_mi_h"] == 10.0


def test_there_is_one_kind() -> None:
    with pytest.raises(ValueError, match="rtl_433 has no variant 'x'"):
        make("a", measure, "x")
