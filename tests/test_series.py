"""Points never change: what happens when two observations of a series meet at one instant."""

import pytest

from gateway.model import Observation, Reason, Repeated, Series, TimeSource
from gateway.series import (
    SERIES_KEPT,
    SETBACKS_TOLD_APART,
    TIMES_KEPT,
    SeriesHistory,
    SeriesRegistry,
)

SERIES = Series("climate", (("device", "a"),), "climate,device=a")
NOON = 1_800_000_000_000_000_000
HOUR_NS = 3600 * 10**9


def time_of(placed: Observation | Repeated) -> int:
    assert isinstance(placed, Observation)
    return placed.time_ns


def test_two_lines_that_arrive_in_one_read_are_two_points_even_with_equal_values() -> None:
    history = SeriesHistory(SERIES)
    times = [time_of(history.place({"temperature": 1.0}, NOON, None)) for _ in range(1000)]
    assert times == [*range(NOON, NOON + 999), NOON + 1000]


def arrivals(history: SeriesHistory, start_ns: int, count: int, every_ns: int) -> list[int]:
    """What so many arrivals at a steady pace get."""
    placed = [history.place({"t": 1.0}, start_ns + n * every_ns, None) for n in range(count)]
    return list(map(time_of, placed))


def test_an_arrival_keeps_its_own_time_to_the_microsecond_when_the_clock_steps_back() -> None:
    history = SeriesHistory(SERIES)
    history.place({"temperature": 1.0}, NOON, None)
    hour_ago = NOON - HOUR_NS
    placed = time_of(history.place({"temperature": 1.0}, hour_ago, None))
    assert 0 <= placed - hour_ago < 2000


@pytest.mark.parametrize("every_ns", [1, 1000, 999, 10**6, 10**9])
def test_a_clock_set_back_again_and_again_never_gives_a_time_twice(every_ns: int) -> None:
    """At whatever pace, by whatever step, also onto the very nanoseconds of before."""
    history = SeriesHistory(SERIES)
    start_ns, count = NOON, 2000
    taken: set[int] = set()
    for setback in range(SETBACKS_TOLD_APART + 1):
        times = arrivals(history, start_ns, count, every_ns)
        assert times == sorted(times)
        assert taken.isdisjoint(times)
        taken.update(times)
        start_ns = NOON - setback * 500 * every_ns - 10**9
    assert len(taken) == count * (SETBACKS_TOLD_APART + 1)


def test_past_the_setback_times_are_those_of_arrival_again() -> None:
    history = SeriesHistory(SERIES)
    before = arrivals(history, NOON, 100, 10**9)
    again = arrivals(history, NOON - 10 * 10**9, 300, 10**9)
    assert set(before).isdisjoint(again)
    assert again[110:] == [NOON + n * 10**9 for n in range(100, 290)]
    assert all(0 <= time - (NOON + (n - 10) * 10**9) < 2000 for n, time in enumerate(again))


def test_a_burst_after_a_setback_is_no_setback() -> None:
    history = SeriesHistory(SERIES)
    history.place({"t": 1.0}, NOON, None)
    times = arrivals(history, NOON - 10**9, 10_000, 0)
    assert len(set(times)) == 10_000
    assert times[-1] - times[0] == 9_999 * 2000
    later = time_of(history.place({"t": 1.0}, NOON - 10**8, None))
    assert later - (NOON - 10**8) < 2000


def test_a_clock_that_is_set_back_by_less_than_a_millisecond_is_waited_for() -> None:
    history = SeriesHistory(SERIES)
    assert arrivals(history, NOON, 3, -1000) == [NOON, NOON + 1, NOON + 2]


def test_without_a_time_of_day_nothing_is_a_repetition_and_every_arrival_a_point_of_its_own() -> (
    None
):
    """The device's time may prove wrong, and then the arrival is the time."""
    history = SeriesHistory(SERIES)
    placed = [history.place({"t": 1.0}, 5, NOON) for _ in range(3)]
    placed.append(history.place({"t": 2.0}, 5, NOON))
    placed.append(history.place({"t": 1.0}, 5, None))
    assert [(o.time_ns, o.received_at_ns) for o in placed if isinstance(o, Observation)] == [
        (NOON, 5),
        (NOON, 6),
        (NOON, 7),
        (NOON + 1, 8),
        (9, 5),
    ]


def test_when_the_start_gets_its_date_the_arrivals_since_then_stay_taken() -> None:
    registry = SeriesRegistry()
    history = registry.history(SERIES)
    taken = {NOON + time for time in arrivals(history, 10**9, 100, 10**6)}
    registry.date(NOON)
    assert taken.isdisjoint(arrivals(history, NOON + 10**9, 100, 10**6))
    registry.date(NOON)
    later = NOON + 5 * 10**9
    assert time_of(history.place({"t": 1.0}, later, None)) == later


def test_the_same_device_time_with_equal_values_is_a_repetition() -> None:
    history = SeriesHistory(SERIES)
    first = history.place({"temperature": 1.0, "humidity": 2.0}, NOON, NOON)
    assert isinstance(first, Observation)
    assert first.time_source is TimeSource.DEVICE
    assert isinstance(history.place({"temperature": 1.0}, NOON + 5, NOON), Repeated)
    assert history.count == 1


def test_other_fields_at_the_same_device_time_are_merged() -> None:
    history = SeriesHistory(SERIES)
    history.place({"temperature": 1.0}, NOON, NOON)
    assert time_of(history.place({"humidity": 2.0}, NOON, NOON)) == NOON
    assert isinstance(history.place({"humidity": 2.0}, NOON, NOON), Repeated)


def test_a_different_value_at_the_same_device_time_moves_on_and_overwrites_nothing() -> None:
    history = SeriesHistory(SERIES)
    history.place({"temperature": 1.0}, NOON, NOON)
    assert time_of(history.place({"temperature": 2.0}, NOON, NOON)) == NOON + 1
    assert time_of(history.place({"temperature": 3.0}, NOON, NOON)) == NOON + 2
    assert isinstance(history.place({"temperature": 2.0}, NOON, NOON), Repeated)


def test_any_number_of_values_at_one_device_time_are_as_many_points() -> None:
    history = SeriesHistory(SERIES)
    count = 10 * TIMES_KEPT
    times = [time_of(history.place({"t": float(i)}, NOON, NOON)) for i in range(count)]
    assert times == list(range(NOON, NOON + count))
    for second in range(1, 2 * TIMES_KEPT):
        history.place({"t": 0.0}, NOON, NOON + second * 10**9)
    assert time_of(history.place({"t": -1.0}, NOON, NOON)) == NOON + count


def test_what_a_device_says_again_and_again_is_remembered_however_much_it_says_besides() -> None:
    history = SeriesHistory(SERIES)
    history.place({"mean": 1.0}, NOON, NOON - HOUR_NS)
    for second in range(10 * TIMES_KEPT):
        now = NOON + second * 10**9
        assert isinstance(history.place({"temperature": 1.0}, now, now), Observation)
        assert history.place({"mean": 1.0}, now, NOON - HOUR_NS) == Repeated(Reason.SAME_POINT)
    assert len(history._points) == TIMES_KEPT


def test_a_point_that_was_not_stored_is_forgotten_but_never_one_that_may_be() -> None:
    registry = SeriesRegistry()
    history = registry.history(SERIES)
    for fields in ({"t": 1.0}, {"t": 2.0}):
        placed = history.place(fields, NOON, NOON - 5)
        assert isinstance(placed, Observation)
        registry.forget(placed)
    assert time_of(history.place({"t": 3.0}, NOON, NOON - 5)) == NOON - 5
    merged = history.place({"u": 1.0}, NOON, NOON - 5)
    assert isinstance(merged, Observation)
    registry.forget(merged)
    assert time_of(history.place({"t": 4.0}, NOON, NOON - 5)) == NOON - 4
    registry.forget(Observation(SERIES._replace(prefix="other"), {}, 0, 0, TimeSource.DEVICE))


def test_an_arrival_never_lands_on_a_device_time() -> None:
    history = SeriesHistory(SERIES)
    history.place({"temperature": 1.0}, NOON, NOON)
    assert time_of(history.place({"temperature": 9.0}, NOON, None)) == NOON + 1


def test_memory_is_bounded() -> None:
    history = SeriesHistory(SERIES)
    for second in range(10 * TIMES_KEPT):
        history.place({"temperature": 1.0}, NOON, NOON + second * 10**9)
    assert len(history._points) == TIMES_KEPT
    registry = SeriesRegistry()
    for number in range(SERIES_KEPT + 10):
        registry.history(Series("m", (), f"m{number}"))
    assert len(registry.histories()) == SERIES_KEPT


def test_two_sources_of_one_series_share_its_history() -> None:
    registry = SeriesRegistry()
    assert registry.history(SERIES) is registry.history(SERIES._replace())
