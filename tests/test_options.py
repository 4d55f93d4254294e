"""Tables of options: names, tags and durations; `tests.modbus.test_settings` shows the rest."""

import pytest

from gateway.options import Problems, Table


def test_every_mistake_is_noted_and_reading_goes_on() -> None:
    problems = Problems()
    content = {"a": "ok", "b": "a\n", "d": 5, "tags": {"x": "y", "time": "now", "z": 1}}
    table = Table(content, "t", problems)
    assert [table.named(key, None) for key in "abc"] == ["ok", "a\n", ""]
    assert table.seconds("d", "1s", "1min", "10s") == 10.0
    assert table.seconds("e", "1s", "1min", "10s") == 10.0
    assert table.tags("tags") == {"x": "y", "z": ""}
    assert table.wholes("none") == ()
    table.end()
    places = [sentence.partition(":")[0] for sentence in problems.sentences]
    assert places == ["t.b", "t.c", "t.d", "t.tags.time", "t.tags.z"]


@pytest.mark.parametrize("value", [10**400, -(10**400), float("nan"), float("inf"), True, "1"])
def test_what_is_no_finite_number_is_refused_in_words(value: object) -> None:
    problems = Problems()
    table = Table({"scale": value}, "", problems)
    assert table.number("scale", 1.0) == 1.0
    assert problems.sentences == ["scale: a number is expected"]
