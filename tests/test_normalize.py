"""Readings become observations: names, units, types, calibration and time, and every refusal."""

import math
from collections.abc import Mapping

import pytest

from gateway.catalogue import FIELDS_MAX, Catalogue
from gateway.ledger import Ledger, Stage
from gateway.model import (
    Code,
    Frame,
    Implausible,
    Observation,
    Pin,
    Reading,
    Reason,
    Repeated,
    TimeSource,
    Value,
)
from gateway.normalize import (
    NAMES_MAX,
    NEW_NAMES_MAX,
    PLANS_KEPT,
    UNIT_MAX,
    FieldRule,
    Normalizer,
)
from gateway.series import SeriesRegistry
from gateway.times import FUTURE_MAX_NS, PAST_MAX_NS

NOON = 1_800_000_000_000_000_000


class Bench:
    """A normalizer with everything it needs, and what came of it."""

    def __init__(
        self,
        rules: Mapping[str, FieldRule] | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        pins: list[Pin] | None = None,
        measurement: str = "",
    ) -> None:
        self.ledger = Ledger()
        self.account = self.ledger.account("bench", "mqtt")
        self.catalogue = Catalogue(pins or [])
        self.normalizer = Normalizer(
            account=self.account,
            ledger=self.ledger,
            catalogue=self.catalogue,
            registry=SeriesRegistry(),
            device="bench",
            measurement=measurement,
            tags=tags or {},
            rules=rules or {},
        )

    def normalize(
        self, values: Mapping[str, Value], units: Mapping[str, str] | None = None
    ) -> Observation | Implausible | Repeated:
        return self.normalizer.normalize(Reading(values, units or {}), Frame(b"", NOON))

    def fields(
        self, values: Mapping[str, Value], units: Mapping[str, str] | None = None
    ) -> dict[str, float | str]:
        result = self.normalize(values, units)
        return dict(result.fields) if isinstance(result, Observation) else {}

    def refused(self) -> dict[Reason, int]:
        return {
            reason: loss.count
            for (_, stage, reason), loss in self.ledger.losses.items()
            if stage is Stage.REFUSED
        }

    def adds_up(self) -> bool:
        return self.account.quantities == self.account.fields + self.account.refused


@pytest.mark.parametrize(
    ("values", "units", "expected"),
    [
        ({"temperature": 21.5}, {}, {"temperature": 21.5}),
        ({"temp": 70.7}, {"temp": "degF"}, {"temperature": 21.5}),
        ({"temperature_F": 32}, {}, {"temperature": 0.0}),
        ({"tempC": "21.5"}, {}, {"temperature": 21.5}),
        ({"temperature": "30.11 degC"}, {}, {"temperature": 30.11}),
        ({"voltage": "3384 mV"}, {}, {"voltage": 3.384}),
        ({"temperature": "21,5"}, {}, {"temperature": 21.5}),
        ({"humidity": 0}, {}, {"humidity": 0.0}),
        ({"power": 0.0}, {}, {"power": 0.0}),
        ({"pump": False}, {}, {"pump": 0.0}),
        ({"pump": "ON"}, {}, {"pump": 1.0}),
        ({"pressure": 101325}, {"pressure": "Pa"}, {"pressure": 1013.25}),
        ({"wind_avg_km_h": 36}, {}, {"wind_speed": 10.0}),
        ({"state": "charging"}, {}, {"state": "charging"}),
        ({"Blink Rate": 3}, {}, {"blink_rate": 3.0}),
        ({"blink": 3}, {"blink": "Hz"}, {"blink_hz": 3.0}),
        ({"temperature": 5}, {"temperature": "flurbs"}, {"temperature_flurbs": 5.0}),
    ],
)
def test_one_name_one_unit_whatever_the_vendor(
    values: Mapping[str, Value], units: Mapping[str, str], expected: Mapping[str, float]
) -> None:
    bench = Bench()
    assert bench.fields(values, units) == pytest.approx(expected)
    assert bench.adds_up()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, Reason.NAN),
        (math.inf, Reason.INFINITE),
        (-math.inf, Reason.INFINITE),
        (10**400, Reason.INFINITE),
        ("unavailable", Reason.UNAVAILABLE),
        ("NaN", Reason.UNAVAILABLE),
        ("", Reason.UNAVAILABLE),
        (-127, Reason.SENTINEL),
        (65535, Reason.OUT_OF_RANGE),
        ("x" * 100_000, Reason.TOO_LONG),
    ],
)
def test_what_is_no_value_is_refused_and_costs_only_itself(value: Value, reason: Reason) -> None:
    bench = Bench()
    assert bench.fields({"temperature": value, "humidity": 40}) == {"humidity": 40.0}
    assert bench.refused() == {reason: 1}
    assert bench.adds_up()


def test_a_reading_without_a_field_left_is_implausible() -> None:
    bench = Bench()
    assert bench.normalize({"temperature": math.nan}) == Implausible(Reason.NO_FIELDS)
    assert bench.normalize({}) == Implausible(Reason.NO_FIELDS)
    assert bench.adds_up()


def test_two_names_of_one_field_in_one_reading_do_not_overwrite_each_other() -> None:
    bench = Bench()
    assert bench.fields({"tC": 20.0, "tF": 68.0}) == {"temperature": 20.0}
    assert bench.refused() == {Reason.COLLISION: 1}


def test_calibration_in_the_devices_unit_then_conversion_then_the_users_range() -> None:
    rule = FieldRule(quantity="temperature", unit="degF", scale=2.0, offset=-0.4, low=-40, high=85)
    bench = Bench({"temp_f": rule})
    assert bench.fields({"temp_f": 34.2})["temperature"] == pytest.approx(20.0)
    assert bench.fields({"temp_f": 100}) == {}
    assert bench.refused() == {Reason.OUT_OF_RANGE: 1}


def test_rename_and_drop() -> None:
    bench = Bench({"t1": FieldRule(rename="inlet"), "debug": FieldRule(drop=True)})
    assert bench.fields({"t1": 5, "debug": 1}) == {"inlet": 5.0}
    assert bench.refused() == {Reason.DROPPED: 1}
    assert bench.adds_up()


def test_text_on_a_number_gets_a_field_of_its_own() -> None:
    bench = Bench()
    bench.fields({"mode": 3})
    assert bench.fields({"mode": "auto"}) == {"mode_text": "auto"}
    assert bench.fields({"temperature": "calibrating"}) == {"temperature_text": "calibrating"}


@pytest.mark.parametrize("code", ["12", "1e5", "12345a", "00 A"])
def test_a_code_is_text_whatever_it_looks_like(code: str) -> None:
    assert Bench().fields({"code": Code(code)}) == {"code": code}
    assert Bench().fields({"button": Code("ON"), "code": Code("none")}) == {"button": 1.0}


def test_a_number_on_text_is_refused() -> None:
    bench = Bench()
    bench.fields({"mode": "auto"})
    assert bench.fields({"mode": 3, "x": 1}) == {"x": 1.0}
    assert bench.refused() == {Reason.TYPE_CONFLICT: 1}


def test_a_word_for_nothing_never_fixes_a_type() -> None:
    bench = Bench()
    for word in ("unknown", "unavailable", "none", "nan", ""):
        bench.fields({"mode": word})
    assert bench.catalogue.pins() == []
    assert bench.fields({"mode": 3}) == {"mode": 3.0}


def test_a_number_that_is_none_never_fixes_a_type_either() -> None:
    bench = Bench()
    for number in (math.nan, math.inf, "1e999"):
        bench.fields({"mode": number})
    assert bench.catalogue.pins() == []
    assert bench.fields({"mode": "auto"}) == {"mode": "auto"}


@pytest.mark.parametrize("word", ["unavailable", math.nan])
def test_a_type_fixed_by_another_source_counts_also_where_the_field_was_seen_before(
    word: Value,
) -> None:
    bench, other = Bench(), Bench()
    other.normalizer._catalogue = bench.catalogue
    bench.fields({"mode": word, "gear": word})
    other.fields({"mode": "auto", "gear": 5})
    assert bench.fields({"mode": 3}) == {}
    assert bench.fields({"gear": "high"}) == {"gear_text": "high"}
    assert bench.refused()[Reason.TYPE_CONFLICT] == 1
    assert bench.catalogue.fresh_pins == [
        Pin("sensor", "mode", is_text=True),
        Pin("sensor", "gear", is_text=False),
        Pin("sensor", "gear_text", is_text=True),
    ]


def test_types_outlive_the_process_and_can_be_freed() -> None:
    bench = Bench(pins=[Pin("sensor", "mode", is_text=True)])
    assert bench.fields({"mode": 3}) == {}
    assert bench.catalogue.unpin("sensor", "mode")
    assert bench.fields({"mode": 3}) == {"mode": 3.0}
    assert bench.catalogue.fresh_pins == [Pin("sensor", "mode", is_text=False)]
    assert not bench.catalogue.unpin("sensor", "never seen")


def test_a_pin_that_is_taken_away_before_its_commit_is_not_stored() -> None:
    bench = Bench()
    bench.fields({"mode": "auto", "x": 1})
    assert bench.catalogue.unpin("sensor", "mode")
    assert bench.catalogue.fresh_pins == [Pin("sensor", "x", is_text=False)]


def test_units_are_published_once() -> None:
    bench = Bench()
    for _ in range(3):
        bench.fields({"temp": 21.5, "blink": 2}, {"temp": "degF", "blink": "Hz"})
    assert sorted(bench.catalogue.fresh_units) == [
        ("sensor", "blink_hz", "Hz"),
        ("sensor", "temperature", "Cel"),
    ]


def test_the_device_is_the_topics_else_the_payloads_else_the_sources() -> None:
    bench = Bench(tags={"site": "farm"})
    normalize = bench.normalizer.normalize

    def tags(reading: Reading, frame: Frame) -> dict[str, str]:
        result = normalize(reading, frame)
        assert isinstance(result, Observation)
        return dict(result.series.tags)

    topic = Frame(b"", NOON, "s/attic/a1/state", {"location": "attic", "device": "a1"})
    plain = Frame(b"", NOON)
    reading = Reading({"temperature": 1}, device="b2", tags={"model": "X", "site": "lab"})
    assert tags(reading, topic) == {
        "device": "a1",
        "location": "attic",
        "model": "X",
        "site": "farm",
    }
    assert tags(reading, plain)["device"] == "b2"
    assert tags(Reading({"temperature": 1}), plain)["device"] == "bench"
    empty = Frame(b"", NOON, "s//state", {"device": ""})
    assert tags(Reading({"temperature": 1}, device="b3"), empty)["device"] == "b3"


def test_a_field_never_has_the_name_of_a_tag() -> None:
    bench = Bench(tags={"site": "farm"})
    frame = Frame(b"", NOON, "s/attic", {"location": "attic"})
    reading = Reading({"device": "kitchen", "site": 4, "location": "roof"})
    result = bench.normalizer.normalize(reading, frame)
    assert isinstance(result, Observation)
    assert result.fields == {
        "device_field": "kitchen",
        "site_field": 4.0,
        "location_field": "roof",
    }


@pytest.mark.parametrize(
    ("age_ns", "source"),
    [
        (0, TimeSource.DEVICE),
        (PAST_MAX_NS, TimeSource.DEVICE),
        (-FUTURE_MAX_NS, TimeSource.DEVICE),
        (PAST_MAX_NS + 1, TimeSource.ARRIVAL),
        (-FUTURE_MAX_NS - 1, TimeSource.ARRIVAL),
        (NOON, TimeSource.ARRIVAL),
    ],
)
def test_a_devices_time_is_believed_where_it_is_plausible(age_ns: int, source: TimeSource) -> None:
    reading = Reading({"temperature": 1}, observed_at_ns=NOON - age_ns)
    result = Bench().normalizer.normalize(reading, Frame(b"", NOON))
    assert isinstance(result, Observation)
    assert result.time_source is source
    assert result.time_ns == (NOON - age_ns if source is TimeSource.DEVICE else NOON)


def test_a_device_that_invents_units_is_bounded() -> None:
    bench = Bench()
    for number in range(10):
        bench.fields({"t": 1}, {"t": f"{number}" + "x" * 100_000})
    assert max(len(unit) for _, _, unit in bench.normalizer._plans) == UNIT_MAX


def test_an_unknown_unit_never_makes_a_known_quantity() -> None:
    assert Bench().fields({"wind": 1}, {"wind": "speed"}) == {"wind_speed_raw": 1.0}


def test_a_device_that_invents_names_is_bounded() -> None:
    bench = Bench()
    for start in range(0, PLANS_KEPT + 2_000, 100):
        bench.fields({f"name_{number}": 1 for number in range(start, start + 100)})
    assert len(bench.catalogue.pins()) == NAMES_MAX
    assert len(bench.normalizer._plans) <= PLANS_KEPT
    assert bench.refused()[Reason.TOO_MANY_FIELDS] == PLANS_KEPT + 2_000 - NAMES_MAX
    neighbour = Frame(b"", NOON, "s/other", {"device": "other"})
    result = bench.normalizer.normalize(Reading({"name of its own": 1}), neighbour)
    assert isinstance(result, Observation), "others are not shut out"
    assert bench.fields({"temperature": 20}) == {"temperature": 20.0}, "nor what everybody knows"
    assert bench.adds_up()


def test_one_message_of_thousands_of_names_is_bounded_and_the_next_goes_on() -> None:
    bench = Bench()
    frame = Frame(b"", NOON)
    batch = [Reading({f"temperature_{number}": 1.0}) for number in range(1000)]
    results = [bench.normalizer.normalize(reading, frame) for reading in batch]
    assert sum(isinstance(result, Observation) for result in results) == NEW_NAMES_MAX
    assert bench.refused() == {Reason.TOO_MANY_FIELDS: 1000 - NEW_NAMES_MAX}
    assert bench.fields({"humidity": 40}) == {"humidity": 40.0}
    assert bench.adds_up()


def test_the_fields_of_a_measurement_are_bounded() -> None:
    catalogue = Catalogue([Pin("sensor", f"x{n}", is_text=False) for n in range(FIELDS_MAX)])
    assert not catalogue.pin("sensor", "one_more", is_text=False)
    assert catalogue.pin("sensor", "temperature", is_text=False)
    assert catalogue.pin("other", "one_more", is_text=False)


def test_series_are_not_remembered_by_identities_of_any_length() -> None:
    """Ten thousand of them, each of a message's size, would be all of the memory."""
    bench = Bench()
    for number in range(3):
        reading = Reading({"temperature": 20.0}, device=f"{number}" + "x" * 100_000)
        observation = bench.normalizer.normalize(reading, Frame(b"", NOON + number))
        assert isinstance(observation, Observation)
    assert not bench.normalizer._series
