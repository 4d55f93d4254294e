"""Tables of options: names, tags and durations; `tests.modbus.test_settings` shows the rest."""

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
