"""Time stamps of devices: what each means, where the clocks change, and which are believed."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.catalogue import Catalogue
from gateway.devices import devices
from gateway.ledger import Ledger
from gateway.model import Decoded, Frame, Observation, TimeSource
from gateway.normalize import Normalizer
from gateway.series import SeriesRegistry
from gateway.times import FLOOR_NS, FUTURE_MAX_NS, PAST_MAX_NS, is_plausible

ARRIVED = datetime(2026, 11, 25, 12, tzinfo=UTC)
BERLIN = "Europe/Berlin"


def nanoseconds(when: datetime) -> int:
    return int(when.timestamp()) * 10**9 + when.microsecond * 1000


def observe(
    stamp: str, arrived_ns: int, *, zone: str = "", decoder: str = "json"
) -> Observation | None:
    """What a decoder and the normalizer make of a temperature with this time."""
    options = {"timezone": zone} if zone else {}
    payload = {
        "json": f'{{"temperature": 20.5, "time": {stamp}}}',
        "text": f"temperature=20.5;time={stamp.strip(chr(34))}",
    }[decoder]
    frame = Frame(payload.encode(), arrived_ns)
    verdict = devices()[decoder].decoder(**options).decode(frame)
    assert isinstance(verdict, Decoded)
    (reading,) = verdict.readings
    ledger = Ledger()
    normalizer = Normalizer(
        account=ledger.account("bench", "mqtt"),
        ledger=ledger,
        catalogue=Catalogue([]),
        registry=SeriesRegistry(),
        device="bench",
        tags={},
        rules={},
    )
    result = normalizer.normalize(reading, frame)
    assert isinstance(result, Observation)
    return result


def time_of(
    stamp: str, arrived: datetime = ARRIVED, *, zone: str = "", decoder: str = "json"
) -> datetime | None:
    """The device's time, where it is believed; else the observation has that of its arrival."""
    found = observe(stamp, nanoseconds(arrived), zone=zone, decoder=decoder)
    assert found is not None
    if found.time_source is TimeSource.ARRIVAL:
        assert found.time_ns == nanoseconds(arrived)
        return None
    return datetime.fromtimestamp(found.time_ns / 1e9, UTC)


MINUTE_AGO = ARRIVED - timedelta(minutes=1)


@pytest.mark.parametrize(
    "stamp",
    [
        '"2026-11-25T11:59:00Z"',
        '"2026-11-25T11:59:00+00:00"',
        '"2026-11-25T12:59:00+01:00"',
        '"2026-11-25T17:44:00+05:45"',
        '"2026-11-25T06:59:00-0500"',
        f"{int(MINUTE_AGO.timestamp())}",
        f"{int(MINUTE_AGO.timestamp())}000",
        f"{int(MINUTE_AGO.timestamp())}000000",
        f"{int(MINUTE_AGO.timestamp())}000000000",
        f"{int(MINUTE_AGO.timestamp())}.0",
    ],
)
@pytest.mark.parametrize("zone", ["", "Asia/Tokyo"])
def test_a_time_that_says_its_zone_needs_none_and_an_epoch_has_none(stamp: str, zone: str) -> None:
    assert time_of(stamp, zone=zone) == MINUTE_AGO


def test_a_time_without_a_zone_is_believed_where_the_configuration_gives_one() -> None:
    assert time_of('"2026-11-25T12:59:00"') is None
    assert time_of('"2026-11-25T12:59:00"', zone=BERLIN) == MINUTE_AGO
    assert time_of('"2026-11-25T12:59:00"', zone=BERLIN, decoder="text") == MINUTE_AGO
    assert time_of('"2026-11-25T11:59:00"', zone="UTC") == MINUTE_AGO


AUTUMN = datetime(2026, 10, 25, tzinfo=UTC)
"""At 01:00 UTC clocks in Berlin go back from 03:00 to 02:00."""


@pytest.mark.parametrize("decoder", ["json", "text"])
@pytest.mark.parametrize(
    ("arrived", "stated", "meant"),
    [
        ("00:30:05", "02:30:00", "00:30:00"),
        ("01:30:05", "02:30:00", "01:30:00"),
        ("00:59:59", "02:59:59", "00:59:59"),
        ("01:00:01", "02:00:00", "01:00:00"),
        ("01:00:01", "02:59:59", "00:59:59"),
        ("02:10:00", "02:50:00", "01:50:00"),
        ("00:00:00", "02:00:00", "00:00:00"),
        ("02:00:00", "03:00:00", "02:00:00"),
    ],
)
def test_in_the_hour_that_comes_twice_the_nearer_one_is_meant(
    arrived: str, stated: str, meant: str, decoder: str
) -> None:
    def on_the_day(text: str) -> datetime:
        return datetime.fromisoformat(f"2026-10-25T{text}Z")

    found = time_of(f'"2026-10-25T{stated}"', on_the_day(arrived), zone=BERLIN, decoder=decoder)
    assert found == on_the_day(meant)


def test_a_device_that_speaks_through_the_night_of_the_change_never_goes_back() -> None:
    """Every minute of wall clock time, from before the first two o'clock until after the second."""
    berlin = timedelta(hours=2)
    for minute in range(-60, 180):
        truth = AUTUMN + timedelta(minutes=minute)
        wall = truth + (berlin if truth < AUTUMN + timedelta(hours=1) else berlin / 2)
        arrived = truth + timedelta(seconds=2)
        assert time_of(f'"{wall:%Y-%m-%dT%H:%M:%S}"', arrived, zone=BERLIN) == truth


def test_an_hour_that_is_left_out_in_spring_is_read_as_the_device_seems_to_mean_it() -> None:
    arrived = datetime(2027, 3, 28, 1, 30, 2, tzinfo=UTC)  # 03:30:02 in Berlin, on summer time
    not_changed_yet = time_of('"2027-03-28T02:30:00"', arrived, zone=BERLIN)
    assert not_changed_yet == datetime(2027, 3, 28, 1, 30, tzinfo=UTC)
    arrived = datetime(2027, 3, 28, 0, 30, 2, tzinfo=UTC)
    changed_too_early = time_of('"2027-03-28T02:30:00"', arrived, zone=BERLIN)
    assert changed_too_early == datetime(2027, 3, 28, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "stamp",
    [
        '"1970-01-01T00:00:12Z"',
        '"2000-01-01T00:00:00Z"',
        '"2001-01-01T00:00:00Z"',
        '"2019-04-07T00:00:00Z"',  # where GPS receivers restart counting
        '"2036-02-07T06:28:16Z"',  # where NTP's seconds do
        '"2080-01-06T00:00:00Z"',
        '"2026-11-18T11:59:59Z"',
        '"2026-11-25T12:01:01Z"',
        '"2026-11-25T13:00:00Z"',  # local time called UTC
        "12",
        "978307200",
        "2085978496",
        "3471984000000",
    ],
)
def test_a_clock_that_cannot_be_right_is_not_believed(stamp: str) -> None:
    assert time_of(stamp) is None


@pytest.mark.parametrize(
    "stamp", ['"2026-11-18T12:00:00Z"', '"2026-11-25T12:01:00Z"', '"2026-11-20T00:00:00Z"']
)
def test_seven_days_late_or_a_minute_early_it_may_be(stamp: str) -> None:
    assert time_of(stamp) is not None


SINCE_BOOT_NS = 42 * 10**9


def test_before_there_is_a_time_of_day_a_device_s_time_is_kept_beside_the_arrival() -> None:
    kept = observe('"2026-11-25T11:59:00Z"', SINCE_BOOT_NS)
    assert kept is not None
    assert kept.time_source is TimeSource.DEVICE
    assert (kept.time_ns, kept.received_at_ns) == (nanoseconds(MINUTE_AGO), SINCE_BOOT_NS)


@pytest.mark.parametrize("stamp", ['"1970-01-01T00:00:12Z"', '"2024-12-24T23:59:59Z"', "12"])
def test_before_there_is_a_time_of_day_one_before_2025_is_wrong_all_the_same(stamp: str) -> None:
    found = observe(stamp, SINCE_BOOT_NS)
    assert found is not None
    assert (found.time_source, found.time_ns) == (TimeSource.ARRIVAL, SINCE_BOOT_NS)


def test_before_there_is_a_time_of_day_nothing_is_near_to_the_hour_that_comes_twice() -> None:
    ambiguous = observe('"2026-10-25T02:30:00"', SINCE_BOOT_NS, zone=BERLIN)
    assert ambiguous is not None
    assert ambiguous.time_source is TimeSource.ARRIVAL
    certain = observe('"2026-10-25T01:30:00"', SINCE_BOOT_NS, zone=BERLIN)
    assert certain is not None
    assert certain.time_source is TimeSource.DEVICE


def test_the_bounds_of_what_is_plausible() -> None:
    now_ns = nanoseconds(ARRIVED)
    assert is_plausible(now_ns - PAST_MAX_NS, now_ns)
    assert not is_plausible(now_ns - PAST_MAX_NS - 1, now_ns)
    assert is_plausible(now_ns + FUTURE_MAX_NS, now_ns)
    assert not is_plausible(now_ns + FUTURE_MAX_NS + 1, now_ns)
    assert is_plausible(FLOOR_NS - PAST_MAX_NS, SINCE_BOOT_NS)
    assert not is_plausible(FLOOR_NS - PAST_MAX_NS - 1, SINCE_BOOT_NS)
