"""The simulated SML meter: what its bytes must be by the specification."""

import pytest

from simulators.devices import serial_devices
from simulators.devices.sml import VARIANTS, SmlMeter, crc16, integer, make, octets, unsigned
from simulators.world import World


def meter_of(variant: str) -> SmlMeter:
    world = World(5)
    return make("m", lambda quantity, at: world.value("cellar", quantity, at), variant)


def emitted(variant: str, t: float = 3600.0) -> tuple[bytes, dict[str, float | int | bool]]:
    (item,) = meter_of(variant).emit(1, t)
    assert item.topic == ""
    return item.data, item.values


def test_the_checksum_is_that_of_the_catalogue() -> None:
    assert crc16(b"123456789") == 0x906E


def test_elements_say_their_own_length() -> None:
    assert octets(b"") == b"\x01"
    assert octets(b"abc") == b"\x04abc"
    assert octets(bytes(48)) == b"\x83\x02" + bytes(48)
    assert unsigned(0) == b"\x62\x00"
    assert unsigned(300) == b"\x63\x01\x2c"
    assert integer(-1) == b"\x52\xff"
    assert integer(128) == b"\x53\x00\x80"
    assert integer(-100, 4) == b"\x55\xff\xff\xff\x9c"


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_transmission_is_whole_and_filled_up_to_words(variant: str) -> None:
    data, values = emitted(variant)
    assert values
    assert data.startswith(b"\x1b\x1b\x1b\x1b\x01\x01\x01\x01")
    assert data[-8:-3] == b"\x1b\x1b\x1b\x1b\x1a"
    assert len(data) % 4 == 0
    assert data[-2:] == crc16(data[:-2]).to_bytes(2, "little")


def test_variants_have_their_habits() -> None:
    locked, _ = emitted("ed300l")
    assert b"\x07\x01\x00\x10\x07\x00\xff" not in locked
    assert emitted("ed300l")[1]["1.8.0"] % 1000 == 0
    dzg, values = emitted("dzg")
    assert 327.68 <= values["16.7.0"] < 655.36
    assert b"\x53" + round(values["16.7.0"] * 100).to_bytes(2, "big") in dzg
    assert b"\x1b" * 8 + b"\x01\x01\x01\x01" in emitted("escape")[0]
    meter = meter_of("smarty")
    day = [meter.emit(hour, hour * 3600.0)[0].values["16.7.0"] for hour in range(24)]
    assert min(day) < 0 < max(day)


def test_a_scenario_can_have_it_and_no_variant_that_does_not_exist() -> None:
    assert "sml" in serial_devices()
    with pytest.raises(ValueError, match="there are ed300l, smarty, dzg, escape"):
        emitted("mt175")
