"""Tables of options: what `tests.modbus.test_settings` does not show."""

from gateway.options import Table


def test_mistakes_of_all_tables_stand_in_one_list() -> None:
    problems: list[str] = []
    table = Table({"a": [{"n": "x"}, {"n": 2}, 5], "f": True}, "", problems)
    numbers = [each.whole("n", 1, 3) for each in table.tables("a")]
    assert numbers == [1, 2, 1]
    assert table.flag("f")
    assert not table.flag("g")
    assert table.wholes("w") == ()
    table.close()
    assert problems == [
        "a[2]: allowed: a table",
        "a[0].n: allowed: a whole number from 1 to 3",
        "a[2].n: missing",
    ]


def test_the_words_do_not_repeat_what_was_found() -> None:
    problems: list[str] = []
    table = Table(dict.fromkeys("abcdef", "secret"), "t", problems)
    table.whole("a", 1, 2)
    table.number("b", 1.0, 0.0)
    table.seconds("c", "1s", "2s", "1s")
    table.choice("d", ["x", "y"], "word", "x")
    table.flag("e")
    table.close()
    assert len(problems) == 6
    assert not any("secret" in problem for problem in problems)
