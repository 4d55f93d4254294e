"""What speaks NMEA 0183: a satellite receiver, a wind instrument, the instruments of a boat.

    $ talker sentence , fields * checksum CR LF

The checksum is the exclusive or of what is between $ and *, two hexadecimal digits.

* `gps`   RMC, GGA, VTG, GSA, GSV of a receiver with a fix
* `wind`  MWV, MWD, MDA of a weather station
* `boat`  HDG, VHW, DBT, DPT, MTW, MWV, XDR of several instruments behind a multiplexer

The receiver's clock begins on the evening of 29 February 2024, so that a leap day ends soon.
One item is one sentence; its values are the numbers in it.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import xor

from simulators.devices import Device, Item, Measure, Values

_START = datetime(2024, 2, 29, 23, 50, tzinfo=UTC)
_KNOT = 1852 / 3600
_FOOT = 0.3048
_FATHOM = 6 * _FOOT
_INCH_OF_MERCURY_HPA = 33.8639

_Sentences = Callable[[Measure, float], list[Item]]


def sentence(address: str, form: str, values: Values) -> Item:
    """Return one sentence; `form` has the fields, with the names of values in braces."""
    body = f"{address},{form.format(**values)}".encode()
    used = {name: value for name, value in values.items() if f"{{{name}" in form}
    return Item("", b"$%b*%02X\r\n" % (body, reduce(xor, body)), used)


def _angle(degrees: float) -> float:
    """Return ddmm.mmmm as a number."""
    minutes = round(abs(degrees) * 60, 4)
    return round(minutes // 60 * 100 + minutes % 60, 4)


def _gps(measure: Measure, t: float) -> list[Item]:
    now = _START + timedelta(seconds=t)
    hms, day = f"{now:%H%M%S}.{now.microsecond // 10_000:02}", f"{now:%d%m%y}"
    north = "S" if measure("latitude", t) < 0 else "N"
    east = "W" if measure("longitude", t) < 0 else "E"
    place = f"{{lat:09.4f}},{north},{{lon:010.4f}},{east}"
    knots = round(measure("speed", t) / _KNOT, 2)
    fix: Values = {
        "lat": _angle(measure("latitude", t)),
        "lon": _angle(measure("longitude", t)),
        "altitude": measure("altitude", t),
        "knots": knots,
        "kmh": round(knots * 1.852, 2),
        "course": measure("course", t),
        "variation": 3.1,
        "quality": 1,
        "satellites": 8,
        "view": 9,
        "pdop": 1.7,
        "hdop": 0.9,
        "vdop": 1.4,
    }
    gga = "{quality},{satellites:02},{hdop},{altitude:.1f},M,44.9,M,,"
    rmc = f"{{knots:.2f}},{{course:.1f}},{day},{{variation}},E,A"
    return [
        sentence("GPRMC", f"{hms},A,{place},{rmc}", fix),
        sentence("GPGGA", f"{hms},{place},{gga}", fix),
        sentence("GPVTG", "{course:.1f},T,,M,{knots:.2f},N,{kmh:.2f},K,A", fix),
        sentence("GPGSA", "A,3,02,05,07,13,15,20,29,30,,,,,{pdop},{hdop},{vdop}", fix),
        sentence("GPGSV", "3,1,{view:02},02,62,231,44,05,41,301,40,07,18,055,31,13,75,110,46", fix),
        sentence("GPGSV", "3,2,{view:02},15,33,190,39,20,09,012,,29,47,088,42,30,22,260,35", fix),
        sentence("GPGSV", "3,3,{view:02},18,04,334,", fix),
    ]


def _wind(measure: Measure, t: float) -> list[Item]:
    pressure = measure("pressure", t)
    air: Values = {
        "direction": measure("wind_direction", t),
        "knots": round(measure("wind_speed", t) / _KNOT, 1),
        "metres": round(measure("wind_speed", t), 1),
        "inches": round(pressure / _INCH_OF_MERCURY_HPA, 2),
        "bar": round(pressure / 1000, 4),
        "air": round(measure("temperature", t), 1),
        "humidity": measure("humidity", t),
    }
    return [
        sentence("WIMWV", "{direction:.1f},R,{knots:.1f},N,A", air),
        sentence("WIMWD", "{direction:.1f},T,,M,{knots:.1f},N,{metres:.1f},M", air),
        sentence(
            "WIMDA", "{inches:.2f},I,{bar:.4f},B,{air:.1f},C,,,{humidity:.1f},,,C,,T,,M,,N,,M", air
        ),
    ]


def _boat(measure: Measure, t: float) -> list[Item]:
    depth, speed = measure("depth", t), measure("speed", t)
    boat: Values = {
        "heading": measure("course", t),
        "variation": 3.1,
        "knots": round(speed / _KNOT, 2),
        "kmh": round(speed * 3.6, 2),
        "feet": round(depth / _FOOT, 1),
        "metres": depth,
        "fathoms": round(depth / _FATHOM, 1),
        "offset": 0.6,
        "water": measure("water_temperature", t),
        "angle": measure("wind_direction", t),
        "wind": round(measure("wind_speed", t), 2),
        "volts": measure("battery_voltage", t),
        "cabin": measure("temperature", t),
    }
    return [
        sentence("HCHDG", "{heading:.1f},,,{variation},E", boat),
        sentence("VWVHW", ",T,{heading:.1f},M,{knots:.2f},N,{kmh:.2f},K", boat),
        sentence("SDDBT", "{feet:.1f},f,{metres:.2f},M,{fathoms:.1f},F", boat),
        sentence("SDDPT", "{metres:.2f},{offset},100", boat),
        sentence("YXMTW", "{water:.2f},C", boat),
        sentence("WIMWV", "{angle:.0f},T,{wind:.2f},M,A", boat),
        sentence("IIXDR", "U,{volts:.3f},V,BATT,C,{cabin:.2f},C,CABIN", boat),
    ]


_VARIANTS: dict[str, _Sentences] = {"": _gps, "gps": _gps, "wind": _wind, "boat": _boat}


class Nmea0183Device:
    """A talker, or several on one line."""

    def __init__(self, name: str, measure: Measure, sentences: _Sentences) -> None:
        """Say what `sentences` makes of the world."""
        self.name = name
        self._measure = measure
        self._sentences = sentences

    def emit(self, _sequence: int, t: float) -> list[Item]:
        """Return all sentences of one instant."""
        return self._sentences(self._measure, t)

    def reset(self) -> None:
        """Keep nothing: a sentence does not depend on those before it."""


def make(name: str, measure: Measure, variant: str = "") -> Device:
    """Return a device; raises ValueError for an unknown variant."""
    if variant not in _VARIANTS:
        raise ValueError(f"no such variant: {variant!r}; there are {', '.join(_VARIANTS)}")
    return Nmea0183Device(name, measure, _VARIANTS[variant])
