"""Bytes -> text, bytes -> JSON value: what every decoder of text and of MQTT payloads begins with.

Strategy for JSON: orjson takes what is JSON. It refuses a whole payload for one `NaN`, `1e400`,
degree sign in Latin-1 or byte order mark, and devices send these; such a payload is read a second
time, slowly and forgivingly, so that its good fields are not lost.

Limits: PAYLOAD_MAX bytes (FORGIVEN_MAX the second time) and DEPTH_MAX levels, looked at before
anything is parsed, so that neither parser can run out of stack; linear time.

This is the one module of the core with a third-party library. orjson rather than msgspec: 0.2 us
slower on a payload of four fields (1.0 and 0.8 us), but it limits its own depth, where msgspec
meets Python's recursion limit.
"""

import json
import re
from typing import Final, TypeAlias

import orjson

from gateway.ledger import EXAMPLE_BYTES
from gateway.model import Malformed, Reason

Json: TypeAlias = dict[str, "Json"] | list["Json"] | str | float | int | bool | None

PAYLOAD_MAX: Final = 1 << 20
"""A sensor's message has a few hundred bytes, a batch some ten thousand."""

FORGIVEN_MAX: Final = 1 << 16
"""A larger one is not read a second time: that takes a hundred times as long as the first."""

DEPTH_MAX: Final = 32
"""Real payloads nest six levels at most; Python's own stack is good for some hundreds."""

_PLAIN: Final = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_SYMBOLS: Final = "°±²³µ·".encode("latin-1")
_HIGH: Final = bytes(range(0x80, 0x100))


def to_text(data: bytes) -> str | None:
    """The text that the bytes are, or None where they are none.

    UTF-8, or Latin-1 whose only high bytes are the signs of units: sketches print `(char)176` for
    a degree. No more of Latin-1, which any noise is, and no control characters.
    """
    special = data.translate(None, _PLAIN)
    if not special:
        return data.decode("ascii")
    if not special.translate(None, _SYMBOLS):
        return data.decode("latin-1")
    if special.translate(None, _HIGH):
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def parse_json(data: bytes) -> Json | Malformed:
    """The payload's value, or why it has none."""
    if len(data) > PAYLOAD_MAX:
        return Malformed(Reason.TOO_LARGE, data[:EXAMPLE_BYTES])
    if data.count(b"[") + data.count(b"{") > DEPTH_MAX and _is_too_deep(data):
        return Malformed(Reason.TOO_DEEP, data[:EXAMPLE_BYTES])
    try:
        value: Json = orjson.loads(data)
    except orjson.JSONDecodeError:
        if len(data) > FORGIVEN_MAX:
            return Malformed(Reason.SYNTAX, data[:EXAMPLE_BYTES])
        return _parse_forgivingly(data)
    return value


_STRING: Final = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
"""Matches from any quotation mark on, closed or not, so that a search for it is linear."""

_STRING_BYTES: Final = re.compile(_STRING.encode(), re.DOTALL)
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def _is_too_deep(data: bytes) -> bool:
    depth = 0
    for bracket in _STRING_BYTES.sub(b"", data).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH_MAX:
            return True
    return False


_REPAIRABLE: Final = re.compile(
    _STRING + r"|(?<![\w.])[+-]?(?:nan|inf(?:inity)?|ovf)(?![\w.])", re.DOTALL | re.IGNORECASE
)
_SURROGATE: Final = re.compile(
    r"\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}"
    r"|(?P<lone>\\u[dD][89a-fA-F][\da-fA-F]{2})|\\.",
    re.DOTALL,
)


def _repair(token: re.Match[str]) -> str:
    """Numbers that are none as Python's parser spells them; halves of characters as U+FFFD."""
    text = token[0]
    if text[0] == '"':
        return _SURROGATE.sub(_whole_character, text) if "\\u" in text else text
    if "nan" in text.lower():
        return "NaN"
    return "-Infinity" if text[0] == "-" else "Infinity"


def _whole_character(escape: re.Match[str]) -> str:
    return "\\ufffd" if escape["lone"] else escape[0]


def _integer(digits: str) -> int | float:
    """Beyond 64 bits precision is lost anyway, and long integers cost quadratic time."""
    return int(digits) if len(digits) < 19 else float(digits)  # noqa: PLR2004


_FORGIVING: Final = json.JSONDecoder(strict=False, parse_int=_integer)


def _parse_forgivingly(data: bytes) -> Json | Malformed:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    text = text.strip("\ufeff\0 \t\r\n")
    if not text:
        return Malformed(Reason.EMPTY)
    try:
        value: Json = _FORGIVING.decode(_REPAIRABLE.sub(_repair, text))
    except ValueError:
        return Malformed(Reason.SYNTAX, data[:EXAMPLE_BYTES])
    return value
