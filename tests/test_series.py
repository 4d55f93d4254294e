"""Points never change: what happens when two observations of a series meet at one instant."""

from gateway.model import Observation, Repeated, Series, TimeSource
from gateway.series import SERIES_KEPT, TIMES_KEPT, SeriesHistory, SeriesRegistry

SERIES = Series("climate", (("device", "a"),), "climate,device=a")
NOON = 1_800_000_000_000_000_000


def time_of(placed: Observation | Repeated) -> int:
    assert isinstance(placed, Observation)
    return placed.time_ns


def test_two_lines_that_arrive_in_one_read_are_two_points_even_with_equal_values() -> None:
    history = SeriesHistory(SERIES)
    times = [time_of(history.place({"temperature": 1.0}, NOON, None)) for _ in range(1000)]
    assert times == list(range(NOON, NOON + 1000))


def test_an_arrival_keeps_its_own_time_when_the_clock_steps_back() -> None:
    history = SeriesHistory(SERIES)
    history.place({"temperature": 1.0}, NOON, None)
    hour_ago = NOON - 3600 * 10**9
    assert time_of(history.place({"temperature": 1.0}, hour_ago, None)) == hour_ago


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
