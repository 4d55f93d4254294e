"""Payloads: what is text, what is JSON, and what of broken JSON is saved."""

import json
import random

import pytest

from gateway.conformance import mutate
from gateway.model import Malformed, Reason
from gateway.payloads import DEPTH_MAX, FORGIVEN_MAX, PAYLOAD_MAX, parse_json, to_text


def refusal(data: bytes) -> Reason:
    verdict = parse_json(data)
    assert isinstance(verdict, Malformed)
    assert len(verdict.example) <= 200
    return verdict.reason


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"21.5", "21.5"),
        ("21 °C µg/m³".encode(), "21 °C µg/m³"),
        ("21 °C µg/m³".encode("latin-1"), "21 °C µg/m³"),
        ("Küche 21 °C".encode(), "Küche 21 °C"),
        ("Küche 21 °C".encode("latin-1"), None),
        (b"\xff\xfe\x80", None),
        (b"a\0b", None),
        ("a\0 °C".encode(), None),
    ],
)
def test_text_is_utf8_or_has_only_the_signs_of_units_in_latin1(data: bytes, text: str) -> None:
    assert to_text(data) == text


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"t":nan,"h":45}', '{"t": NaN, "h": 45}'),
        (b'{"t":NaN,"u":-inf,"v":Infinity,"w":-nan,"x":ovf}',
         '{"t": NaN, "u": -Infinity, "v": Infinity, "w": NaN, "x": Infinity}'),
        (b'{"t":1e400,"h":45}', '{"t": Infinity, "h": 45}'),
        (b'{"nan":"inf","h":nan}', '{"nan": "inf", "h": NaN}'),
        (b'{"t":"21 \xb0C","h":45}', '{"t": "21 \\u00b0C", "h": 45}'),
        (b'\xef\xbb\xbf{"t":1}\0\0\n', '{"t": 1}'),
        (b'{"t":1,"t":2}', '{"t": 2}'),
        (b'{"a":"x\ty","b":1}', '{"a": "x\\ty", "b": 1}'),
        (b'{"a":"\\ud83d\\ude00 \\ud83d \\\\ud83d","b":nan}',
         '{"a": "\\ud83d\\ude00 \\ufffd \\\\ud83d", "b": NaN}'),
        (b'{"a":' + b"9" * 5_000 + b"}", '{"a": Infinity}'),
        (b'{"a":123456789012345678901234567890}', '{"a": 1.2345678901234568e+29}'),
        (b"0", "0"),
        (b"false", "false"),
    ],
)  # fmt: skip
def test_one_bad_value_does_not_cost_the_others(data: bytes, value: str) -> None:
    assert json.dumps(parse_json(data)) == value


@pytest.mark.parametrize(
    "data", [b"{", b'{"t":1', b'{"t":}', b"online", b"{'t':1}", b"1 2", b"\xff"]
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    assert refusal(data) is Reason.SYNTAX


@pytest.mark.parametrize("data", [b"", b" \r\n", b"\0\0", b"\xef\xbb\xbf"])
def test_nothing_is_empty(data: bytes) -> None:
    assert refusal(data) is Reason.EMPTY


@pytest.mark.parametrize("levels", [DEPTH_MAX + 1, 1_000, 10_000, 500_000])
@pytest.mark.parametrize("pair", [(b"[", b"]"), (b'{"a":', b"}")])
def test_a_deep_payload_is_refused_before_it_is_parsed(
    levels: int, pair: tuple[bytes, bytes]
) -> None:
    opening, closing = pair
    deep = opening * levels + b"nan" + closing * levels
    if len(deep) <= PAYLOAD_MAX:
        assert refusal(deep) is Reason.TOO_DEEP
    assert refusal((opening * levels)[:PAYLOAD_MAX]) is Reason.TOO_DEEP


def test_the_deepest_payload_and_brackets_in_texts() -> None:
    deepest = b"[" * DEPTH_MAX + b"]" * DEPTH_MAX
    assert json.dumps(parse_json(deepest)).encode() == deepest
    brackets = [{"a": '[[{{"\\' * 20}] * 20
    assert parse_json(json.dumps(brackets).encode()) == brackets


def test_a_large_payload_is_refused_before_it_is_parsed() -> None:
    assert refusal(b'"' + b"x" * PAYLOAD_MAX + b'"') is Reason.TOO_LARGE


@pytest.mark.parametrize(
    "hostile",
    [b'{"a":"' + b'\\"' * PAYLOAD_MAX, b'"' * PAYLOAD_MAX, b"\\" * PAYLOAD_MAX, b"-" * PAYLOAD_MAX,
     b'["' + b"\\u" * PAYLOAD_MAX, b"[nan" + b",nan" * PAYLOAD_MAX, b"[],{}" * PAYLOAD_MAX,
     b"[" + b"9" * PAYLOAD_MAX],
)  # fmt: skip
@pytest.mark.parametrize("size", [FORGIVEN_MAX, PAYLOAD_MAX])
def test_a_hostile_payload_takes_linear_time(hostile: bytes, size: int) -> None:
    """Quadratic time would take minutes here."""
    parse_json(hostile[:size])


def test_no_payload_makes_it_raise() -> None:
    rng = random.Random(5)
    seeds = (
        b'{"t":21.5,"h":[1,2,{"x":null}],"name":"K\\u00fcche \\"a\\""}',
        b'[{"value":1e3,"unit":"\xc2\xb0C"},true]',
    )
    for _ in range(10_000):
        parse_json(mutate(rng, mutate(rng, rng.choice(seeds))))
