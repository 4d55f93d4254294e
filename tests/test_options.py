"""Options of decoders that are tables: whatever stands in them, the answer is words."""

import pytest

from gateway.options import Problems, Table


@pytest.mark.parametrize("value", [10**400, -(10**400), float("nan"), float("inf"), True, "1"])
def test_what_is_no_finite_number_is_refused_in_words(value: object) -> None:
    problems = Problems()
    table = Table({"scale": value}, "", problems)
    assert table.number("scale", 1.0) == 1.0
    assert problems.sentences == ["scale: a number is expected"]
