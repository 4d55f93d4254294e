"""Sentences of NMEA 0183: which field of which sentence is which quantity.

Each sentence has a function that reads its fields. Numbers stay in the unit that the sentence
states. A field that cannot be read costs only itself: it is put on the list of malformed ones. What
the sentences are and what is made of them: `gateway.devices.nmea0183`.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

Units = Mapping[str, str]

_SPEEDS: Final[Units] = {"N": "[kn_i]", "K": "km/h", "M": "m/s", "S": "[mi_i]/h"}
_DEPTHS: Final[Units] = {"M": "m", "f": "[ft_i]", "F": "[fth_i]"}
_TEMPERATURES: Final[Units] = {"C": "Cel", "F": "[degF]", "K": "K"}
_PRESSURES: Final[Units] = {"B": "bar", "I": "[in_i'Hg]"}
_METRES: Final[Units] = {"M": "m"}

_TIME: Final = re.compile(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d|60)(?:\.(\d{0,9})\d*)?", re.ASCII)
_DEGREES: Final = re.compile(r"(\d{0,3})([0-5]\d(?:\.\d{0,15})?)", re.ASCII)
_DATE: Final = re.compile(r"(\d\d)(\d\d)(\d\d|\d{4})", re.ASCII)
_FIRST_YEAR: Final = 1980
"""When the time of GPS began: a year of two digits is the first one from then on."""

_EPOCH: Final = date(1970, 1, 1).toordinal()
_S: Final = 1_000_000_000
DAY_NS: Final = 86_400 * _S


_NO_MORE: Final = [""] * 20
"""Sentences of older devices are shorter: what they lack is empty."""


class Sentence:
    """The fields of one sentence, and what was found in them."""

    __slots__ = ("_fields", "count", "day_ns", "tags", "time_ns", "units", "unreadable", "values")

    def __init__(self, text: str) -> None:
        """Take what stands behind the address, without the first comma."""
        fields = text.split(",")
        self.count = len(fields)
        self._fields = [*map(str.strip, fields), *_NO_MORE] if " " in text else fields + _NO_MORE
        self.values: dict[str, float] = {}
        self.units: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.unreadable: list[str] = []
        self.day_ns: int | None = None
        """The date: midnight in UTC."""
        self.time_ns: int | None = None
        """The time of day, likewise."""

    def text(self, at: int) -> str:
        return self._fields[at]

    def refuse(self, at: int) -> None:
        self.unreadable.append(",".join(self._fields[at : at + 2]))

    def number(self, at: int) -> float | None:
        """None where there is none; what is no number either is refused."""
        text = self._fields[at]
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if -math.inf < value < math.inf and "_" not in text:
            return value
        self.refuse(at)
        return None

    def put(self, name: str, value: float, unit: str = "") -> None:
        self.values[name] = value
        if unit:
            self.units[name] = unit

    def add(self, name: str, at: int, unit: str = "") -> None:
        """The number of a field, if it has one."""
        value = self.number(at)
        if value is not None:
            self.put(name, value, unit)

    def measure(self, name: str, places: Sequence[int], units: Units) -> None:
        """A number with the letter of its unit behind it: the first place that has one."""
        for at in places:
            value = self.number(at)
            if value is None:
                continue
            unit = units.get(self.text(at + 1))
            if unit is not None:
                self.put(name, value, unit)
                return
            self.refuse(at)

    def direction(self, name: str, *places: int) -> None:
        """Angles with the letter of their north behind them: T true, M magnetic."""
        for at in places:
            match self.text(at + 1):
                case "M":
                    self.add(f"magnetic_{name}", at, "deg")
                case "T":
                    self.add(name, at, "deg")
                case _ if self.text(at):
                    self.refuse(at)

    def towards(self, at: int, positive: str, negative: str) -> float | None:
        """A number and the letter of its direction, as a number with a sign."""
        value = self.number(at)
        letter = self.text(at + 1)
        if value is None:
            return None
        if value >= 0 and letter in (positive, negative):
            return value if letter == positive else 0.0 - value
        self.refuse(at)
        return None

    def position(self, at: int) -> None:
        """Latitude and longitude, each with degrees and minutes in one number: ddmm.mmmm."""
        latitude = self._degrees(at, "N", "S", 90)
        longitude = self._degrees(at + 2, "E", "W", 180)
        if latitude is not None and longitude is not None:
            self.put("latitude", latitude)
            self.put("longitude", longitude)

    def _degrees(self, at: int, positive: str, negative: str, most: int) -> float | None:
        found = _DEGREES.fullmatch(self._fields[at])
        letter = self._fields[at + 1]
        if found is not None and letter in (positive, negative):
            angle = int(found[1] or 0) + float(found[2]) / 60
            if angle <= most:
                return angle if letter == positive else 0.0 - angle
        if self._fields[at]:
            self.refuse(at)
        return None

    def time(self, at: int) -> None:
        """Take hhmmss.sss."""
        text = self.text(at)
        found = _TIME.fullmatch(text)
        if found is not None:
            hours, minutes, seconds, fraction = found.groups("")
            total_s = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
            self.time_ns = total_s * _S + int(f"{fraction:0<9}")
        elif text:
            self.refuse(at)

    def date(self, at: int, fields: int = 1) -> None:
        """Take ddmmyy or ddmmyyyy, from one field or from several."""
        parts = self._fields[at : at + fields]
        if all(parts):
            self.day_ns = _midnight_ns("".join(parts))
            if self.day_ns is None:
                self.refuse(at)


@lru_cache(maxsize=8)
def _midnight_ns(text: str) -> int | None:
    """The beginning of a day, or None where there is no such day."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    day, month, year = map(int, found.groups())
    if len(text) == len("ddmmyy"):
        year = _FIRST_YEAR + (year - _FIRST_YEAR) % 100
    try:
        return (date(year, month, day).toordinal() - _EPOCH) * DAY_NS
    except ValueError:
        return None


# ------------------------------------------------------------------------------------- GNSS


def _gga(s: Sentence) -> None:
    s.add("fix_quality", 5)
    s.add("satellites", 6)
    if s.values.get("fix_quality"):
        s.time(0)
        s.position(1)
        s.add("hdop", 7)
        s.measure("altitude", [8], _METRES)
        s.measure("geoid_separation", [10], _METRES)


def _is_valid(s: Sentence, status: int, mode: int) -> bool:
    """Take status (A: valid, V: not) and mode (N: not valid; in the standard since 2.3)."""
    valid = s.text(status) == "A" and s.text(mode) != "N"
    if s.text(status) in ("A", "V"):
        s.put("fix_valid", valid)
    return valid


def _rmc(s: Sentence) -> None:
    if _is_valid(s, 1, 11):
        s.time(0)
        s.date(8)
        s.position(2)
        s.add("speed", 6, "[kn_i]")
        s.add("course", 7, "deg")
        variation = s.towards(9, "E", "W")
        if variation is not None:
            s.put("magnetic_variation", variation, "deg")


def _gll(s: Sentence) -> None:
    if _is_valid(s, 5, 6):
        s.time(4)
        s.position(0)


def _vtg(s: Sentence) -> None:
    if s.text(8) != "N":
        s.direction("course", 0, 2)
        s.measure("speed", [4, 6], _SPEEDS)


def _zda(s: Sentence) -> None:
    s.time(0)
    s.date(1, fields=3)


def _gsa(s: Sentence) -> None:
    s.add("fix_mode", 1)
    if s.values.get("fix_mode") != 1:  # no fix: the dilution is 99.99
        for at, name in enumerate(("pdop", "hdop", "vdop"), 14):
            s.add(name, at)


def _gsv(s: Sentence) -> None:
    """Of several parts the first is enough: each states the number of all.

    Behind the satellites, four fields each, may stand the signal that is counted.
    """
    if s.number(1) == 1:
        s.add("satellites_in_view", 2)
        signal = s.text(s.count - 1)
        if s.count % 4 == 0 and signal:
            s.tags["signal"] = signal


# ---------------------------------------------------------------------------- wind and water

_WINDS: Final[Mapping[str, str]] = {"R": "apparent", "T": "true"}


def _mwv(s: Sentence) -> None:
    wind = _WINDS.get(s.text(1))
    if wind is not None and s.text(4) == "A":
        s.add(f"{wind}_wind_angle", 0, "deg")
        s.measure(f"{wind}_wind_speed", [2], _SPEEDS)


def _mwd(s: Sentence) -> None:
    s.direction("wind_direction", 0, 2)
    s.measure("wind_speed", [4, 6], _SPEEDS)


def _mda(s: Sentence) -> None:
    s.measure("atmospheric_pressure", [2, 0], _PRESSURES)
    s.measure("temperature", [4], _TEMPERATURES)
    s.measure("water_temperature", [6], _TEMPERATURES)
    s.add("humidity", 8, "%")
    s.measure("dew_point", [10], _TEMPERATURES)
    s.direction("wind_direction", 12, 14)
    s.measure("wind_speed", [16, 18], _SPEEDS)


def _dbt(s: Sentence) -> None:
    s.measure("depth", [2, 0, 4], _DEPTHS)


def _dpt(s: Sentence) -> None:
    """The offset is that of the surface above the transducer, or, negative, of the keel below."""
    depth, offset = s.number(0), s.number(1)
    if depth is not None:
        s.put("depth", depth, "m")
        if offset:
            s.put("depth_below_surface" if offset > 0 else "depth_below_keel", depth + offset, "m")


def _mtw(s: Sentence) -> None:
    s.measure("water_temperature", [0], _TEMPERATURES)


def _vhw(s: Sentence) -> None:
    s.direction("heading", 0, 2)
    s.measure("speed_through_water", [4, 6], _SPEEDS)


def _hdg(s: Sentence) -> None:
    """What the sensor shows is magnetic with its deviation, and true with the variation too."""
    heading, deviation, variation = s.number(0), s.towards(1, "E", "W"), s.towards(3, "E", "W")
    if heading is not None:
        heading += deviation or 0.0
        s.put("magnetic_heading", heading % 360, "deg")
        if variation is not None:
            s.put("heading", (heading + variation) % 360, "deg")
    if variation is not None:
        s.put("magnetic_variation", variation, "deg")


def _hdt(s: Sentence) -> None:
    s.direction("heading", 0)


class Kind(NamedTuple):
    """What a sentence is about, and who reads it."""

    measurement: str
    read: Callable[[Sentence], None]


SENTENCES: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "GGA": Kind("gnss", _gga),
        "RMC": Kind("gnss", _rmc),
        "GLL": Kind("gnss", _gll),
        "VTG": Kind("gnss", _vtg),
        "ZDA": Kind("gnss", _zda),
        "GSA": Kind("gnss", _gsa),
        "GSV": Kind("gnss", _gsv),
        "MWV": Kind("weather", _mwv),
        "MWD": Kind("weather", _mwd),
        "MDA": Kind("weather", _mda),
        "DBT": Kind("water", _dbt),
        "DPT": Kind("water", _dpt),
        "MTW": Kind("water", _mtw),
        "VHW": Kind("water", _vhw),
        "HDG": Kind("water", _hdg),
        "HDT": Kind("water", _hdt),
        "HDM": Kind("water", _hdt),
    }
)
"""By the last three letters of the address."""

# ------------------------------------------------------------------------------- transducers


class Transducer(NamedTuple):
    """One of those that an XDR sentence lists."""

    name: str
    field: str
    value: float
    unit: str


_TRANSDUCERS: Final[Mapping[tuple[str, str], tuple[str, str]]] = MappingProxyType(
    {
        ("A", "D"): ("angle", "deg"),
        **{("C", letter): ("temperature", unit) for letter, unit in _TEMPERATURES.items()},
        ("D", "M"): ("distance", "m"),
        ("F", "H"): ("frequency", "Hz"),
        ("H", "P"): ("humidity", "%"),
        ("I", "A"): ("current", "A"),
        ("P", "P"): ("pressure", "Pa"),
        ("P", "B"): ("pressure", "bar"),
        ("P", "H"): ("pressure", "hPa"),
        ("T", "R"): ("rotational_speed", "rpm"),
        ("U", "V"): ("voltage", "V"),
        ("V", "M"): ("volume", "m3"),
    }
)
"""By type and unit. The standard knows only Celsius, and pascal and bar."""

_ANGLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "PTCH": "pitch",
        "PITCH": "pitch",
        "ROLL": "roll",
        "HEEL": "roll",
        "RUDDER": "rudder_angle",
    }
)
"""By the transducer's name in capitals, for no type tells them apart."""


def transducers(s: Sentence, *, weather: bool) -> Iterator[Transducer]:
    """All of an XDR sentence: type, value, unit and name, and again.

    `weather`: pressure is the air's.
    """
    for at in range(0, s.count - 2, 4):
        known = _TRANSDUCERS.get((s.text(at), s.text(at + 2)))
        value = s.number(at + 1) if known is not None else None
        if known is None or value is None:
            continue
        field, unit = known
        name = s.text(at + 3)
        if field == "angle":
            field = _ANGLES.get(name.upper(), field)
        elif field == "pressure" and weather:
            field = "atmospheric_pressure"
        yield Transducer(name, field, value, unit)
