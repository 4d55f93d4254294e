"""Seeded physics: the value of a quantity at a place and an instant.

A value is a daily curve, plus slow weather, plus fast noise, all of it derived from the seed, the
place and the name of the quantity; the order of the questions doesn't matter. Noise is a first-
order autoregressive sequence on a fixed grid of instants, with straight lines in between. Going
forward costs one random number per grid step; going back starts the sequence again, which is right
but slow.

Limits: quantities are related only through the shared hour of the day, and a year has no seasons.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from simulators.seeds import generator

DAY_S = 86_400.0
WEATHER_STEP_S = 3 * 3600.0
AGE_S = 30 * DAY_S  # how long a typical battery has been in use, at one percent a day


class Climate(StrEnum):
    """Where a place is: it decides how far the day reaches in."""

    INDOOR = "indoor"
    OUTDOOR = "outdoor"


class Shape(StrEnum):
    """How curve and noise become a value."""

    PLAIN = "plain"  # mean + day + noise
    FACTOR = "factor"  # mean x exp(noise), never negative
    DAYLIGHT = "daylight"  # zero at night
    CIRCLE = "circle"  # a direction in degrees
    DISCHARGE = "discharge"  # falls from the top, is replaced at the bottom
    METER = "meter"  # counts upwards what `of` consumes
    SWITCH = "switch"  # true or false


@dataclass(frozen=True, slots=True)
class Curve:
    """The nature of one quantity; instants are hours of the day, deviations are standard ones."""

    mean: float
    swing: float = 0.0
    peak_hour: float = 15.0
    weather: float = 0.0
    noise: float = 0.0
    step_s: float = 30.0
    low: float = -math.inf
    high: float = math.inf
    decimals: int = 1
    shape: Shape = Shape.PLAIN
    of: str = ""


CURVES: dict[str, Curve] = {
    "temperature": Curve(11.0, 6.0, 15.0, 3.0, 0.15, decimals=2),
    "humidity": Curve(68.0, -16.0, 15.0, 7.0, 0.6, low=5.0, high=100.0),
    "pressure": Curve(1013.2, 0.6, 10.0, 7.0, 0.08, decimals=2),
    "wind_speed": Curve(3.4, 1.2, 14.0, 0.5, 0.35, 2.0, low=0.0, shape=Shape.FACTOR),
    "wind_direction": Curve(230.0, 0.0, 0.0, 40.0, 9.0, 2.0, decimals=0, shape=Shape.CIRCLE),
    "illuminance": Curve(
        42_000.0, noise=0.25, peak_hour=13.0, step_s=10.0, low=0.0, shape=Shape.DAYLIGHT
    ),
    "moisture": Curve(34.0, -2.0, 17.0, 5.0, 0.2, 120.0, low=0.0, high=100.0),
    "battery": Curve(100.0, high=100.0, decimals=0, shape=Shape.DISCHARGE),
    "carbon_dioxide": Curve(425.0, 8.0, 6.0, 6.0, 2.0, decimals=0, low=380.0),
    "voltage": Curve(231.0, 1.5, 3.0, 1.0, 0.5, 5.0),
    "power": Curve(410.0, 180.0, 19.0, 0.3, 0.5, 10.0, low=0.0, shape=Shape.FACTOR),
    "energy": Curve(1250.0, decimals=3, shape=Shape.METER, of="power", step_s=10.0),
    "pm1": Curve(6.0, 2.0, 8.0, 0.4, 0.15, 5.0, low=0.0, shape=Shape.FACTOR),
    "pm25": Curve(9.0, 3.0, 8.0, 0.4, 0.15, 5.0, low=0.0, shape=Shape.FACTOR),
    "pm4": Curve(10.5, 3.5, 8.0, 0.4, 0.15, 5.0, low=0.0, shape=Shape.FACTOR),
    "pm10": Curve(12.0, 4.0, 8.0, 0.4, 0.15, 5.0, low=0.0, shape=Shape.FACTOR),
    "formaldehyde": Curve(18.0, 6.0, 17.0, 0.3, 0.1, 30.0, low=0.0, shape=Shape.FACTOR),
    "current": Curve(1.8, 0.7, 19.0, 0.3, 0.5, 10.0, low=0.0, decimals=3, shape=Shape.FACTOR),
    "frequency": Curve(50.0, weather=0.01, noise=0.015, step_s=5.0, decimals=2),
    "power_factor": Curve(0.93, noise=0.02, low=0.0, high=1.0, decimals=3),
    "reactive_power": Curve(60.0, 20.0, 19.0, 0.3, 0.3, 10.0, shape=Shape.FACTOR),
    "battery_voltage": Curve(13.1, 0.5, 14.0, 0.1, 0.02, decimals=3),
    "battery_current": Curve(1.0, 6.0, 13.0, 2.0, 0.8, 5.0, decimals=3),
    "panel_voltage": Curve(34.0, noise=0.02, peak_hour=13.0, low=0.0, shape=Shape.DAYLIGHT),
    "panel_power": Curve(180.0, noise=0.25, peak_hour=13.0, low=0.0, shape=Shape.DAYLIGHT),
    "latitude": Curve(54.32, weather=0.01, noise=2e-5, decimals=6),
    "longitude": Curve(10.14, weather=0.01, noise=2e-5, decimals=6),
    "altitude": Curve(12.0, noise=1.5, decimals=1),
    "speed": Curve(
        2.6, weather=0.3, noise=0.1, step_s=5.0, low=0.0, decimals=2, shape=Shape.FACTOR
    ),
    "course": Curve(120.0, weather=30.0, noise=2.0, step_s=5.0, decimals=0, shape=Shape.CIRCLE),
    "depth": Curve(8.0, 0.4, 12.0, 2.0, 0.1, 5.0, low=0.3, decimals=2),
    "water_temperature": Curve(14.0, 0.5, 17.0, 1.0, 0.05, decimals=2),
    "weight": Curve(12.0, 4.0, 12.0, 1.0, 0.3, 10.0, low=0.0, decimals=2),
    "occupancy": Curve(0.0, 0.6, 15.0, 0.4, 0.8, 60.0, decimals=0, shape=Shape.SWITCH),
}

INDOORS: dict[str, Curve] = {
    "temperature": Curve(21.0, 1.2, 17.0, 0.5, 0.08, decimals=2),
    "humidity": Curve(46.0, -4.0, 16.0, 4.0, 0.3, low=5.0, high=95.0),
    "illuminance": Curve(
        420.0, noise=0.3, peak_hour=13.0, step_s=10.0, low=0.0, shape=Shape.DAYLIGHT
    ),
    "carbon_dioxide": Curve(690.0, 190.0, 20.0, 60.0, 12.0, decimals=0, low=400.0),
}

QUANTITIES = tuple(CURVES)


class Noise:
    """A first-order autoregressive sequence of unit variance, read at any instant."""

    __slots__ = ("_after", "_before", "_index", "_new", "_random", "_step_s")

    MEMORY = 0.85
    INNOVATION = math.sqrt(1.0 - MEMORY * MEMORY)

    def __init__(self, new: Callable[[], random.Random], step_s: float) -> None:
        """Take a factory of equal generators, to begin again from, and the grid's step."""
        self._new = new
        self._step_s = step_s
        self._restart()

    def _restart(self) -> None:
        self._random = self._new()
        self._index = 0
        self._before = self._random.gauss(0.0, 1.0)
        self._after = self._next()

    def _next(self) -> float:
        return self.MEMORY * self._before + self.INNOVATION * self._random.gauss(0.0, 1.0)

    def at(self, t: float) -> float:
        """Return the value at an instant, in seconds since the start."""
        position = t / self._step_s
        index = int(position)
        if index < self._index:
            self._restart()
        while self._index < index:
            self._before = self._after
            self._after = self._next()
            self._index += 1
        return self._before + (self._after - self._before) * (position - index)


class Meter:
    """A counter of kilowatt hours fed by a power in watts; it never runs backwards."""

    __slots__ = ("_index", "_power", "_start", "_step_s", "_total")

    def __init__(self, power: Callable[[float], float], start: float, step_s: float) -> None:
        """Count from `start`, adding what `power` says at every grid point."""
        self._power = power
        self._start = start
        self._step_s = step_s
        self._index = 0
        self._total = start

    def at(self, t: float) -> float:
        """Return the reading at an instant, in seconds since the start."""
        index = int(t / self._step_s)
        if index < self._index:
            self._index, self._total = 0, self._start
        while self._index < index:
            self._total += self._gain(self._step_s)
            self._index += 1
        return self._total + self._gain(t - index * self._step_s)

    def _gain(self, seconds: float) -> float:
        return self._power(self._index * self._step_s) * seconds / 3_600_000.0


class World:
    """All places under one seed. A shortened day makes the whole world run faster."""

    def __init__(self, seed: int, *, day_s: float = DAY_S, start_hour: float = 8.0) -> None:
        """Start the first day at `start_hour`; `day_s` is its length in real seconds."""
        self._seed = seed
        self._speed = DAY_S / day_s
        self._start_hour = start_hour
        self._series: dict[tuple[str, str, Climate], Callable[[float], float]] = {}

    def value(
        self, place: str, quantity: str, t: float, climate: Climate = Climate.INDOOR
    ) -> float:
        """Return the value `t` seconds after the start, at the quantity's usual resolution."""
        key = (place, quantity, climate)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._new_series(*key)
        curve = CURVES[quantity]
        return round(series(t * self._speed), curve.decimals)

    def _new_series(self, place: str, quantity: str, climate: Climate) -> Callable[[float], float]:
        curve = CURVES[quantity]
        if climate is Climate.INDOOR:
            curve = INDOORS.get(quantity, curve)
        offset = generator(self._seed, place, quantity, "offset").gauss(0.0, 1.0)
        if curve.shape is Shape.METER:
            consumer = self._new_series(place, curve.of, climate)
            return Meter(consumer, curve.mean * (1.0 + 0.2 * abs(offset)), curve.step_s).at
        fast = Noise(lambda: generator(self._seed, place, quantity, "noise"), curve.step_s)
        slow = Noise(lambda: generator(self._seed, place, quantity, "weather"), WEATHER_STEP_S)
        form = _FORMS[curve.shape]
        start_s = self._start_hour * 3600.0
        age_s = abs(offset) * AGE_S

        def series(t: float) -> float:
            day = math.cos((t + start_s - curve.peak_hour * 3600.0) / DAY_S * math.tau)
            value = form(
                curve,
                day,
                curve.weather * slow.at(t) + curve.noise * (fast.at(t) + offset),
                age_s + t,
            )
            return min(max(value, curve.low), curve.high)

        return series


def _plain(curve: Curve, day: float, noise: float, _age_s: float) -> float:
    return curve.mean + curve.swing * day + noise


def _factor(curve: Curve, day: float, noise: float, _age_s: float) -> float:
    return (curve.mean + curve.swing * day) * math.exp(noise)


def _daylight(curve: Curve, day: float, noise: float, _age_s: float) -> float:
    return curve.mean * max(0.0, day) * math.exp(noise)


def _circle(curve: Curve, _day: float, noise: float, _age_s: float) -> float:
    return round(curve.mean + noise) % 360.0


def _discharge(curve: Curve, _day: float, _noise: float, age_s: float) -> float:
    return curve.high - age_s / DAY_S % curve.high


def _switch(curve: Curve, day: float, noise: float, _age_s: float) -> float:
    return 1.0 if curve.swing * day + noise > 0.0 else 0.0


_FORMS: dict[Shape, Callable[[Curve, float, float, float], float]] = {
    Shape.PLAIN: _plain,
    Shape.FACTOR: _factor,
    Shape.DAYLIGHT: _daylight,
    Shape.CIRCLE: _circle,
    Shape.DISCHARGE: _discharge,
    Shape.SWITCH: _switch,
}
