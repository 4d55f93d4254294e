"""Logs: a flood is held back and counted, and JSON stays one object a line."""

import json
import logging
import sys

from gateway.logs import SAME_MAX, SAME_PERIOD_S, FloodFilter, JsonFormatter


def record(message: str, *args: object, created: float, line: int = 1) -> logging.LogRecord:
    entry = logging.LogRecord("gateway.x", logging.INFO, "x.py", line, message, args, None)
    entry.created = created
    return entry


def test_a_flood_from_one_source_is_held_back_and_its_size_said_later() -> None:
    flood = FloodFilter()
    passed = [flood.filter(record("%s: bad", "mast", created=100.0)) for _ in range(50)]
    assert sum(passed) == SAME_MAX
    assert flood.filter(record("%s: bad", "other source", created=100.0))
    assert flood.filter(record("%s: bad", "mast", created=100.0, line=2))
    later = record("%s: bad", "mast", created=100.0 + SAME_PERIOD_S)
    assert flood.filter(later)
    assert f"({50 - SAME_MAX} like it were not logged)" in later.getMessage()


def test_a_clock_that_is_set_back_does_not_silence_anything() -> None:
    flood = FloodFilter()
    for _ in range(50):
        flood.filter(record("%s: bad", "mast", created=1e9))
    assert flood.filter(record("%s: bad", "mast", created=1e9 - 86_400))


def test_json_holds_the_message_and_the_traceback_in_one_line() -> None:
    try:
        int("two\nlines")
    except ValueError:
        entry = logging.LogRecord("g", logging.ERROR, "x.py", 1, "no\nluck", (), sys.exc_info())
    text = JsonFormatter().format(entry)
    assert "\n" not in text
    read = json.loads(text)
    assert read["message"] == "no\nluck"
    assert read["level"] == "error"
    assert "ValueError" in read["traceback"]
