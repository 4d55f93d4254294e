"""An MH-Z19B against its table."""

from tests import test_captures
from tests.captures.air import readings, rows

pytestmark = test_captures.pytestmark


def test_every_value_of_the_table() -> None:
    found = readings("mhz19", "MHZ19B")
    true = [row["CO2"] for row in rows("MHZ19B")]
    assert [reading.values["carbon_dioxide"] for reading in found] == true
