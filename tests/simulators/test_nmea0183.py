"""What speaks NMEA 0183, read by a few lines of its own."""

import re

import pytest

from simulators.devices import make_device

WORLD = {"latitude": -54.32, "longitude": 10.14, "speed": 2.5, "wind_speed": 5.0}


def measure(quantity: str, _t: float) -> float:
    return WORLD.get(quantity, 12.5)


@pytest.mark.parametrize("variant", ["", "gps", "wind", "boat"])
def test_every_sentence_is_whole(variant: str) -> None:
    for item in make_device("nmea0183", "a", measure, variant).emit(1, 0.0):
        found = re.fullmatch(rb"\$([A-Z]{5},[ -~]*)\*([0-9A-F]{2})\r\n", item.data)
        assert found is not None
        assert len(item.data) <= 82
        checksum = 0
        for byte in found[1]:
            checksum ^= byte
        assert checksum == int(found[2], 16)
        assert item.values


def test_a_receiver_says_where_and_when_it_is() -> None:
    rmc, gga, *_ = make_device("nmea0183", "a", measure, "gps").emit(1, 600.25)
    assert rmc.data.startswith(
        b"$GPRMC,000000.25,A,5419.2000,S,01008.4000,E,4.86,12.5,010324,3.1,E"
    )
    assert rmc.values == {
        "lat": 5419.2,
        "lon": 1008.4,
        "knots": 4.86,
        "course": 12.5,
        "variation": 3.1,
    }
    assert gga.values["altitude"] == 12.5


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(ValueError, match="gps, wind, boat"):
        make_device("nmea0183", "a", measure, "sonar")
