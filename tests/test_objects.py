"""Objects: names, units, batches, the device's own time, and the limits."""

import json
import random
from datetime import UTC, datetime

import pytest

from gateway.conformance import check_verdict, mutate
from gateway.errors import ConfigError
from gateway.model import Decoded, Malformed, Reading, Reason, Value
from gateway.objects import BATCH_MAX, FIELDS_MAX, NAME_MAX, ObjectReader, read_time
from gateway.payloads import PAYLOAD_MAX, Json, parse_json

NOON_S = 1_714_557_600
NOON_NS = NOON_S * 10**9
ARRIVED_NS = NOON_NS + 3 * 10**9


def read(value: Json, **options: str) -> Reading:
    verdict = ObjectReader(**options).read(value, ARRIVED_NS)
    assert isinstance(verdict, Decoded)
    assert not verdict.malformed
    (reading,) = verdict.readings
    return reading


@pytest.mark.parametrize(
    ("value", "values"),
    [
        ({"t": 21.5, "n": 0, "b": False, "s": "on"}, {"t": 21.5, "n": 0, "b": False, "s": "on"}),
        ({"room": {"t": 21.5, "fan": {"rpm": 900}}}, {"room.t": 21.5, "room.fan.rpm": 900}),
        ({"p": [1, 2.5], "q": [{"v": 3}, [4]]}, {"p.0": 1, "p.1": 2.5, "q.0.v": 3, "q.1.0": 4}),
        ({"t": None}, {"t": ""}),
        ({"a": {}, "b": [], "c": 1}, {"c": 1}),
        ({"value": 5}, {"value": 5}),
        ({"t": {"value": 5}}, {"t": 5}),
        ({"t": {"value": {"x": 5}}}, {"t.value.x": 5}),
        ({"value": 5, "other": 6}, {"value": 5, "other": 6}),
        (21.5, {"value": 21.5}),
        (None, {"value": ""}),
        ([1, [2, 3]], {"value.0": 1, "value.1.0": 2, "value.1.1": 3}),
    ],
)
def test_nested_values_have_joined_names(value: Json, values: dict[str, Value]) -> None:
    assert dict(read(value).values) == values


@pytest.mark.parametrize(
    ("value", "values", "units"),
    [
        ({"t": {"value": 21.5, "unit": "°C"}}, {"t": 21.5}, {"t": "°C"}),
        ({"value": 21.5, "unit": "°C"}, {"value": 21.5}, {"value": "°C"}),
        ({"t": {"value": 0, "units": "C", "ok": True}}, {"t": 0, "t.ok": True}, {"t": "C"}),
        ({"t": {"value": 1, "unit": 7}}, {"t.value": 1, "t.unit": 7}, {}),
    ],
)
def test_a_value_and_its_unit_are_one_quantity(
    value: Json, values: dict[str, Value], units: dict[str, str]
) -> None:
    reading = read(value)
    assert (dict(reading.values), dict(reading.units)) == (values, units)


def test_a_batch_is_one_reading_each_and_bad_elements_cost_themselves() -> None:
    verdict = ObjectReader(device="id").read(
        [{"id": 7, "t": 1, "ts": NOON_S}, 5, {"id": "x", "t": {"a": 2}}, [1], {}], ARRIVED_NS
    )
    assert verdict == Decoded(
        [
            Reading({"t": 1}, device="7", observed_at_ns=NOON_NS),
            Reading({"t.a": 2}, {}, device="x"),
        ],
        [
            Malformed(Reason.SYNTAX, b"5"),
            Malformed(Reason.SYNTAX, b"[1]"),
            Malformed(Reason.EMPTY),
        ],
    )


@pytest.mark.parametrize("value", [{}, [], {"a": {}}, {"time": "2024-05-01T10:00:00Z"}])
def test_an_object_without_quantities_is_empty(value: Json) -> None:
    assert ObjectReader().read(value, ARRIVED_NS) == Malformed(Reason.EMPTY)


# ------------------------------------------------------------------------------------- time


@pytest.mark.parametrize(
    "value",
    [
        NOON_S,
        NOON_S * 10**3,
        NOON_S * 10**6,
        NOON_NS,
        float(NOON_S),
        float(NOON_NS),
        str(NOON_S),
        str(NOON_NS),
        "2024-05-01T10:00:00Z",
        "2024-05-01 10:00:00+00:00",
        "2024-05-01T12:00:00.000+02:00",
        "2024-05-01T10:00:00.000000000Z",
        "2024-05-01T12:00+0200",
    ],
)
def test_a_time_is_told_by_its_form_and_size(value: Value) -> None:
    stamp = read_time(value)
    assert stamp is not None
    assert stamp.ns == NOON_NS


def test_fractions_are_exact_to_the_microsecond() -> None:
    for value in (
        NOON_S + 0.123456,
        "2024-05-01T10:00:00.123456Z",
        NOON_S * 1e3 + 123.456,
        f"{NOON_S}.123456",
    ):
        stamp = read_time(value)
        assert stamp is not None
        assert stamp.ns == NOON_NS + 123_456_000
    assert read_time(NOON_NS + 1) == (NOON_NS + 1,)


@pytest.mark.parametrize(
    "value",
    [
        *(12.5, 0, -1, True, 978_307_199, 4_102_444_800, 10**30, float("nan"), float("inf"), ""),
        *("18:05", "2024-05-01", "20240501", "2024-13-01T10:00:00Z", "noon, 12:00:00", "9" * 30),
        *(f"{NOON_S}.", f"{NOON_S}.0.0", f".{NOON_S}", f"+{NOON_S}.5"),
    ],
)
def test_what_is_no_time_stays_a_quantity(value: Value) -> None:
    assert read_time(value) is None
    assert read({"time": value, "t": 1}).values["t"] == 1
    assert "time" in read({"time": value, "t": 1}).values


@pytest.mark.parametrize("value", ["1970-01-01T00:00:12Z", "9999-12-31T23:59:59+00:00"])
def test_a_time_that_cannot_be_is_not_used(value: str) -> None:
    reading = read({"time": value, "t": 1})
    assert (dict(reading.values), reading.observed_at_ns) == ({"t": 1}, None)


@pytest.mark.parametrize(
    ("name", "text", "utc"),
    [
        ("Europe/Berlin", "2024-05-01T12:00:00", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("Europe/Berlin", "2024-01-01T12:00:00", datetime(2024, 1, 1, 11, tzinfo=UTC)),
        ("Europe/Berlin", "2024-10-27T01:59:59", datetime(2024, 10, 26, 23, 59, 59, tzinfo=UTC)),
        ("Europe/Berlin", "2024-10-27T03:00:00", datetime(2024, 10, 27, 2, tzinfo=UTC)),
        ("Asia/Kolkata", "2024-05-01T12:00:00", datetime(2024, 5, 1, 6, 30, tzinfo=UTC)),
    ],
)
def test_a_time_without_zone_has_the_configured_one(name: str, text: str, utc: datetime) -> None:
    assert read({"Time": text, "t": 1}).observed_at_ns is None
    found = read({"Time": text, "t": 1}, timezone=name).observed_at_ns
    assert found == int(utc.timestamp()) * 10**9


def test_a_stated_zone_counts_more_than_the_configured_one() -> None:
    assert read({"ts": "2024-05-01T10:00Z", "t": 1}, timezone="Asia/Kolkata") == Reading(
        {"t": 1}, observed_at_ns=NOON_NS
    )


def test_a_configured_time_is_taken_from_its_path_and_never_a_quantity() -> None:
    value: Json = {"meta": {"at": NOON_S, "n": 1}, "ts": NOON_S + 1}
    reading = read(value, time="meta.at")
    assert (dict(reading.values), reading.observed_at_ns) == (
        {"meta.n": 1, "ts": NOON_S + 1},
        NOON_NS,
    )
    assert dict(read({"at": "soon", "t": 1}, time="at").values) == {"t": 1}


def test_of_several_times_the_first_that_can_be_used_counts() -> None:
    reading = read({"time": "2024-05-01T10:00:00", "ts": NOON_S, "t": 1})
    assert (dict(reading.values), reading.observed_at_ns) == ({"t": 1}, NOON_NS)


@pytest.mark.parametrize(
    ("identity", "device"), [(3713, "3713"), (3713.0, "3713"), ("a b", "a b"), (True, "True")]
)
def test_the_identity_is_taken_from_its_path(identity: Value, device: str) -> None:
    reading = read({"d": {"id": identity}, "t": 1}, device="d.id")
    assert (reading.device, dict(reading.values)) == (device, {"t": 1})


def test_a_wrong_option_is_a_sentence_for_the_operator() -> None:
    with pytest.raises(ConfigError, match="'Mars/Phobos' is no known time zone"):
        ObjectReader(timezone="Mars/Phobos")
    for name in ("../../etc/passwd", "Europe", "/etc/localtime", "\0"):
        with pytest.raises(ConfigError, match="timezone"):
            ObjectReader(timezone=name)
    with pytest.raises(ConfigError, match=r"device: a text is expected, not 5"):
        ObjectReader(device=5)  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------- limits


@pytest.mark.parametrize("nested", [False, True])
def test_of_ten_thousand_fields_the_first_are_kept_and_the_rest_counted(nested: bool) -> None:  # noqa: FBT001
    fields: dict[str, Json] = {f"f{i}": i for i in range(10_000)}
    verdict = ObjectReader().read({"a": fields} if nested else fields, ARRIVED_NS)
    assert isinstance(verdict, Decoded)
    assert list(verdict.readings[0].values.values()) == list(range(FIELDS_MAX))
    assert len(verdict.malformed) == 10_000 - FIELDS_MAX
    assert {element.reason for element in verdict.malformed} == {Reason.TOO_MANY_FIELDS}


def test_of_a_batch_beyond_measure_the_rest_is_counted() -> None:
    verdict = ObjectReader().read([{"t": i} for i in range(BATCH_MAX + 5)], ARRIVED_NS)
    assert isinstance(verdict, Decoded)
    assert len(verdict.readings) == BATCH_MAX
    assert verdict.malformed == [Malformed(Reason.TOO_LARGE)] * 5


def test_a_long_name_costs_itself() -> None:
    verdict = ObjectReader().read({"a": 1, "b" * (NAME_MAX + 1): 2}, ARRIVED_NS)
    assert isinstance(verdict, Decoded)
    assert [dict(r.values) for r in verdict.readings] == [{"a": 1}]
    assert [element.reason for element in verdict.malformed] == [Reason.TOO_LONG]


def test_two_paths_of_one_name_collide_visibly() -> None:
    verdict = ObjectReader().read({"a.b": 1, "a": {"b": 2}}, ARRIVED_NS)
    assert isinstance(verdict, Decoded)
    assert [dict(r.values) for r in verdict.readings] == [{"a.b": 1}]
    assert [element.reason for element in verdict.malformed] == [Reason.COLLISION]


@pytest.mark.parametrize(
    "hostile",
    [
        b'{"%s":[%s0]}' % (b"n" * 500_000, b"0," * 250_000),
        b"[" + b"{}," * 300_000 + b"{}]",
        b'{"a":[' + b'{"b":1},' * 100_000 + b"1]}",
        b"".join(b'{"%s":' % (b"n" * 30_000) for _ in range(30)) + b"1" + b"}" * 30,
    ],
)
def test_a_hostile_payload_stays_bounded(hostile: bytes) -> None:
    """Joining the long name to every element would take a hundred gigabytes."""
    assert len(hostile) <= PAYLOAD_MAX
    value = parse_json(hostile)
    assert not isinstance(value, Malformed)
    verdict = ObjectReader().read(value, ARRIVED_NS)
    check_verdict(verdict)
    if isinstance(verdict, Decoded):
        assert all(len(reading.values) <= FIELDS_MAX for reading in verdict.readings)


def test_no_value_makes_it_raise() -> None:
    rng = random.Random(6)
    reader = ObjectReader(timezone="Europe/Berlin", device="id")
    seed = json.dumps(
        {"id": 7, "time": "2024-05-01T10:00:00", "ts": NOON_S, "t": {"value": 1, "unit": "C"}}
    ).encode()
    for _ in range(10_000):
        value = parse_json(mutate(rng, seed))
        if not isinstance(value, Malformed):
            check_verdict(reader.read(value, ARRIVED_NS))
