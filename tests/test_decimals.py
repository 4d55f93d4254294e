"""Numbers as their devices meant them."""

import math
import struct
from random import Random

import pytest

from gateway.protocols.decimals import from_float32, scaled


def float32(number: float) -> float:
    return float(struct.unpack("f", struct.pack("f", number))[0])


@pytest.mark.parametrize("decimal", [0.0, 230.2, -0.1, 1433.08, 1e-30, 3.4028235e38, 16777216.0])
def test_a_decimal_comes_back(decimal: float) -> None:
    assert from_float32(float32(decimal)) == decimal


def test_it_stays_the_same_float32() -> None:
    rng = Random(1)
    for _ in range(2_000):
        (number,) = struct.unpack("f", rng.randbytes(4))
        if math.isfinite(number):
            assert float32(from_float32(number)) == number


def test_what_is_no_finite_number_stays_none() -> None:
    assert math.isnan(from_float32(math.nan))
    assert from_float32(-math.inf) == -math.inf


@pytest.mark.parametrize(
    ("number", "scale", "offset", "true"),
    [
        (3, 0.1, 0.0, 0.3),
        (7, 0.01, -40.0, -39.93),
        (7, -0.5, 0.0, -3.5),
        (7, 1.5, 1.0, 11.5),
        (7, 100.0, 0.0, 700.0),
        (7, 0.0, 2.0, 2.0),
        (7, 5e-324, 0.0, 3.5e-323),
    ],
)
def test_a_scale_is_exact(number: float, scale: float, offset: float, true: float) -> None:
    assert scaled(number, scale, offset) == true
