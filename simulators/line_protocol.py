"""Line protocol as InfluxDB reads it, strictly and by version: a second opinion on every line.

Written from the format's description with possessive patterns, so any line is read in linear time.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

V3 = 3

Value = float | int | bool | str


class Point(NamedTuple):
    series: str
    """Measurement and sorted tags, unescaped: `sensor,device=a,room=b`."""
    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, Value]
    time_ns: int


class LineError(ValueError):
    """A line that the server refuses, with the server's reason."""


_NAME = r"(?:\\[,=\ ]|[^,=\ ])++"
_TEXT = r'"(?:\\["\\]|[^"])*+"'
_LINE = re.compile(
    rf"(?P<measurement>(?:\\[,\ ]|[^,\ ])++)(?P<tags>(?:,{_NAME}={_NAME})*+)"
    rf"\ ++(?P<fields>{_NAME}=(?:{_TEXT}|[^\",\ ]++)(?:,{_NAME}=(?:{_TEXT}|[^\",\ ]++))*+)"
    r"(?:\ ++(?P<time>-?\d+))?\ *+",
    re.DOTALL,
)
_TAG = re.compile(rf",({_NAME})=({_NAME})")
_FIELD = re.compile(rf"({_NAME})=({_TEXT}|[^\",\ ]++),?", re.DOTALL)
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_BOOLEANS = dict.fromkeys(("t", "T", "true", "True", "TRUE"), True) | dict.fromkeys(
    ("f", "F", "false", "False", "FALSE"), False
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def parse(line: str, unit_ns: int, version: int) -> Point:
    """One line of line protocol, or LineError where this version takes it badly."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise LineError("missing fields" if " " not in line else "invalid field format")
    measurement = _unescape(found["measurement"])
    tags = [(_unescape(key), _unescape(value)) for key, value in _TAG.findall(found["tags"])]
    fields = {_unescape(key): _value(text) for key, text in _FIELD.findall(found["fields"])}
    if len(dict(tags)) < len(tags):
        raise LineError("duplicate tags")
    if version == V3:
        _check_strictly(
            line, measurement, dict(tags), Counter(k for k, _ in _FIELD.findall(found["fields"]))
        )
    time_ns = int(found["time"] or 0) * unit_ns
    if not -(2**63) + 2 <= time_ns <= 2**63 - 2:
        raise LineError("time outside range")
    series = ",".join([measurement, *(f"{key}={value}" for key, value in sorted(tags))])
    return Point(series, measurement, dict(tags), fields, time_ns)


def _check_strictly(
    line: str, measurement: str, tags: Mapping[str, str], fields: Counter[str]
) -> None:
    """What version 3 refuses in addition."""
    if _CONTROL.search(line):
        raise LineError("control character")
    if any(count > 1 for count in fields.values()):
        raise LineError("field occurs twice")
    if tags.keys() & {_unescape(name) for name in fields}:
        raise LineError("a tag and a field have the same name")
    if "time" in tags or "time" in fields:
        raise LineError("time is a reserved name")
    if not all(name[0].isalnum() for name in (measurement, *tags, *fields)):
        raise LineError("names start with a letter or a digit")


def _value(text: str) -> Value:
    if text[0] == '"':
        return re.sub(r'\\(["\\])', r"\1", text[1:-1])
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[-1] == "i" and re.fullmatch(r"-?\d+i", text):
        if not -(2**63) <= int(text[:-1]) < 2**63:
            raise LineError("unable to parse integer")
        return int(text[:-1])
    if not _NUMBER.fullmatch(text):
        raise LineError("invalid number" if text[0] in "-.0123456789nN" else "invalid boolean")
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise LineError("invalid float")
    return number


def _unescape(name: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", name) if "\\" in name else name
