"""Dust as all particle sensors at one place see it: what is smaller is a part of what is larger."""

from typing import NamedTuple

from simulators.devices import Measure


class Masses(NamedTuple):
    """In ug/m3, of the particles up to a size in micrometres."""

    pm1: float
    pm25: float
    pm4: float
    pm10: float


def masses(measure: Measure, t: float) -> Masses:
    """Return fine dust, and some of the coarse on top of it."""
    fine, coarse = measure("pm25", t), measure("pm10", t)
    return Masses(0.7 * fine, fine, fine + 0.15 * coarse, fine + 0.4 * coarse)
