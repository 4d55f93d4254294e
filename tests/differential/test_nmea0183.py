"""NMEA 0183 against pynmea2 (https://github.com/Knio/pynmea2, MIT), on generated sentences.

pynmea2 gives the fields of a sentence under their names; which of them are valid, and in what unit
they are stored, is said here once more.
"""

import random
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import TypeAlias

import pynmea2
import pytest

from gateway.conformance import ARRIVAL_NS, SEED
from gateway.devices.nmea0183 import Nmea0183Decoder
from gateway.model import Decoded, Frame, Reading
from tests.specimens.nmea0183 import sentence
from tests.stored import stored

ROUNDS = 200
SPEEDS = {"N": 1852 / 3600, "K": 1 / 3.6, "M": 1.0, "S": 0.44704}
TALKERS = ("GP", "GN", "II", "WI", "SD", "02", "24")


class Say:
    """Fields at random, some of them empty."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def number(self, low: float, high: float, decimals: int = 1, width: int = 0) -> str:
        if self.rng.random() < 0.2:
            return ""
        return f"{self.rng.uniform(low, high):0{width}.{decimals}f}"

    def one(self, texts: str) -> str:
        return self.rng.choice(texts)

    def place(self) -> str:
        if self.rng.random() < 0.2:
            return ",,,"
        minutes = [f"{self.rng.uniform(0, 59.9999):07.4f}" for _ in range(2)]
        north, east = self.one("NS"), self.one("EW")
        degrees = self.rng.randrange(90), self.rng.randrange(180)
        return f"{degrees[0]:02}{minutes[0]},{north},{degrees[1]:03}{minutes[1]},{east}"

    def time(self) -> str:
        hours, minutes, seconds = (self.rng.randrange(n) for n in (24, 60, 60))
        return f"{hours:02}{minutes:02}{seconds:02}.{self.rng.randrange(100):02}"

    def date(self) -> date:
        return date.fromordinal(self.rng.randrange(733_000, 740_000))


def _pairs(say: Say, letters: str, high: float) -> str:
    return ",".join(f"{say.number(0, high)},{letter}" for letter in letters)


BODIES: Mapping[str, Callable[[Say], str]] = {
    "GGA": lambda s: (
        f"{s.time()},{s.place()},{s.one('01245')},{s.number(0, 12, 0, 2)},{s.number(0.5, 9)},"
        f"{s.number(-50, 4000)},M,{s.number(-80, 80)},M,,"
    ),
    "RMC": lambda s: (
        f"{s.time()},{s.one('AV')},{s.place()},{s.number(0, 40, 2)},{s.number(0, 359)},"
        f"{s.date():%d%m%y},{s.number(0, 20)},{s.one('EW')},{s.one('ADN')}"
    ),
    "GLL": lambda s: f"{s.place()},{s.time()},{s.one('AV')},{s.one('AN')}",
    "VTG": lambda s: f"{_pairs(s, 'TM', 359)},{_pairs(s, 'NK', 50)},{s.one('AN')}",
    "GSA": lambda s: (
        f"A,{s.one('123')},01,02,,,,,,,,,,,{s.number(1, 9)},{s.number(1, 9)},{s.number(1, 9)}"
    ),
    "GSV": lambda s: f"3,{s.one('123')},{s.number(0, 30, 0)},01,40,083,46",
    "MWV": lambda s: (
        f"{s.number(0, 359)},{s.one('RT')},{s.number(0, 60)},{s.one('NKMS')},{s.one('AV')}"
    ),
    "MWD": lambda s: f"{_pairs(s, 'TM', 359)},{_pairs(s, 'NM', 60)}",
    "MDA": lambda s: (
        f"{s.number(28, 31, 2)},I,{s.number(0.95, 1.05, 4)},B,{s.number(-30, 40)},C,"
        f"{s.number(0, 30)},C,{s.number(5, 100)},{s.number(0, 30)},{s.number(-30, 30)},C,"
        f"{_pairs(s, 'TM', 359)},{_pairs(s, 'NM', 60)}"
    ),
    "MTW": lambda s: f"{s.number(-2, 40)},C",
    "DBT": lambda s: _pairs(s, "fMF", 100),
    "DPT": lambda s: f"{s.number(0, 100)},{s.number(-3, 3)},100",
    "VHW": lambda s: f"{_pairs(s, 'TM', 359)},{_pairs(s, 'NK', 30)}",
    "HDG": lambda s: (
        f"{s.number(0, 359)},{s.number(0, 9)},{s.one('EW')},{s.number(0, 20)},{s.one('EW')}"
    ),
    "HDT": lambda s: f"{s.number(0, 359)},T",
    "XDR": lambda s: (
        f"C,{s.number(-30, 60)},C,A,H,{s.number(0, 100)},P,A,P,{s.number(0.9, 1.1, 4)},B,A"
    ),
}

Fields = dict[str, float]
Message: TypeAlias = pynmea2.NMEASentence


def fill(**found: object) -> Fields:
    """Those that are there, as numbers."""
    return {name: float(str(value)) for name, value in found.items() if value not in (None, "")}


def place(m: Message) -> Fields:
    return fill(latitude=m.latitude, longitude=m.longitude) if m.lat else {}


def first(*places: tuple[object, float]) -> object:
    """The first number that is there, times its factor."""
    return next((float(str(v)) * factor for v, factor in places if v not in (None, "")), None)


def towards(value: object, letter: str) -> float | None:
    return None if value in (None, "") else float(str(value)) * (1 if letter == "E" else -1)


def _gga(m: Message) -> Fields:
    found = fill(fix_quality=m.gps_qual, satellites=m.num_sats)
    if m.gps_qual:
        found |= place(m)
        found |= fill(hdop=m.horizontal_dil, altitude=m.altitude, geoid_separation=m.geo_sep)
    return found


def _rmc(m: Message) -> Fields:
    if m.status != "A" or m.mode_indicator == "N":
        return {"fix_valid": 0}
    speed = first((m.spd_over_grnd, SPEEDS["N"]))
    variation = towards(m.mag_variation, m.mag_var_dir)
    rest = fill(speed=speed, course=m.true_course, magnetic_variation=variation)
    return {"fix_valid": 1} | place(m) | rest


def _gll(m: Message) -> Fields:
    valid = m.status == "A" and m.faa_mode != "N"
    return {"fix_valid": float(valid)} | (place(m) if valid else {})


def _vtg(m: Message) -> Fields:
    if m.faa_mode == "N":
        return {}
    knots, kmh = (m.spd_over_grnd_kts, SPEEDS["N"]), (m.spd_over_grnd_kmph, SPEEDS["K"])
    return fill(course=m.true_track, magnetic_course=m.mag_track, speed=first(knots, kmh))


def _gsa(m: Message) -> Fields:
    dilution = fill(pdop=m.pdop, hdop=m.hdop, vdop=m.vdop) if m.mode_fix_type != "1" else {}
    return fill(fix_mode=m.mode_fix_type) | dilution


def _mwv(m: Message) -> Fields:
    wind = {"R": "apparent", "T": "true"}[m.reference]
    speed = first((m.wind_speed, SPEEDS[m.wind_speed_units]))
    found = fill(**{f"{wind}_wind_angle": m.wind_angle, f"{wind}_wind_speed": speed})
    return found if m.status == "A" else {}


def _wind(m: Message) -> Fields:
    return fill(
        wind_direction=m.direction_true,
        magnetic_wind_direction=m.direction_magnetic,
        wind_speed=first((m.wind_speed_knots, SPEEDS["N"]), (m.wind_speed_meters, 1)),
    )


def _mda(m: Message) -> Fields:
    return _wind(m) | fill(
        atmospheric_pressure=first((m.b_pressure_bar, 1000), (m.b_pressure_inch, 33.86389)),
        temperature=m.air_temp,
        water_temperature=m.water_temp,
        humidity=m.rel_humidity,
        dew_point=m.dew_point,
    )


def _dbt(m: Message) -> Fields:
    metres, feet = (m.depth_meters, 1), (m.depth_feet, 0.3048)
    return fill(depth=first(metres, feet, (m.depth_fathoms, 1.8288)))


def _dpt(m: Message) -> Fields:
    found = fill(depth=m.depth)
    if found and m.offset:
        name = "depth_below_surface" if m.offset > 0 else "depth_below_keel"
        found[name] = float(m.depth + m.offset)
    return found


def _vhw(m: Message) -> Fields:
    knots, kmh = (m.water_speed_knots, SPEEDS["N"]), (m.water_speed_km, SPEEDS["K"])
    return fill(
        heading=m.heading_true,
        magnetic_heading=m.heading_magnetic,
        speed_through_water=first(knots, kmh),
    )


def _hdg(m: Message) -> Fields:
    variation = towards(m.variation, m.var_dir)
    found = fill(magnetic_variation=variation)
    if m.heading is not None:
        magnetic = float(m.heading) + (towards(m.deviation, m.dev_dir) or 0)
        found["magnetic_heading"] = magnetic % 360
        if variation is not None:
            found["heading"] = (magnetic + variation) % 360
    return found


def _xdr(m: Message) -> Fields:
    temperature, humidity, pressure = (m.get_transducer(i).value for i in range(3))
    name = "atmospheric_pressure" if m.talker == "WI" else "pressure"
    return fill(temperature=temperature, humidity=humidity, **{name: first((pressure, 1000))})


THEIRS: Mapping[str, Callable[[Message], Fields]] = {
    "GGA": _gga,
    "RMC": _rmc,
    "GLL": _gll,
    "VTG": _vtg,
    "GSA": _gsa,
    "MWV": _mwv,
    "MWD": _wind,
    "MDA": _mda,
    "DBT": _dbt,
    "DPT": _dpt,
    "VHW": _vhw,
    "HDG": _hdg,
    "XDR": _xdr,
    "GSV": lambda m: fill(satellites_in_view=m.num_sv_in_view) if m.msg_num == "1" else {},
    "MTW": lambda m: fill(water_temperature=m.temperature),
    "HDT": lambda m: fill(heading=m.heading),
}


def ours(data: bytes) -> Reading | None:
    verdict = Nmea0183Decoder().decode(Frame(data, ARRIVAL_NS))
    if not isinstance(verdict, Decoded):
        return None
    assert not verdict.malformed
    (reading,) = verdict.readings
    return reading


@pytest.mark.parametrize("formatter", BODIES)
def test_both_read_the_same(formatter: str) -> None:
    say = Say(SEED)
    said = 0
    for _ in range(ROUNDS):
        talker = say.rng.choice(TALKERS)
        data = sentence(f"{talker}{formatter},{BODIES[formatter](say)}").strip()
        message = pynmea2.parse(data.decode(), check=True)
        reading = ours(data)
        found = {} if reading is None else stored(reading)
        assert found == pytest.approx(THEIRS[formatter](message), rel=1e-6), data
        assert reading is None or reading.tags["talker"] == message.talker
        if formatter == "RMC" and found["fix_valid"]:
            assert reading is not None
            assert reading.observed_at_ns == nanoseconds(message.datetime)
        said += bool(found)
    assert said > ROUNDS // 10


def nanoseconds(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def test_both_refuse_the_same() -> None:
    """One damaged character, anywhere."""
    rng = random.Random(SEED)
    whole = sentence("GPGLL,5419.2000,N,01008.4000,W,100000.00,A,A").strip()
    for _ in range(ROUNDS):
        at = rng.randrange(1, len(whole))
        damaged = whole[:at] + bytes([rng.choice(b",.*0123456789AGNPWX")]) + whole[at + 1 :]
        try:
            theirs = isinstance(pynmea2.parse(damaged.decode(), check=True), pynmea2.GLL)
        except pynmea2.ParseError:
            theirs = False
        assert (ours(damaged) is not None) == theirs, damaged
