"""NMEA 0183: what is stored of each sentence, and when a position counts."""

import pytest

from gateway.conformance import ARRIVAL_NS, Vector, readings_of
from gateway.devices import devices
from gateway.devices.nmea0183 import Nmea0183Decoder
from gateway.model import (
    Decoded,
    FieldValue,
    Frame,
    Ignored,
    Malformed,
    Reading,
    Reason,
    Verdict,
)
from simulators.devices import make_device
from simulators.world import World
from tests.specimens.nmea0183 import sentence
from tests.stored import stored

KNOT = 1852 / 3600
PLACE = "5419.2000,N,01008.4000,W"


def decode(body: str) -> Verdict:
    return Nmea0183Decoder().decode(Frame(sentence(body).strip(), ARRIVAL_NS))


def readings(body: str) -> list[Reading]:
    verdict = decode(body)
    assert isinstance(verdict, Decoded), verdict
    assert not verdict.malformed
    return [*verdict.readings]


@pytest.mark.parametrize(
    ("body", "measurement", "expected"),
    [
        (
            f"GPGGA,100000,{PLACE},2,11,0.9,-3.5,M,44.9,M,,",
            "gnss",
            {
                "fix_quality": 2,
                "satellites": 11,
                "latitude": 54.32,
                "longitude": -10.14,
                "hdop": 0.9,
                "altitude": -3.5,
                "geoid_separation": 44.9,
            },
        ),
        (
            "GPGLL,0000.0000,S,00000.0000,E,100000.00,A,A",
            "gnss",
            {"fix_valid": 1, "latitude": 0, "longitude": 0},
        ),
        (
            "GPVTG,0.0,T,359.3,M,10.0,N,18.5,K,A",
            "gnss",
            {"course": 0, "magnetic_course": 359.3, "speed": 10 * KNOT},
        ),
        ("GPVTG,,T,,M,,N,18,K", "gnss", {"speed": 5}),
        (
            "GNGSA,A,3,01,02,03,04,,,,,,,,,2.5,1.3,2.1,1",
            "gnss",
            {"fix_mode": 3, "pdop": 2.5, "hdop": 1.3, "vdop": 2.1},
        ),
        (
            "GPGSV,3,1,11,01,40,083,46,02,17,308,41,12,07,344,39,14,22,228,45",
            "gnss",
            {"satellites_in_view": 11},
        ),
        ("WIMWV,336,T,10,S,A", "weather", {"true_wind_angle": 336, "true_wind_speed": 4.4704}),
        ("WIMWV,0,R,0,M,A", "weather", {"apparent_wind_angle": 0, "apparent_wind_speed": 0}),
        (
            "IIMWD,046.,T,043.,M,10.1,N,05.2,M",
            "weather",
            {"wind_direction": 46, "magnetic_wind_direction": 43, "wind_speed": 10.1 * KNOT},
        ),
        ("IIMWD,,,046.,M,,,5.2,M", "weather", {"magnetic_wind_direction": 46, "wind_speed": 5.2}),
        (
            "WIMDA,29.09,I,+0.985,B,+03.1,C,+5.6,C,40.0,3.0,+3.4,C,90.0,T,85.0,M,10.0,N,5.1,M",
            "weather",
            {
                "atmospheric_pressure": 985,
                "temperature": 3.1,
                "water_temperature": 5.6,
                "humidity": 40,
                "dew_point": 3.4,
                "wind_direction": 90,
                "magnetic_wind_direction": 85,
                "wind_speed": 10 * KNOT,
            },
        ),
        ("WIMDA,29.53,I,,B,,C,,C,,,,C,,T,,M,,N,,M", "weather", {"atmospheric_pressure": 1000.0}),
        ("YXMTW,59,F", "water", {"water_temperature": 15}),
        ("SDDBT,10,f,3.04,M,1.6,F", "water", {"depth": 3.04}),
        ("SDDBT,10,f,,M,1.6,F", "water", {"depth": 3.048}),
        ("SDDBT,,f,,M,2.5,F", "water", {"depth": 4.572}),
        ("SDDPT,4.1,0.0", "water", {"depth": 4.1}),
        ("SDDPT,4.1,0.5,100", "water", {"depth": 4.1, "depth_below_surface": 4.6}),
        ("SDDPT,4.1,-1.5", "water", {"depth": 4.1, "depth_below_keel": 2.6}),
        (
            "VWVHW,12.5,T,10.1,M,6.12,N,11.33,K",
            "water",
            {"heading": 12.5, "magnetic_heading": 10.1, "speed_through_water": 6.12 * KNOT},
        ),
        ("VWVHW,,T,,M,,N,36,K", "water", {"speed_through_water": 10}),
        (
            "INHDG,1.0,5,W,10,E",
            "water",
            {"magnetic_heading": 356, "heading": 6, "magnetic_variation": 10},
        ),
        (
            "SDHDG,181.9,,,0.6,W",
            "water",
            {"magnetic_heading": 181.9, "heading": 181.3, "magnetic_variation": -0.6},
        ),
        ("HCHDG,181.9,,,,", "water", {"magnetic_heading": 181.9}),
        ("HEHDT,274.07,T", "water", {"heading": 274.07}),
        ("HCHDM,274.07,M", "water", {"magnetic_heading": 274.07}),
        ("24HDG,  15.0 ,,,,", "water", {"magnetic_heading": 15}),
    ],
)
def test_a_sentence_and_what_is_stored_of_it(
    body: str, measurement: str, expected: dict[str, float]
) -> None:
    (reading,) = readings(body)
    assert reading.measurement == measurement
    assert reading.tags == {"talker": body[:2]}
    assert stored(reading) == pytest.approx(expected, rel=1e-5)


def test_a_recommended_minimum() -> None:
    (reading,) = readings(f"GPRMC,225446.33,A,{PLACE},000.5,054.7,191194,020.3,E,D,V")
    assert stored(reading) == pytest.approx(
        {
            "fix_valid": 1,
            "latitude": 54.32,
            "longitude": -10.14,
            "speed": 0.5 * KNOT,
            "course": 54.7,
            "magnetic_variation": 20.3,
        }
    )
    assert reading.observed_at_ns == 785_285_686_330_000_000  # 1994-11-19T22:54:46.33Z


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (f"GPRMC,100000,V,{PLACE},5.1,84.4,010524,3.1,W,N", {"fix_valid": 0}),
        (f"GPRMC,100000,A,{PLACE},5.1,84.4,010524,3.1,W,N", {"fix_valid": 0}),
        ("GPRMC,,V,,,,,,,,,,N", {"fix_valid": 0}),
        (f"GPGLL,{PLACE},100000,V,N", {"fix_valid": 0}),
        (f"GPGGA,100000,{PLACE},0,00,99.99,5,M,,M,,", {"fix_quality": 0, "satellites": 0}),
        ("GPGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99", {"fix_mode": 1}),
    ],
)
def test_without_a_fix_only_the_status_is_a_value(body: str, status: dict[str, float]) -> None:
    (reading,) = readings(body)
    assert stored(reading) == status
    assert reading.observed_at_ns is None


@pytest.mark.parametrize(
    "body",
    [
        "GPVTG,,T,,M,,N,,K,N",
        "GPVTG,054.7,T,,M,5.5,N,10.2,K,N",
        "WIMWV,336,R,13.41,N,V",
        "WIMWV,336,,13.41,N,A",
        "YXMTW,,C",
        "SDDBT,,f,,M,,F",
        "SDDPT,,,",
        "SDHDG,,,,,",
        "GPGLL,,,,,,,",
        f"GPGLL,{PLACE}",
        "GPZDA,,11,03,,,",
        "GPGSV,3,2,11,15,29,172,33",
        "IIXDR,C,,C,CABIN",
        "IIXDR,G,1,,AIRMAR",
        "IIXDR,",
    ],
)
def test_what_states_nothing_is_understood(body: str) -> None:
    assert decode(body) == Ignored(Reason.UNAVAILABLE)


@pytest.mark.parametrize(
    ("body", "unread", "left"),
    [
        (f"GPGGA,240000,{PLACE},1,08,0.9,5,M,,M,,", "240000,5419.2000", 6),
        ("GPGGA,100000,5460.0000,N,01008.4000,E,1,08,0.9,5,M,,M,,", "5460.0000,N", 4),
        ("GPGGA,100000,9000.0001,N,01008.4000,E,1,08,0.9,5,M,,M,,", "9000.0001,N", 4),
        ("GPGGA,100000,5419.2,N,01008.4000,Q,1,08,0.9,5,M,,M,,", "01008.4000,Q", 4),
        ("GPGGA,100000,,N,-1008.4000,E,1,08,0.9,5,M,,M,,", "-1008.4000,E", 4),
        (f"GPRMC,100000,A,{PLACE},nan,84.4,010524,,,A", "nan,84.4", 4),
        (f"GPRMC,100000,A,{PLACE},1_0,84.4,010524,,,A", "1_0,84.4", 4),
        (f"GPRMC,100000,A,{PLACE},1.0,84.4,310224,,,A", "310224,", 5),
        (f"GPRMC,100000,A,{PLACE},1.0,84.4,010524,3.1,,A", "3.1,", 5),
        ("WIMWV,074,R,5.85,X,A", "5.85,X", 1),
        ("IIMWD,046.,,,,,,5.2,M", "046.,", 1),
    ],
)
def test_a_field_that_cannot_be_read_costs_itself(body: str, unread: str, left: int) -> None:
    verdict = decode(body)
    assert isinstance(verdict, Decoded)
    assert verdict.malformed == [Malformed(Reason.SYNTAX, unread.encode())]
    assert len(verdict.readings[0].values) == left


# ------------------------------------------------------------------------------ transducers


def test_transducers_are_told_apart_by_their_names() -> None:
    found = readings(
        "IIXDR,A,-1.5,D,PTCH,A,4,D,Roll,A,7,D,MAST,U,12.5,V,BATT,P,250000,P,OIL,T,900,R,"
    )
    assert [(r.measurement, r.tags.get("transducer"), stored(r)) for r in found] == [
        ("sensor", "PTCH", {"pitch": -1.5}),
        ("sensor", "Roll", {"roll": 4.0}),
        ("sensor", "MAST", {"angle_deg": 7.0}),
        ("sensor", "BATT", {"voltage": 12.5}),
        ("sensor", "OIL", {"pressure": 2500.0}),
        ("sensor", None, {"rotational_speed_rpm": 900.0}),
    ]


def test_a_weather_stations_transducers_are_weather() -> None:
    found = readings("WIXDR,C,300.15,K,0,H,45.5,P,0,P,1.0132,B,0,C,25,C,1")
    assert [(r.measurement, dict(r.tags)) for r in found] == [
        ("weather", {"talker": "WI", "transducer": name}) for name in "01"
    ]
    assert stored(found[0]) == pytest.approx(
        {"temperature": 27.0, "humidity": 45.5, "atmospheric_pressure": 1013.2}
    )
    assert stored(found[1]) == {"temperature": 25.0}


def test_one_transducer_that_says_a_thing_twice_makes_two_readings() -> None:
    found = readings("IIXDR,C,1,C,X,C,2,C,X")
    assert [stored(reading) for reading in found] == [{"temperature": 1.0}, {"temperature": 2.0}]


def test_the_signal_that_is_counted_is_a_tag() -> None:
    satellites = "01,40,083,46,02,17,308,41,12,07,344,39,14,22,228,45"
    (reading,) = readings(f"GPGSV,3,1,11,{satellites},6")
    assert reading.tags == {"talker": "GP", "signal": "6"}
    (reading,) = readings("GAGSV,1,1,00,7")
    assert (reading.tags["signal"], stored(reading)) == ("7", {"satellites_in_view": 0.0})
    (reading,) = readings("GAGSV,1,1,00")
    assert reading.tags == {"talker": "GA"}


# -------------------------------------------------------------------------------- simulator


def simulated(variant: str) -> tuple[dict[str, float], dict[str, FieldValue]]:
    """What it says in an hour, and what is stored of it, each the last of its name."""
    world = World(7)
    device = make_device("nmea0183", "x", lambda q, t: world.value("sea", q, t), variant)
    items = [item for t in range(0, 3600, 60) for item in device.emit(t, float(t))]
    said = {name: float(value) for item in items for name, value in item.values.items()}
    stream = b"".join(item.data for item in items)
    found = readings_of(devices()["nmea0183"], [stream], Vector(b"", ()))
    assert len(found) == sum(
        b"GSV,3,2" not in i.data and b"GSV,3,3" not in i.data for i in items
    ) + (
        60 if variant == "boat" else 0  # XDR has two transducers
    )
    return said, {name: value for reading in found for name, value in stored(reading).items()}


def degrees(wire: float) -> float:
    return wire // 100 + wire % 100 / 60


def test_a_receiver_as_it_is_simulated() -> None:
    said, found = simulated("gps")
    assert found == pytest.approx(
        {
            "fix_valid": 1,
            "latitude": degrees(said["lat"]),
            "longitude": degrees(said["lon"]),
            "altitude": said["altitude"],
            "speed": said["knots"] * KNOT,
            "course": said["course"],
            "magnetic_variation": said["variation"],
            "fix_quality": said["quality"],
            "satellites": said["satellites"],
            "satellites_in_view": said["view"],
            "geoid_separation": 44.9,
            "fix_mode": 3,
            **{name: said[name] for name in ("pdop", "hdop", "vdop")},
        }
    )


def test_a_weather_station_as_it_is_simulated() -> None:
    said, found = simulated("wind")
    assert found == pytest.approx(
        {
            "apparent_wind_angle": said["direction"],
            "apparent_wind_speed": said["knots"] * KNOT,
            "wind_direction": said["direction"],
            "wind_speed": said["knots"] * KNOT,
            "atmospheric_pressure": said["bar"] * 1000,
            "temperature": said["air"],
            "humidity": said["humidity"],
        }
    )


def test_a_boat_as_it_is_simulated() -> None:
    said, found = simulated("boat")
    assert found == pytest.approx(
        {
            "magnetic_heading": said["heading"],
            "heading": (said["heading"] + said["variation"]) % 360,
            "magnetic_variation": said["variation"],
            "speed_through_water": said["knots"] * KNOT,
            "depth": said["metres"],
            "depth_below_surface": said["metres"] + said["offset"],
            "water_temperature": said["water"],
            "true_wind_angle": said["angle"],
            "true_wind_speed": said["wind"],
            "voltage": said["volts"],
            "temperature": said["cabin"],
        }
    )
