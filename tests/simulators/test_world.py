"""Physics: repeatable, plausible, and the same whoever asks first."""

import pytest

from simulators.seeds import generator
from simulators.world import DAY_S, QUANTITIES, Climate, World

HOUR_S = 3600.0
RANGES = {
    "temperature": (-25.0, 50.0),
    "humidity": (0.0, 100.0),
    "pressure": (950.0, 1060.0),
    "wind_speed": (0.0, 60.0),
    "wind_direction": (0.0, 359.0),
    "illuminance": (0.0, 150_000.0),
    "moisture": (0.0, 100.0),
    "battery": (0.0, 100.0),
    "carbon_dioxide": (380.0, 3000.0),
    "voltage": (200.0, 260.0),
    "power": (0.0, 25_000.0),
    "energy": (0.0, 5_000.0),
    "occupancy": (0.0, 1.0),
    "pm1": (0.0, 500.0),
    "pm25": (0.0, 500.0),
    "pm4": (0.0, 500.0),
    "pm10": (0.0, 500.0),
    "formaldehyde": (0.0, 500.0),
    "current": (0.0, 100.0),
    "frequency": (49.8, 50.2),
    "power_factor": (0.5, 1.0),
    "reactive_power": (-2_000.0, 5_000.0),
    "battery_voltage": (11.0, 15.0),
    "battery_current": (-20.0, 25.0),
    "panel_voltage": (0.0, 60.0),
    "panel_power": (0.0, 1_000.0),
    "latitude": (54.0, 54.6),
    "longitude": (9.8, 10.4),
    "altitude": (-20.0, 40.0),
    "speed": (0.0, 25.0),
    "course": (0.0, 360.0),
    "depth": (0.3, 30.0),
    "water_temperature": (5.0, 25.0),
    "weight": (0.0, 50.0),
}


def test_every_quantity_has_a_range_here() -> None:
    assert set(RANGES) == set(QUANTITIES)


@pytest.mark.parametrize("climate", Climate)
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_values_stay_plausible_all_day(quantity: str, climate: Climate) -> None:
    low, high = RANGES[quantity]
    for seed in range(3):
        world = World(seed)
        values = [world.value("roof", quantity, hour * HOUR_S, climate) for hour in range(24)]
        assert all(low <= value <= high for value in values), (seed, values)
        assert len(set(values)) > 1


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_the_order_of_questions_does_not_matter(quantity: str) -> None:
    instants = [0.0, 59.5, 60.0, 3601.0, 40_000.0]
    forwards, backwards = World(3), World(3)
    expected = {t: forwards.value("a", quantity, t) for t in instants}
    found = {t: backwards.value("a", quantity, t) for t in reversed(instants)}
    assert found == expected


def test_seeds_and_places_differ() -> None:
    values = {World(seed).value(place, "temperature", 60.0) for seed in (1, 2) for place in "ab"}
    assert len(values) == 4


def test_a_meter_never_runs_backwards() -> None:
    world = World(5)
    readings = [world.value("a", "energy", t * 7.0) for t in range(2000)]
    assert readings == sorted(readings)
    assert readings[0] < readings[-1]


def test_it_is_warmer_and_brighter_by_day() -> None:
    world = World(2, start_hour=0.0)
    for quantity in ("temperature", "illuminance"):
        by_hour = [0.0] * 24
        for hour in range(24 * 7):
            by_hour[hour % 24] += world.value("a", quantity, hour * HOUR_S, Climate.OUTDOOR)
        assert by_hour[14] > by_hour[3]
    assert world.value("a", "illuminance", 0.0, Climate.OUTDOOR) == 0.0


def test_a_short_day_runs_the_world_faster() -> None:
    short, long = World(4, day_s=600.0), World(4)
    assert short.value("a", "humidity", 300.0) == long.value("a", "humidity", DAY_S / 2)


def test_generators_depend_on_seed_and_name_only() -> None:
    assert generator(1, "a", "b").random() == generator(1, "a", "b").random()
    assert generator(1, "a", "b").random() != generator(1, "ab").random()
    assert generator(1, "a").random() != generator(2, "a").random()
