"""A PMSx003 against its table."""

import pytest

from tests import test_captures
from tests.captures.air import readings, rows

pytestmark = test_captures.pytestmark

NAMES = {
    "raw01": "pm1_cf1",
    "raw25": "pm25_cf1",
    "raw10": "pm10_cf1",
    "pm01": "pm1",
    "pm25": "pm25",
    "pm10": "pm10",
    "n0_3": "number_concentration_0_3",
    "n0_5": "number_concentration_0_5",
    "n1_0": "number_concentration_1",
    "n2_5": "number_concentration_2_5",
    "n5_0": "number_concentration_5",
    "n10_0": "number_concentration_10",
}


def test_every_value_of_the_table() -> None:
    found, true = readings("pms", "PMSx003"), rows("PMSx003")
    assert len(found) == len(true) > 0
    for reading, row in zip(found, true, strict=True):
        assert reading.values == pytest.approx({NAMES[name]: row[name] for name in row})
