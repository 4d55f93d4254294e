"""Events of rtl_433: who sent it, in which units, and which of them are copies."""

import json
from collections.abc import Mapping
from functools import partial

import pytest

from gateway.devices.rtl_433 import COPIES_MAX, DEVICE, LABEL_MAX
from gateway.errors import ConfigError
from gateway.model import (
    Decoded,
    Decoder,
    Frame,
    Ignored,
    Malformed,
    Observation,
    Reading,
    Reason,
    Repeated,
    Verdict,
)
from simulators.devices.rtl_433 import make
from simulators.world import World
from tests.test_normalize import NOON, Bench

SECOND = 10**9
Event = Mapping[str, object]

SENSOR: Event = {"model": "Nexus-TH", "id": 177, "channel": 3}


def decode(
    decoder: Decoder, event: Event, *, at_s: float = 0.0, first: bool = False, **more: object
) -> Verdict:
    """What becomes of an event, to which more may be added."""
    data = json.dumps({**event, **more}).encode()
    return decoder.decode(Frame(data, NOON + round(at_s * SECOND), first=first))


def reading(event: Event, timezone: str = "", **more: object) -> Reading:
    verdict = decode(DEVICE.make_decoder({"timezone": timezone}), {**event, **more})
    assert isinstance(verdict, Decoded), verdict
    return verdict.readings[0]


def is_copy(verdict: Verdict) -> bool:
    assert isinstance(verdict, Decoded | Repeated)
    return verdict == Repeated(Reason.RETRANSMITTED)


# ------------------------------------------------------------------------------------ identity


@pytest.mark.parametrize(
    ("event", "device", "tags"),
    [
        (SENSOR, "Nexus-TH-177", {"model": "Nexus-TH", "channel": "3"}),
        ({"model": "X", "id": "0a1b", "channel": "A"}, "X-0a1b", {"model": "X", "channel": "A"}),
        ({"model": "X", "id": 0}, "X-0", {"model": "X"}),
        ({"model": "X", "channel": 2}, "X-2", {"model": "X", "channel": "2"}),
        ({"model": "X"}, "X", {"model": "X"}),
        ({"model": "X", "id": 5.0, "subtype": 0}, "X-5", {"model": "X", "subtype": "0"}),
        (
            {"model": "X", "id": 1, "type": "TPMS", "channel": ""},
            "X-1",
            {"model": "X", "type": "TPMS"},
        ),
    ],
)
def test_a_device_is_its_model_and_number(event: Event, device: str, tags: dict[str, str]) -> None:
    found = reading(event, humidity=40)
    assert (found.device, found.tags, found.values) == (device, tags, {"humidity": 40})


def test_what_is_no_event_is_told_apart() -> None:
    decoder = DEVICE.make_decoder({})
    assert decode(decoder, {"enabled": 5, "stats": []}) == Ignored(Reason.UNSUPPORTED)
    assert decoder.decode(Frame(b"[1]", NOON)) == Ignored(Reason.UNSUPPORTED)
    assert decoder.decode(Frame(b'l":"X"}', NOON, first=True)) == Ignored(Reason.FIRST_LINE)
    assert isinstance(decode(decoder, SENSOR, first=True, humidity=1), Decoded)
    for wrong in ({"model": ["X"]}, {"model": " "}, {"model": "X", "id": "0" * (LABEL_MAX + 1)}):
        verdict = decode(decoder, wrong)
        assert isinstance(verdict, Malformed)
        assert verdict.reason is Reason.SYNTAX


# -------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("key", "value", "field", "stored"),
    [
        ("temperature_C", -1.5, "temperature", -1.5),
        ("temperature_F", 50, "temperature", 10),
        ("temperature_2_C", 1.5, "temperature_2", 1.5),
        ("humidity", 40, "humidity", 40),
        ("moisture", 33, "moisture", 33),
        ("wind_avg_m_s", 2.5, "wind_speed", 2.5),
        ("wind_avg_km_h", 36, "wind_speed", 10),
        ("wind_avg_mi_h", 10, "wind_speed", 4.4704),
        ("wind_max_m_s", 3, "wind_gust", 3),
        ("wind_max_km_h", 36, "wind_gust", 10),
        ("wind_max_mi_h", 10, "wind_gust", 4.4704),
        ("wind_dir_deg", 270, "wind_direction", 270),
        ("rain_mm", 12.5, "precipitation", 12.5),
        ("rain_in", 1, "precipitation", 25.4),
        ("rain_rate_mm_h", 2, "precipitation_intensity", 2),
        ("rain_rate_in_h", 1, "precipitation_intensity", 25.4),
        ("pressure_hPa", 1013, "pressure", 1013),
        ("pressure_inHg", 30, "pressure", 1015.9167),
        ("pressure_kPa", 215, "pressure", 2150),
        ("pressure_PSI", 30, "pressure", 2068.4272),
        ("battery_ok", 1, "battery", 100),
        ("battery_ok", 0.5, "battery", 50),
        ("battery_V", 2.9, "battery_voltage", 2.9),
        ("battery_mV", 2900, "battery_voltage", 2.9),
        ("battery_pct", 80, "battery", 80),
        ("light_lux", 100, "illuminance", 100),
        ("light_klx", 1.5, "illuminance", 1500),
        ("uvi", 3, "uv_index", 3),
        ("voltage_V", 230, "voltage", 230),
        ("current_A", 1.5, "current", 1.5),
        ("power_W", 60, "power", 60),
        ("energy_kWh", 12, "energy", 12),
        ("frequency_Hz", 50, "frequency", 50),
        ("co2_ppm", 800, "carbon_dioxide", 800),
        ("pm2_5_ug_m3", 9, "pm25", 9),
        ("pm10_ug_m3", 12, "pm10", 12),
        ("depth_cm", 150, "depth", 1.5),
        ("volume_m3", 3.5, "volume", 3.5),
        ("storm_dist_km", 5, "storm_distance", 5000),
        ("rssi", -1.7, "rssi_db", -1.7),
        ("snr", 20, "signal_to_noise_ratio", 20),
        ("uv", 120, "uv_raw", 120),
        ("maybe_battery", 14, "maybe_battery_raw", 14),
        ("flow_rate", -20, "flow_rate_raw", -20),
        ("battery", 1, "battery_raw", 1),
        ("state", "open", "state", "open"),
        ("button", "ON", "button", 1),
        ("temperature_C", "12", "temperature", 12),
        ("counter", "12", "counter", "12"),
        ("code", "12345a", "code", "12345a"),
        ("code", "00e5", "code", "00e5"),
    ],
)
def test_the_end_of_a_name_is_its_unit(
    key: str, value: object, field: str, stored: float | str
) -> None:
    found = reading({**SENSOR, key: value})
    observation = Bench().normalizer.normalize(found, Frame(b"", NOON))
    assert isinstance(observation, Observation)
    assert observation.fields[field] == (
        stored if isinstance(stored, str) else pytest.approx(stored)
    )


def test_a_level_of_the_battery_says_more_than_that_it_is_good() -> None:
    found = reading(SENSOR, battery_ok=1, battery_pct=60)
    observation = Bench().normalizer.normalize(found, Frame(b"", NOON))
    assert isinstance(observation, Observation)
    assert observation.fields == {"battery": 60.0}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("CurrentCost-Counter", "power0"),
        ("CurrentCost-EnviRCounter", "power0"),
        ("ELV-EM1000", "current"),
        ("Proflame2-Remote", "power"),
    ],
)
def test_a_code_that_bears_the_name_of_a_quantity(model: str, name: str) -> None:
    assert reading({"model": model, "id": 5, name: 7}).values == {f"{name}_raw": 7}
    assert reading({"model": "Other", "id": 5, name: 7}).values == {name: 7}


def test_what_is_about_the_reception_is_left_out_but_the_levels() -> None:
    radio = {
        "mod": "FSK",
        "freq1": 868.3,
        "freq2": 868.4,
        "noise": -20,
        "mic": "CRC",
        "protocol": 19,
    }
    found = reading({**SENSOR, **radio}, rssi=-0.1, snr=20, sequence_num=2, temperature_C=0.0)
    assert found.values == {"temperature_C": 0.0, "rssi": -0.1, "snr": 20}
    assert found.units == {"rssi": "dB", "snr": "dB"}


def test_a_message_may_be_an_event_by_itself() -> None:
    assert reading(
        {"model": "Doorbell", "id": 3, "mic": "CRC"}, time="2024-05-01 10:00:00"
    ).values == {"event": True}


def test_nested_values_have_joined_names() -> None:
    found = reading(SENSOR, codes=["{8}ff"], a={"b": 1}, none=None)
    assert found.values == {"codes.0": "{8}ff", "a.b": 1, "none": ""}


@pytest.mark.parametrize(
    ("event", "measurement"),
    [
        ({"temperature_C": 1, "humidity": 2}, "climate"),
        ({"temperature_C": 1, "wind_avg_km_h": 2}, "weather"),
        ({"rain_mm": 0.0}, "weather"),
        ({"temperature_C": 1, "co2_ppm": 400}, "air_quality"),
        ({"power_W": 5}, "electricity"),
        ({"moisture": 5}, "climate"),
        ({"type": "TPMS", "temperature_C": 20, "pressure_kPa": 210}, "sensor"),
        ({"state": "open"}, "sensor"),
    ],
)
def test_the_measurement_is_by_what_there_is(event: Event, measurement: str) -> None:
    assert reading({**SENSOR, **event}).measurement == measurement


@pytest.mark.parametrize(
    ("time", "timezone", "seconds"),
    [
        ("2027-01-15T08:00:00Z", "", 0),
        ("2027-01-15T09:00:00+0100", "", 0),
        ("2027-01-15 08:00:00.250000Z", "", 0.25),
        ("1800000000", "", 0),
        ("1800000000.250000", "", 0.25),
        ("2027-01-15 09:00:00", "Europe/Berlin", 0),
        ("2027-01-15 09:00:00", "", None),
        ("@1.250000s", "", None),
        ({"a": 1}, "", None),
        (True, "", None),
    ],
)
def test_the_time_is_that_of_the_receiver(
    time: object, timezone: str, seconds: float | None
) -> None:
    found = reading(SENSOR, timezone, humidity=1, time=time)
    wanted = None if seconds is None else NOON + round(seconds * SECOND)
    assert found.observed_at_ns == wanted
    assert "time" not in found.values


# -------------------------------------------------------------------------------------- copies


def test_one_transmission_is_one_reading() -> None:
    decoder = DEVICE.make_decoder({})
    for number, levels in enumerate((-0.1, -3.2, -0.1, -0.5)):
        event = {**SENSOR, "temperature_C": 21.3, "rssi": levels, "freq": 433.9 + levels}
        copies = {"sequence_num": number, "time": f"2027-01-15 08:00:0{number // 2}"}
        verdict = decode(decoder, {**event, **copies}, at_s=number * 0.7)
        assert is_copy(verdict) is (number > 0)


def test_the_same_value_after_the_window_is_a_new_reading() -> None:
    decoder = DEVICE.make_decoder({"duplicates": "3s"})
    verdicts = [decode(decoder, SENSOR, at_s=at_s, humidity=40) for at_s in range(10)]
    assert [at_s for at_s in range(10) if not is_copy(verdicts[at_s])] == [0, 3, 6, 9]


def test_whatever_changes_is_new() -> None:
    decoder = DEVICE.make_decoder({})
    for changed in ({}, {"id": 178}, {"channel": 1}, {"state": 1}, {"state": 0}, {"state": 1.0}):
        assert not is_copy(decode(decoder, {**SENSOR, "humidity": 40, **changed}))
    for state in ("open", "closed", "open"):
        assert not is_copy(decode(decoder, SENSOR, state=state))


def test_messages_of_several_kinds_may_take_turns() -> None:
    """Two receivers, or a station that sends wind and rain by turns."""
    decoder = DEVICE.make_decoder({})
    kinds: list[Event] = [{"wind_avg_km_h": 3}, {"rain_mm": 1}] * 3
    assert [is_copy(decode(decoder, {**SENSOR, **kind})) for kind in kinds] == [False] * 2 + [
        True
    ] * 4


def test_what_was_sent_at_other_times_is_no_copy_though_it_arrives_at_once() -> None:
    """After an outage the broker hands out an hour of messages within a second."""
    decoder = DEVICE.make_decoder({})
    for minute in range(10):
        time = f"2027-01-15 08:{minute:02}:00"
        assert not is_copy(decode(decoder, SENSOR, humidity=40, time=time))
        assert is_copy(decode(decoder, SENSOR, humidity=40, time=time))


def test_a_clock_that_is_set_back_hides_nothing() -> None:
    decoder = DEVICE.make_decoder({})
    assert not is_copy(decode(decoder, SENSOR, at_s=3600, humidity=40))
    assert is_copy(decode(decoder, SENSOR, at_s=3599, humidity=40))
    assert not is_copy(decode(decoder, SENSOR, at_s=0, humidity=40))
    assert is_copy(decode(decoder, SENSOR, at_s=1, humidity=40))


def test_copies_are_kept_where_they_are_wanted() -> None:
    decoder = DEVICE.make_decoder({"duplicates": "0s"})
    assert not any(is_copy(decode(decoder, SENSOR, humidity=40)) for _ in range(3))


def test_of_more_devices_than_can_be_remembered_none_is_lost() -> None:
    decoder = DEVICE.make_decoder({})
    for number in (*range(COPIES_MAX + 1), 0, 1):
        assert not is_copy(decode(decoder, {"model": "X", "id": number}))
    assert is_copy(decode(decoder, {"model": "X", "id": COPIES_MAX}))


def test_every_mistake_in_the_options_is_said() -> None:
    with pytest.raises(ConfigError) as raised:
        DEVICE.make_decoder({"timezone": "Mars", "duplicates": 3})
    assert raised.value.problems == (
        'duplicates: write a unit: "3s"',
        "timezone: 'Mars' is no known time zone; one is 'Europe/Berlin'",
    )


def test_what_the_simulator_measures_arrives_once() -> None:
    receiver = make("mast", partial(World(1).value, "roof"))
    decoder = DEVICE.make_decoder({})
    for number in range(80):
        items = receiver.emit(number, 5.0 * number)
        frames = [Frame(item.data, NOON + number * 5 * SECOND + n) for n, item in enumerate(items)]
        first, *copies = [decoder.decode(frame) for frame in frames]
        assert isinstance(first, Decoded)
        own = items[0].values.keys() - {"rssi", "snr"}
        sent = dict(items[0].values) if own else {"event": True, **items[0].values}
        assert first.readings[0].values == {k: pytest.approx(v, abs=6e-4) for k, v in sent.items()}
        assert all(is_copy(copy) for copy in copies)
