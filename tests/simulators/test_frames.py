"""A scale and a board, their bytes checked by hand, and what a gateway is told of them."""

import tomllib
from pathlib import Path

import pytest

from simulators.configuration import configuration
from simulators.devices.frames import OPTIONS, crc16, make
from simulators.scenario import parse

THINGS = {"weight": -1.23, "battery": 97.0, "temperature": 21.532, "humidity": 45.21}


def measure(quantity: str, _t: float) -> float:
    return THINGS[quantity]


def test_the_checksum_is_the_published_one() -> None:
    assert crc16(b"123456789") == 0x4B37


def test_a_scale_sends_frames() -> None:
    scale = make("scale", measure)
    (moving,), (resting,) = scale.emit(1, 0.0), scale.emit(2, 1.0)
    assert moving.data.hex(" ") == "aa 55 04 ff 85 61 00 dd ad"
    assert resting.data[:7].hex(" ") == "aa 55 04 ff 85 61 01"
    assert resting.values == {"weight": -123, "battery": 97, "stable": True}
    scale.reset()
    assert scale.emit(3, 2.0) == [moving]


def test_a_board_prints_lines() -> None:
    (item,) = make("board", measure, "line").emit(1, 0.0)
    assert item.data == b"T=21.53 C, H=45.2 %\r\n"
    assert item.values == {"temperature": 21.53, "humidity": 45.2}


@pytest.mark.parametrize("variant", OPTIONS)
def test_the_configuration_describes_them(variant: str, tmp_path: Path) -> None:
    table = {"name": "a", "device": "frames", "variant": variant}
    scenario = parse({"serial": [table]}, directory=tmp_path)
    (entry,) = tomllib.loads(configuration(scenario))["serial"]
    assert entry["decoder"] == "frames"
    assert entry.items() >= tomllib.loads(OPTIONS[variant]).items()


def test_there_are_no_others() -> None:
    with pytest.raises(ValueError, match="frames has no variant 'x'"):
        make("a", measure, "x")
