"""An SPS30 against its table, which is rounded."""

import pytest

from tests import test_captures
from tests.captures.air import readings, rows
from tests.specimens.sps30 import NAMES

pytestmark = test_captures.pytestmark


def test_every_value_of_the_table() -> None:
    found, true = readings("sps30", "SPS30"), rows("SPS30")
    assert len(found) == len(true) > 0
    for reading, row in zip(found, true, strict=True):
        assert tuple(reading.values) == NAMES
        for number, (name, rounded) in zip(reading.values.values(), row.items(), strict=True):
            half = 0.005 if name.startswith("n") else 0.05
            assert number == pytest.approx(rounded, abs=half * 1.001)
