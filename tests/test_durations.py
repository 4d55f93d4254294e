"""A duration is written with its unit, and what is none is refused with words."""

import pytest

from gateway.durations import seconds


@pytest.mark.parametrize(
    ("text", "found"), [("250ms", 0.25), ("1.5 s", 1.5), ("10min", 600.0), ("1h", 3600.0)]
)
def test_a_duration_is_seconds(text: str, found: float) -> None:
    assert seconds(text, "100ms", "1h") == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (10, 'write a unit: "10s"'),
        (1.5, 'write a unit: "1.5s"'),
        ("10", 'allowed: a duration from "1s" to "1h"; units: ms, s, min, h, d'),
        ("999ms", 'allowed: a duration from "1s" to "1h"'),
        ("61min", 'allowed: a duration from "1s" to "1h"'),
        (None, 'allowed: a duration from "1s" to "1h"; units: ms, s, min, h, d'),
        (True, 'allowed: a duration from "1s" to "1h"; units: ms, s, min, h, d'),
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(text: object, words: str) -> None:
    with pytest.raises(ValueError, match=r"allowed|write") as refusal:
        seconds(text, "1s", "1h")
    assert str(refusal.value) == words
