"""An SDS011 against its table."""

from tests import test_captures
from tests.captures.air import readings, rows

pytestmark = test_captures.pytestmark


def test_every_value_of_the_table() -> None:
    found = readings("sds011", "SDS01x")
    assert [reading.values for reading in found] == rows("SDS01x")
    assert len({reading.device for reading in found}) == 1
